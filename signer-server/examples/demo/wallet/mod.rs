//! Chapter 5: the holder's page, a phone's screen in a browser. It belongs to the demo and is in no server.
//!
//! The phone stays where it was, on the demo's main thread ([`holder`]); the page only shows what it says ([`view`]) and passes
//! on what the holder does ([`routes`]).
//!
//! # Who else could use it
//!
//! Whatever reaches this page shows the holder's documents and answers for the holder. It listens on loopback, where it can
//! be reached by every site that is open in a browser of this machine:
//!
//! - *Another site sends a request* (CSRF): `fetch('http://127.0.0.1:7401/wallet/checks/…', {method: 'POST'})` from any page,
//!   or a form, allows the question of a shop. So a request that does something must come with the page's own `Origin`, which
//!   a browser sends with every POST and no script can set, and with a JSON body, which no form can send.
//! - *Another site takes over the address* (DNS rebinding): `evil.example` first resolves to its own server, then to
//!   127.0.0.1. For the browser that is the same origin, so its script reads everything. But it goes on sending `Host:
//!   evil.example`, so a request with another `Host` than loopback and this port is refused, whatever it asks for.
//! - *Another site shows this one* (clickjacking, or a QR code as an `<img>` on somebody's page): `frame-ancestors 'none'`,
//!   `Cross-Origin-Resource-Policy: same-origin`, and `Sec-Fetch-Site` of every request but the one for the page itself.
//!
//! What remains: programs of this machine, also of its other users. That is one reason why it is for trying out only.

mod cards;
mod guard;
mod history;
mod holder;
mod routes;
mod signing;
mod view;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
};

use signer_client::Phone;
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

use self::{holder::Holder, routes::Pages, view::Screen};
use crate::{Result, Stop};

/// The page, served from threads of its own until dropped.
pub(crate) struct Wallet {
    address: SocketAddr,
    runtime: Runtime,
    messages: mpsc::Receiver<holder::Message>,
    sender: mpsc::Sender<holder::Message>,
    screen: watch::Sender<Screen>,
}

impl Wallet {
    /// Serves the page on a port of loopback; 0 takes a free one.
    pub(crate) fn open(port: u16) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        let address = listener.local_addr()?;
        let (sender, messages) = mpsc::channel();
        let screen = watch::Sender::new(Screen::default());
        let router =
            routes::router(Pages { holder: sender.clone(), screen: screen.subscribe() }, address.port());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, runtime, messages, sender, screen })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/wallet/", self.address)
    }

    /// Drives the phone until Ctrl-C. `shop` is the address of the shop's page, for a link.
    pub(crate) fn run(self, phone: &mut Phone, shop: String, step_seconds: u64, stop: &Stop) -> Result<()> {
        let end =
            Holder::new(phone, shop, self.sender, step_seconds)?.run(&self.messages, &self.screen, stop);
        self.runtime.shutdown_background();
        end
    }
}
