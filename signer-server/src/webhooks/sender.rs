//! One delivery: an HTTP POST to an address that somebody else chose. No redirect is followed, no proxy used, and nothing of
//! the answer is kept but its status.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderValue, Request, header},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{
    Client,
    connect::{
        HttpConnector,
        dns::{GaiResolver, Name},
    },
};
use tower::Service;

use super::address;
use crate::{outbound, service::SignedDelivery};

/// Time for the whole exchange, and to connect.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are read, so that the connection can be kept; a longer answer ends it.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Idle connections kept for each receiver, and for how long.
const IDLE: (usize, Duration) = (4, Duration::from_secs(30));

/// Sends deliveries.
pub(crate) struct Sender {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    allow_private: bool,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender(..)")
    }
}

impl Sender {
    /// Reads the authorities that receivers are trusted under: those in the file, or those of the web.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn open(allow_private: bool, ca_file: Option<&Path>) -> Result<Self, String> {
        let connector =
            HttpConnector::new_with_resolver(Resolver { allow_private, inner: GaiResolver::new() });
        let client = outbound::client(connector, CONNECT_TIMEOUT, IDLE, ca_file)?;
        Ok(Self { client, allow_private })
    }

    /// Sends one. The receiver has it if it answers with a status of success.
    ///
    /// # Errors
    /// Why it does not have it, without the path.
    pub(crate) async fn send(&self, delivery: SignedDelivery) -> Result<(), String> {
        let sent = tokio::time::timeout(TIMEOUT, self.exchange(delivery)).await;
        sent.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    async fn exchange(&self, delivery: SignedDelivery) -> Result<(), String> {
        // Again: an address in place of a name is not resolved, and the operator may have changed what is allowed.
        let uri = address::check(&delivery.url, self.allow_private)?;
        let mut request = Request::post(uri).header(header::USER_AGENT, "signer-server");
        for (name, value) in delivery.headers {
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            request = request.header(name, value);
        }
        let request = request.body(Full::new(delivery.body.into())).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| outbound::causes(&error))?;
        let (head, body) = response.into_parts();
        // What it says does not matter.
        let _read_or_closed = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        if head.status.is_success() { Ok(()) } else { Err(format!("it answered {}", head.status.as_u16())) }
    }
}

/// Resolves names to the addresses that may be called. The connection goes to what is returned here and is not resolved
/// again, so that a name that changes in between wins nothing.
#[derive(Clone)]
struct Resolver {
    allow_private: bool,
    inner: GaiResolver,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, allow_private) = (self.inner.call(name), self.allow_private);
        Box::pin(async move {
            let allowed = |address: &SocketAddr| allow_private || address::is_public(address.ip());
            let allowed: Vec<_> = found.await?.filter(allowed).collect();
            if allowed.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it has no public address"));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hok_012_a_name_is_called_at_its_public_addresses_only() {
        let resolve = async |host: &str, allow_private| {
            let name: Name = host.parse().unwrap();
            let mut resolver = Resolver { allow_private, inner: GaiResolver::new() };
            resolver.call(name).await.map(Iterator::collect::<Vec<_>>)
        };
        // Names of this machine, and numbers that the system's resolver takes for addresses.
        for host in ["localhost", "127.1", "0x7f.0.0.1", "2130706433"] {
            assert!(
                resolve(host, true).await.unwrap().iter().all(|address| address.ip().is_loopback()),
                "{host}"
            );
            let refused = resolve(host, false).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{host}");
        }
        let public = resolve("8.8.8.8", false).await.unwrap();
        assert_eq!(
            public.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
            ["8.8.8.8".parse::<std::net::IpAddr>().unwrap()]
        );
    }
}
