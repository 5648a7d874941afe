//! The accept loop: bounded connections, bounded time for handshake and headers, graceful end.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, http::header, response::IntoResponse as _};
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use prometheus_client::metrics::gauge::Gauge;
use signer_core::wire::ProblemCode;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;

use super::{problem::ApiProblem, tls::Tls};
use crate::metrics::HttpMetrics;

/// Time for a handshake, and to send the head of a request; a slower client is cut off.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Longest head of a request, and the buffer of a connection, bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Time for requests under way when the server is told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Time in which a client takes something of an answer; one that does not is cut off.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// Connections that may wait to be accepted, as far as the kernel allows (`net.core.somaxconn`): where there is no room for one its
/// client hears nothing, and tries again a second later.
const BACKLOG: u32 = 4096;
/// Most connections above the bound that are told so; more are closed at once.
const REFUSING_MAX: usize = 256;

/// How many connections there may be: in all, and from one address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) in_all: usize,
    pub(crate) from_one: usize,
}

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    most: Most,
    tls: Option<Arc<Tls>>,
}

/// Binds the address; without `tls` it speaks plain HTTP.
///
/// # Errors
/// As the operating system says.
pub(crate) async fn bind(address: SocketAddr, most: Most, tls: Option<Arc<Tls>>) -> io::Result<Server> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A server that was just stopped left connections on the port. Elsewhere that means another thing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(Server { listener: socket.listen(BACKLOG)?, most, tls })
}

impl Server {
    /// The address bound, with its real port.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done, then lets requests under way finish for a while. Connections above the bound are answered
    /// `overloaded`: who waited in the kernel's queue instead would not know, and might ask another server.
    pub(crate) async fn run(self, router: Router, metrics: HttpMetrics, stop: impl Future<Output = ()>) {
        let places = Places::new(self.most, router);
        let graceful = GracefulShutdown::new();
        let mut http = Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .max_headers(64)
            .max_buf_size(HEAD_BYTES_MAX);
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or a connection that ended already: do not spin.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let _no_delay_is_only_faster = stream.set_nodelay(true);
            let Some((router, place)) = places.take(peer.ip(), &metrics) else { continue };
            let place = Open::new(place, &metrics);
            let stream = patient(stream);
            let (http, watcher) = (http.clone(), graceful.watcher());
            let acceptor = self.tls.as_ref().map(|tls| tls.acceptor());
            tokio::spawn(async move {
                let Some(acceptor) = acceptor else {
                    serve(&http, stream, router, watcher).await;
                    return drop(place);
                };
                match tokio::time::timeout(HEADER_TIME, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => serve(&http, stream, router, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
                    Err(_) => tracing::debug!("no handshake in time"),
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

/// A stream that gives up when the other end does not read.
fn patient(stream: TcpStream) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIME));
    Box::pin(stream)
}

/// Places for connections, and what is served to those that have one and to those that have none.
struct Places {
    free: Arc<Semaphore>,
    sources: Sources,
    router: Router,
    refusing: Arc<Semaphore>,
    refusal: Router,
}

impl Places {
    fn new(most: Most, router: Router) -> Self {
        let refuse = async || {
            ([(header::CONNECTION, "close")], ApiProblem::from(ProblemCode::Overloaded)).into_response()
        };
        Self {
            free: Arc::new(Semaphore::new(most.in_all)),
            sources: Sources { most: most.from_one, open: Arc::default() },
            router,
            refusing: Arc::new(Semaphore::new(REFUSING_MAX)),
            refusal: Router::new().fallback(refuse),
        }
    }

    /// A place for one more connection, and what it is served; none if it is to be closed.
    fn take(&self, peer: IpAddr, metrics: &HttpMetrics) -> Option<(Router, Place)> {
        if let Some(from) = self.sources.take(peer)
            && let Ok(permit) = Arc::clone(&self.free).try_acquire_owned()
        {
            return Some((self.router.clone(), Place { _permit: permit, _from: Some(from) }));
        }
        metrics.connections_refused.inc();
        let permit = Arc::clone(&self.refusing).try_acquire_owned().ok()?;
        Some((self.refusal.clone(), Place { _permit: permit, _from: None }))
    }
}

/// One connection's share of what there is.
struct Place {
    _permit: OwnedSemaphorePermit,
    _from: Option<From>,
}

/// Open connections by where they come from: an address, of IPv6 a network of 64 bits. This machine itself is not bounded:
/// what passes connections on from there stands for everybody.
struct Sources {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Sources {
    /// One more connection, unless there are enough from there.
    fn take(&self, peer: IpAddr) -> Option<From> {
        let source = source(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.most && !source.is_loopback() {
            return None;
        }
        *count += 1;
        Some(From { source, open: Arc::clone(&self.open) })
    }
}

fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address => address,
    }
}

/// A connection that is counted for its source.
struct From {
    source: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for From {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = open.entry(self.source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// An open connection, counted until it is dropped.
struct Open {
    _place: Place,
    connections: Gauge,
}

impl Open {
    fn new(place: Place, metrics: &HttpMetrics) -> Self {
        metrics.connections.inc();
        Self { _place: place, connections: metrics.connections.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.dec();
    }
}

/// One connection, to its end.
async fn serve(
    http: &Builder,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: Watcher,
) {
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ops_018_connections_that_come_at_once_wait_to_be_accepted() {
        let most = Most { in_all: 1, from_one: 1 };
        let server = bind(SocketAddr::from(([127, 0, 0, 1], 0)), most, None).await.unwrap();
        let address = server.address().unwrap();
        // Nobody accepts yet. One that finds no room is answered by nothing.
        let soon = Duration::from_millis(900);
        let connect = |_| std::net::TcpStream::connect_timeout(&address, soon).unwrap();
        let lines: Vec<_> = (0..500).map(connect).collect();
        assert_eq!(lines.len(), 500);
    }

    #[test]
    fn ops_015_one_address_has_its_share_of_connections() {
        let sources = Sources { most: 2, open: Arc::default() };
        let from = |text: &str| sources.take(text.parse().unwrap());
        let held = [from("192.0.2.1"), from("::ffff:192.0.2.1")];
        assert!(held.iter().all(Option::is_some) && from("192.0.2.1").is_none());
        assert!(from("192.0.2.2").is_some());
        drop(held);
        assert!(from("192.0.2.1").is_some());
        // A network of IPv6 is one source: it has more addresses than anybody can count.
        let held = [from("2001:db8::1"), from("2001:db8::2")];
        assert!(held.iter().all(Option::is_some) && from("2001:db8::3").is_none());
        assert!(from("2001:db8:0:1::1").is_some());
        let local: Vec<_> = (0..9).map(|_| from("127.0.0.1")).collect();
        assert!(local.iter().all(Option::is_some));
        drop((held, local));
        assert!(sources.open.lock().unwrap().is_empty());
    }
}
