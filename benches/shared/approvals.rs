//! A whole server in this process, and phones that hold 64 approvals in flight, each one at a time: a second approve, made
//! before the first is answered, would be late.
//!
//! Approvals are prepared before the clock starts: request made, fetched, contributed, signed, sealed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use signer_core::{
    codec,
    suite::SuiteId,
    wire::{CreateRelyingParty, Evaluated, REPLY_BYTES_MAX},
};
use signer_server::store::RelyingPartyRow;

use crate::{
    alternate::process_cpu,
    http::{Request, send},
    phone::Phone,
    server::{Server, together},
};

/// Approvals in flight: so many connections, each sending its next phone's when it has an answer.
pub const IN_FLIGHT: usize = 64;

/// The server, and the phones enrolled with it.
#[derive(Debug)]
pub struct World {
    server: Server,
    bank: RelyingPartyRow,
    /// One list for each connection.
    phones: Vec<Vec<Phone>>,
}

/// Sealed approvals, one list for each connection.
pub type Prepared = Vec<Vec<Vec<u8>>>;

/// What one batch of approvals took.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Signatures made.
    pub signatures: f64,
    /// By the clock on the wall.
    pub wall: Duration,
    /// CPU time of the server's threads.
    pub server_cpu: Duration,
    /// Transactions committed meanwhile.
    pub commits: f64,
}

impl World {
    /// Starts the server on an empty folder and enrols `each` phones for each connection, with keys of `suite`.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn new(suite: SuiteId, each: usize) -> Self {
        let server = Server::start(None);
        let (bank, _) = server.register(CreateRelyingParty {
            name: "Bank of Examples".into(),
            may_ask: true,
            ..CreateRelyingParty::default()
        });
        let phones = server.runtime.block_on(together((0..IN_FLIGHT).map(|number| {
            let service = Arc::clone(&server.service);
            async move {
                let mut phones = Vec::new();
                for phone in 0..each {
                    phones.push(Phone::enrol(&service, suite, number * each + phone).await);
                }
                (number, phones)
            }
        })));
        Self { server, bank, phones }
    }

    /// Makes an approval ready on every phone.
    ///
    /// # Panics
    /// If anything fails.
    pub fn prepare(&mut self) -> Prepared {
        let phones = std::mem::take(&mut self.phones);
        let worked = self.server.runtime.block_on(together(phones.into_iter().enumerate().map(
            |(number, mut phones)| {
                let (service, bank) = (Arc::clone(&self.server.service), self.bank.clone());
                async move {
                    let mut approvals = Vec::new();
                    for phone in &mut phones {
                        approvals.push(phone.approval(&service, &bank).await);
                    }
                    (number, (phones, approvals))
                }
            },
        )));
        let (phones, approvals) = worked.into_iter().unzip();
        self.phones = phones;
        approvals
    }

    /// Sends prepared approvals over HTTP, every list on a thread and a connection of its own.
    ///
    /// # Panics
    /// If one is not signed.
    #[must_use]
    pub fn over_http(&self, prepared: Prepared) -> Measured {
        let request = |body: &Vec<u8>| Request::post("/device/v1/approve", "application/cbor", &[], body);
        let lists = prepared.iter().map(|approvals| approvals.iter().map(request).collect()).collect();
        drop(prepared);
        let commits = self.server.store.commits();
        let run = send(self.server.address, lists);
        run.replies.iter().for_each(|reply| assert_signed(&codec::decode(reply, REPLY_BYTES_MAX).unwrap()));
        Measured {
            signatures: count(run.replies.len()),
            wall: run.wall,
            server_cpu: run.server_cpu,
            commits: count_u64(self.server.store.commits() - commits),
        }
    }

    /// Gives prepared approvals to the service itself, every list a task of its own.
    ///
    /// # Panics
    /// If one is not signed.
    #[must_use]
    pub fn without_http(&self, prepared: Prepared) -> Measured {
        let commits = self.server.store.commits();
        let cpu = process_cpu();
        let start = Instant::now();
        let replies = self.server.runtime.block_on(together(prepared.into_iter().enumerate().map(
            |(number, approvals)| {
                let service = Arc::clone(&self.server.service);
                async move {
                    let mut replies = Vec::new();
                    for approval in approvals {
                        replies.push(service.approve(&approval).await.unwrap());
                    }
                    (number, replies)
                }
            },
        )));
        let (wall, cpu) = (start.elapsed(), process_cpu() - cpu);
        let replies: Vec<_> = replies.into_iter().flatten().collect();
        replies.iter().for_each(assert_signed);
        Measured {
            signatures: count(replies.len()),
            wall,
            server_cpu: cpu,
            commits: count_u64(self.server.store.commits() - commits),
        }
    }
}

fn assert_signed(reply: &Evaluated) {
    assert!(matches!(reply, Evaluated::Signed { .. }), "{reply:?}");
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn count_u64(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
