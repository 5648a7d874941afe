//! Long polls that wait for answers that do not come, held open by another process.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use signer_core::wire::{CreateRelyingParty, CreateRequest, DocumentDigest};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::{HOLD, resident};
use crate::{
    http::Request,
    server::{Server, together},
};

/// One relying party has at most a quarter of all polls.
const PARTIES: usize = 8;
/// Writes that are under way at once while the requests are made.
const AT_ONCE: usize = 512;

pub(super) struct Polls {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    each: usize,
}

impl Polls {
    /// Makes requests to people who are not there, and has a poll wait for each.
    pub(super) fn open(server: &Server, count: usize) -> Self {
        let paths = requests(server, count);
        let before = resident();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([HOLD, &server.address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        for line in paths {
            writeln!(input, "{line}").unwrap();
        }
        drop(input);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        expect(&mut lines, "open");
        let each = resident().saturating_sub(before) / count.max(1);
        Self { child, lines, each }
    }

    pub(super) const fn bytes_each(&self) -> usize {
        self.each
    }

    /// No poll has failed meanwhile.
    pub(super) fn check_all_open(mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "the polls have ended");
        self.child.kill().unwrap();
        let _killed = self.child.wait();
        let mut rest = String::new();
        while self.lines.read_line(&mut rest).unwrap() > 0 {}
        assert_eq!(rest, "", "a poll failed");
    }
}

fn expect(lines: &mut impl std::io::BufRead, wanted: &str) {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), wanted, "the process that holds the polls");
}

/// Lines of path and token, one for each request.
fn requests(server: &Server, count: usize) -> Vec<String> {
    let parties: Vec<_> = (0..PARTIES)
        .map(|number| {
            server.register(CreateRelyingParty {
                name: format!("Waiting {number}"),
                may_ask: true,
                ..CreateRelyingParty::default()
            })
        })
        .collect();
    let mut lines = Vec::new();
    for chunk in (0..count).collect::<Vec<_>>().chunks(AT_ONCE) {
        lines.extend(server.runtime.block_on(together(chunk.iter().map(|&number| {
            let (service, (party, token)) = (Arc::clone(&server.service), parties[number % PARTIES].clone());
            async move {
                let made = service.create_request(&party, to_nobody(number), None).await.unwrap();
                (number, format!("/v1/requests/{}?timeout_ms=120000 {token}", made.id))
            }
        }))));
    }
    lines
}

fn to_nobody(number: usize) -> CreateRequest {
    let sha256 = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=".into();
    CreateRequest {
        person: format!("nobody-{number}"),
        text: "Please sign.".into(),
        documents: vec![DocumentDigest { name: "contract.pdf".into(), sha256 }],
        expires_in: Some(3600),
        ..CreateRequest::default()
    }
}

/// Holds the polls named on standard input open, each asked again when its time is up, until killed. Says `open` once all
/// wait, and a line for each that is refused.
///
/// # Panics
/// If the server is not there.
pub fn hold(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for line in std::io::stdin().lines() {
            let line = line.unwrap();
            let (path, token) = line.split_once(' ').unwrap();
            let request = Request::get(path, &[&format!("authorization: Bearer {token}")]);
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.bytes()).await.unwrap();
            tokio::spawn(async move {
                while still_open(&mut stream).await {
                    stream.write_all(request.bytes()).await.unwrap();
                }
                println!("a poll was not answered 'open'");
            });
        }
        // The last ones arrive.
        sleep(Duration::from_secs(2)).await;
        println!("open");
        std::future::pending::<()>().await;
    });
}

/// Waits for an answer, which is short; whether it says that the request is open.
async fn still_open(stream: &mut TcpStream) -> bool {
    let mut answer = vec![0; 4096];
    let mut length = 0;
    while !answer[..length].ends_with(b"}") {
        match stream.read(&mut answer[length..]).await {
            Ok(more @ 1..) => length += more,
            _ => return false,
        }
    }
    String::from_utf8_lossy(&answer[..length]).contains("\"status\":\"open\"")
}
