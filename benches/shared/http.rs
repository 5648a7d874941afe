//! Clients over loopback: many connections, each with its next request ready.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use crate::alternate::{process_cpu, thread_cpu};

/// One HTTP request, as its bytes.
#[derive(Debug, Clone)]
pub struct Request(Vec<u8>);

impl Request {
    /// `POST path` with a body; `headers` are whole lines without their ends.
    #[must_use]
    pub fn post(path: &str, content_type: &str, headers: &[&str], body: &[u8]) -> Self {
        let more: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n{more}\
             content-length: {}\r\n\r\n",
            body.len()
        );
        Self([head.as_bytes(), body].concat())
    }

    /// `GET path`.
    #[must_use]
    pub fn get(path: &str, headers: &[&str]) -> Self {
        let more: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        Self(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n").into_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a run over HTTP took.
#[derive(Debug)]
pub struct Run {
    /// Bodies of the replies, in the order of the requests.
    pub replies: Vec<Vec<u8>>,
    /// By the clock on the wall.
    pub wall: Duration,
    /// CPU time of the process without that of the clients' threads.
    pub server_cpu: Duration,
}

/// Sends each list over a connection and a thread of its own, one request at a time; every reply must be 200.
///
/// # Panics
/// If one is not, or the server is not there.
#[must_use]
pub fn send(address: SocketAddr, lists: Vec<Vec<Request>>) -> Run {
    let barrier = Arc::new(Barrier::new(lists.len() + 1));
    let threads: Vec<_> = lists
        .into_iter()
        .map(|requests| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                barrier.wait();
                let start = thread_cpu();
                let replies: Vec<_> = requests.iter().map(|request| connection.send(request)).collect();
                (replies, thread_cpu() - start, Instant::now())
            })
        })
        .collect();
    let cpu = process_cpu();
    let start = Instant::now();
    barrier.wait();
    let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let cpu = process_cpu() - cpu;
    let end = done.iter().map(|one| one.2).max().unwrap();
    let clients: Duration = done.iter().map(|one| one.1).sum();
    Run {
        replies: done.into_iter().flat_map(|one| one.0).collect(),
        wall: end - start,
        server_cpu: cpu.saturating_sub(clients),
    }
}

/// The least HTTP client: one connection, kept alive, one request at a time.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens there.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap()
    }

    /// Connects.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(130)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The body of the answer, whose status must be of success.
    ///
    /// # Panics
    /// If it is not.
    pub fn send(&mut self, request: &Request) -> Vec<u8> {
        let (status, reply) = self.exchange(request).unwrap();
        assert!(status / 100 == 2, "{status} {}", String::from_utf8_lossy(&reply));
        reply
    }

    /// Status and body of the answer.
    ///
    /// # Errors
    /// As the operating system says, or if the answer is not HTTP.
    pub fn exchange(&mut self, request: &Request) -> io::Result<(u16, Vec<u8>)> {
        self.0.get_mut().write_all(&request.0)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("the connection ended"))?;
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::Error::other("the connection ended"));
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut reply = vec![0; length];
        self.0.read_exact(&mut reply)?;
        Ok((status, reply))
    }
}
