//! `cargo sandbox`: a server to develop a relying party against, with people whose phones always do the same. See
//! `spec/sandbox.md`.

mod endpoint;
mod people;
mod phone;
mod setup;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use tokio::net::TcpListener;

/// What goes wrong is told and ends the sandbox.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A server for trying out, and phones that decide by themselves. Everything is gone when it ends.
#[derive(Debug, Parser)]
#[command(name = "cargo sandbox", version)]
struct Options {
    /// Address of the server.
    #[arg(long, default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
    /// Address of the endpoint that plays the phones.
    #[arg(long, default_value = "127.0.0.1:7410")]
    phones: SocketAddr,
    /// Write addresses, token and client into this file, JSON, once everything is there.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    if !options.listen.ip().is_loopback() || !options.phones.ip().is_loopback() {
        return Err("a sandbox listens on loopback only: whoever reaches it plays the phones".into());
    }
    let folder = tempfile::tempdir()?;
    let app = setup::server(folder.path(), options.listen).await?;
    let (service, store, server) = (app.service(), app.store(), format!("http://{}", app.address()?));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(app.run(async {
        let _dropped = stopped.await;
    }));
    let listener = TcpListener::bind(options.phones).await?;
    let phones = format!("http://{}", listener.local_addr()?);
    let client = setup::client(&service).await?;
    let played = setup::phones(&service, &store, &server).await?;
    let told = setup::Told { server, phones, client };
    if let Some(path) = &options.out {
        std::fs::write(path, serde_json::to_vec_pretty(&told)?)?;
    }
    println!("{told}");
    let router = endpoint::router(played);
    let serving = axum::serve(listener, router).with_graceful_shutdown(signer_server::app::stop_signal());
    serving.await?;
    let _gone = stop.send(());
    running.await?;
    Ok(())
}
