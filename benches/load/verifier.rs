//! Verifiers that check the codes of phones.

use std::sync::atomic::{AtomicUsize, Ordering};

use signer_benches::{
    batch::{self, Batch, TURNS},
    http::Connection,
    online::verification,
    phone::Phone,
};
use signer_core::{
    credential::{Colour, Step, StepRule},
    wire::{BATCH_MAX, CreatedRelyingParty, Profile, Verification, VerifyCode},
};
use signer_server::ports::{Clock as _, SystemClock};

use crate::{drive::Pace, phones, sessions::Turns, table::Rows, target::Target, worker::Worker};

/// Tokens of the verifiers, and those who come to them.
pub(crate) struct Verifiers {
    tokens: Vec<String>,
    holders: Turns<Holder>,
    asked: AtomicUsize,
}

/// A phone that shows codes. Each credential of its batch is shown once, then each again, until it has no more codes in this
/// step.
struct Holder {
    phone: Phone,
    batch: Option<Batch>,
    step: Step,
    shown: usize,
}

impl Verifiers {
    /// Registers so many; the phones come to them by turns.
    pub(crate) fn register(target: &Target, count: usize, phones: &[Phone]) -> Self {
        let mut line = Connection::open(target.address());
        let one = |number: usize| {
            let body =
                serde_json::json!({ "name": format!("Shop {number}"), "may_ask": false, "may_verify": true });
            let made: CreatedRelyingParty =
                serde_json::from_slice(&line.send(&target.admin("/relying-parties", &body))).unwrap();
            made.token
        };
        let tokens = (0..count).map(one).collect();
        let holders = Turns::new(phones.iter().map(|phone| Holder::new(phones::again(phone))));
        Self { tokens, holders, asked: AtomicUsize::new(0) }
    }

    /// What one of them does until the end.
    pub(crate) fn work(&self, number: usize, worker: Worker<'_>, pace: &Pace) -> Rows {
        worker.work(pace, &self.holders, |worker, holder| {
            let code = holder.code(worker)?;
            // Verifiers remember their names of questions for a minute: no two are alike.
            let request_id = format!("load-{:08}", self.asked.fetch_add(1, Ordering::Relaxed));
            let question = VerifyCode { code, request_id, profile: None, request: None };
            let answer = worker.send("verify", &verification(&self.tokens[number], &question))?;
            let answer: Verification = serde_json::from_slice(&answer).unwrap();
            if answer.result.result != Colour::Green {
                let reason = serde_json::to_value(answer.result.reason).unwrap();
                worker.failed("verify", reason.as_str().unwrap());
            }
            Some(())
        })
    }
}

impl Holder {
    fn new(phone: Phone) -> Self {
        Self { phone, batch: None, step: Step(0), shown: 0 }
    }

    /// The text of its next QR. Asks for credentials if there is none left.
    fn code(&mut self, worker: &mut Worker<'_>) -> Option<String> {
        let now = SystemClock.now();
        let step = StepRule::STANDARD.step_at(now);
        if self.step != step {
            (self.step, self.shown) = (step, 0);
        }
        if self.batch.is_none() || self.shown >= BATCH_MAX * usize::from(TURNS) {
            let (asked, question) = batch::ask(&mut self.phone, Profile::Age);
            let issued = worker.exchange("issue", &self.phone, &question)?;
            (self.batch, self.shown) = (Some(asked.issued(issued)), 0);
        }
        let turn = u8::try_from(self.shown / BATCH_MAX).unwrap();
        let code = self.batch.as_ref()?.code(self.shown % BATCH_MAX, turn, now)?;
        self.shown += 1;
        Some(code.as_str().to_owned())
    }
}
