//! The accept loop: bounded connections, bounded time for headers, graceful end.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Time to send the head of a request; a slower client is cut off.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Longest head of a request, and the buffer of a connection, bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Time for requests under way when the server is told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    connections_max: usize,
}

/// Binds the address.
///
/// # Errors
/// As the operating system says.
pub(crate) async fn bind(address: SocketAddr, connections_max: usize) -> io::Result<Server> {
    Ok(Server { listener: TcpListener::bind(address).await?, connections_max })
}

impl Server {
    /// The address bound, with its real port.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection, once there is a place for it.
    async fn accept(&self, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, place))
    }

    /// Serves until `stop` is done, then lets requests under way finish for a while.
    pub(crate) async fn run(self, router: Router, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(self.connections_max));
        let graceful = GracefulShutdown::new();
        let mut http = Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_headers(64)
            .max_buf_size(HEAD_BYTES_MAX);
        tokio::pin!(stop);
        loop {
            // Also while every place is taken the server can be stopped.
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = self.accept(&places) => accepted,
            };
            let (stream, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a connection that ended already: do not spin.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let _no_delay_is_only_faster = stream.set_nodelay(true);
            let service = TowerToHyperService::new(router.clone());
            let connection = http.serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
                drop(place);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests under way were cut off");
        }
    }
}
