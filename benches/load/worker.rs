//! One thread of the client: its connection, its calls, what it measured.

use std::time::Instant;

use signer_benches::{
    http::{Connection, Request},
    phone::Phone,
};
use signer_core::{
    approval::RequestObject,
    codec,
    wire::{CreatedRequest, Evaluated, Exchange, Fetched, Operation, Problem, REPLY_BYTES_MAX},
};
use signer_server::ports::{Clock as _, SystemClock};

use crate::{bank::Bank, phones::device, table::Rows, target::Target};

/// Its connection, and what it measured.
pub(crate) struct Worker<'a> {
    line: Connection,
    target: &'a Target,
    pub(crate) rows: Rows,
    /// Whether what comes is measured.
    pub(crate) counts: bool,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(target: &'a Target) -> Self {
        Self { line: Connection::open(target.address()), target, rows: Rows::default(), counts: true }
    }

    /// Sends and measures. `None`: it was counted as an error.
    pub(crate) fn send(&mut self, name: &'static str, request: &Request) -> Option<Vec<u8>> {
        let start = Instant::now();
        let answer = self.line.exchange(request);
        let time = start.elapsed();
        let code = match answer {
            Ok((200..300, body)) => {
                if self.counts {
                    self.rows.took(name, time);
                }
                return Some(body);
            }
            Ok((status, body)) => serde_json::from_slice::<Problem>(&body)
                .map_or_else(|_| format!("status {status}"), |problem| problem.code.code().to_owned()),
            Err(error) => {
                // The server closed it, or is gone: the next call finds out.
                if let Ok(line) = Connection::try_open(self.target.address()) {
                    self.line = line;
                }
                error.kind().to_string()
            }
        };
        self.failed(name, &code);
        None
    }

    /// Counts an error of this code.
    pub(crate) fn failed(&mut self, name: &'static str, code: &str) {
        if self.counts {
            self.rows.failed(name, code);
        }
    }

    pub(crate) fn exchange<E: Exchange>(
        &mut self,
        name: &'static str,
        phone: &Phone,
        body: &E,
    ) -> Option<E::Reply> {
        let message = phone.seal(SystemClock.now(), body);
        let reply = self.send(name, &device(E::OPERATION, &message))?;
        Some(codec::decode(&reply, REPLY_BYTES_MAX).unwrap())
    }

    pub(crate) fn asked(&mut self, bank: &Bank, phone: &Phone) -> Option<CreatedRequest> {
        let made = self.send("ask", &bank.ask(&phone.request()))?;
        Some(serde_json::from_slice(&made).unwrap())
    }

    /// Fetches a listed request and makes its approve.
    pub(crate) fn ready(&mut self, phone: &mut Phone, object: RequestObject) -> Option<Request> {
        let (sent, message) = phone.fetch(object, SystemClock.now());
        let reply = self.send("fetch", &device(Operation::Fetch, &message))?;
        let fetched: Fetched = codec::decode(&reply, REPLY_BYTES_MAX).unwrap();
        Some(device(Operation::Approve, &phone.approve(sent, fetched, SystemClock.now())))
    }

    pub(crate) fn approve(&mut self, phone: &mut Phone, approve: &Request) -> Option<()> {
        let reply = self.send("approve", approve)?;
        match codec::decode(&reply, REPLY_BYTES_MAX).unwrap() {
            Evaluated::Signed { token, .. } => {
                phone.take_token(token);
                Some(())
            }
            other => panic!("an approval ended as {other:?}"),
        }
    }
}
