//! `signer audit watch`, against a log that is made up.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Command, Output},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_core::{
    audit::{
        Checkpoint, CheckpointKey,
        tree::{self, Frontier, TreeHash, leaf_hash},
    },
    secret::SecretBytes,
};

fn signer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signer")).args(arguments).env_clear().output().unwrap()
}

fn exit(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A log of so many entries, each of one byte; entries from `fork` on are others.
struct Log {
    size: u64,
    fork: u64,
}

impl Log {
    fn key() -> CheckpointKey {
        CheckpointKey::new("signer.example/audit", &SecretBytes::new([7; 32])).unwrap()
    }

    fn root(&self, range: &std::ops::Range<u64>) -> TreeHash {
        let mut tree = Frontier::default();
        for index in range.clone() {
            tree.push(leaf_hash(&[u8::from(index >= self.fork), index.to_le_bytes()[0]]));
        }
        tree.root()
    }

    fn checkpoint(&self) -> String {
        Self::key().sign(&Checkpoint { size: self.size, root: self.root(&(0..self.size)) })
    }

    fn consistency(&self, from: u64) -> String {
        let ranges = tree::consistency(from, self.size).unwrap();
        let proof: Vec<_> = ranges.iter().map(|range| BASE64_STANDARD.encode(self.root(range).0)).collect();
        serde_json::json!({ "proof": proof, "checkpoint": self.checkpoint() }).to_string()
    }
}

/// Answers one run of `signer audit watch`.
fn watched(log: &Log) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let log = Log { ..*log };
    let serve = move || {
        for _ in 0..2 {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let path = line.split_whitespace().nth(1).unwrap_or("/end").to_owned();
            let (kind, body) = match path.split_once("from=") {
                Some((_, from)) => ("application/json", log.consistency(from.parse().unwrap())),
                None => ("text/plain; charset=utf-8", log.checkpoint()),
            };
            while line.trim() != "" {
                line.clear();
                stream.read_line(&mut line).unwrap();
            }
            let length = body.len();
            let head = format!("content-type: {kind}\r\nconnection: close\r\ncontent-length: {length}");
            let _gone_at_the_end = write!(stream.get_mut(), "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
        }
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn aud_026_who_watches_keeps_the_newest_checkpoint_and_both_where_the_log_was_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.txt");
    let key = Log::key().verifier().to_string();
    let watch = |log: Log| {
        let (server, served) = watched(&log);
        let path = file.to_str().unwrap();
        let output =
            signer(&["audit", "watch", path, "--log-key", &key, "--server", &server, "--token", "t"]);
        // What it did not ask for.
        while !served.is_finished() {
            let _ended = std::net::TcpStream::connect(server.trim_start_matches("http://"));
        }
        served.join().unwrap();
        output
    };
    let kept = || std::fs::read_to_string(&file).unwrap();
    let whole = |size| Log { size, fork: u64::MAX };
    for size in [3, 3, 11] {
        let output = watch(whole(size));
        assert_eq!(exit(&output), 0, "{output:?}");
        assert_eq!(kept(), whole(size).checkpoint());
    }
    let forked = file.with_added_extension("forked");
    for other in [Log { size: 20, fork: 5 }, Log { size: 7, fork: u64::MAX }] {
        let _none_yet = std::fs::remove_file(&forked);
        let shown = other.checkpoint();
        let output = watch(other);
        assert_eq!(exit(&output), 1, "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("rewritten or forked"), "{output:?}");
        assert_eq!((kept(), std::fs::read_to_string(&forked).unwrap()), (whole(11).checkpoint(), shown));
    }
    let output = signer(&[
        "audit",
        "watch",
        "x",
        "--log-key",
        "none",
        "--server",
        "http://127.0.0.1:9",
        "--token",
        "t",
    ]);
    assert_eq!(exit(&output), 2);
}
