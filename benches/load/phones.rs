//! Phones: enrolled once, kept in a file.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rand::{
    SeedableRng as _,
    rngs::{StdRng, SysRng},
};
use signer_benches::{
    http::{Connection, Request},
    phone::{Phone, Post, person},
};
use signer_core::{
    suite::SuiteId,
    wire::{CreatedEnrolmentCode, Operation},
};
use signer_server::ports::{Clock as _, SystemClock};

use crate::target::Target;

/// Enrolments at once. Each keeps a core of the server busy.
const ENROLLING: usize = 8;

struct OverHttp(Connection);

impl Post for OverHttp {
    async fn post(&mut self, operation: Operation, message: Vec<u8>) -> Vec<u8> {
        self.0.send(&device(operation, &message))
    }
}

/// A message of a phone.
pub(crate) fn device(operation: Operation, message: &[u8]) -> Request {
    Request::post(&format!("/device/v1/{}", operation.path()), "application/cbor", &[], message)
}

fn rng() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap()
}

/// The same phone, for what it does beside: it shows codes while it signs.
pub(crate) fn again(phone: &Phone) -> Phone {
    Phone::read(&phone.line(), rng()).unwrap()
}

/// The phones that were kept, and new ones until there are so many.
pub(crate) fn load_or_enrol(target: &Target, suite: SuiteId, count: usize) -> Vec<Phone> {
    let text = fs::read_to_string(&target.state).unwrap_or_default();
    let mut phones: Vec<Phone> = text
        .lines()
        .take(count)
        .map(|line| Phone::read(line, rng()).expect("a damaged line of --state"))
        .collect();
    let (first, enrolled) = (phones.len(), AtomicUsize::new(phones.len()));
    let new = Mutex::new(Vec::new());
    // Names of their own: the same people may have phones of an earlier file.
    let run: u32 = rand::RngExt::random(&mut rng());
    thread::scope(|scope| {
        for _ in 0..ENROLLING.min(count - first) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut line = OverHttp(Connection::open(target.address()));
                loop {
                    let number = enrolled.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if number % 100 == 0 && number > first {
                        eprintln!("enrolled {number} of {count}");
                    }
                    let person = format!("{}-{run:08x}", person(number));
                    let body = serde_json::json!({ "person": person });
                    let code: CreatedEnrolmentCode =
                        serde_json::from_slice(&line.0.send(&target.admin("/enrolment-codes", &body)))
                            .unwrap();
                    let now = SystemClock.now();
                    let phone = Phone::enrol_by(&mut line, suite, person, code.code, now, rng());
                    let phone = runtime.block_on(phone);
                    new.lock().unwrap().push(phone);
                }
            });
        }
    });
    let new = new.into_inner().unwrap();
    let any = !new.is_empty();
    phones.extend(new);
    if any {
        keep(target, &phones);
    }
    phones
}

/// Writes the phones down, with their tokens as they are now; those of the file that were not used stay.
pub(crate) fn keep(target: &Target, phones: &[Phone]) {
    let before = fs::read_to_string(&target.state).unwrap_or_default();
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&target.state).unwrap();
    let rest = before.lines().skip(phones.len()).map(str::to_owned);
    for line in phones.iter().map(Phone::line).chain(rest) {
        writeln!(file, "{line}").unwrap();
    }
}
