//! Sessions of phones and banks, and verifiers beside them.

use std::{
    collections::VecDeque,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use signer_benches::phone::Phone;
use signer_core::wire::{PendingRequests, RequestStatus, RequestView, RequestsQuery};

use crate::{
    bank::Bank,
    drive::{Pace, Plan, sum},
    table::{Report, Rows},
    target::Target,
    verifier::Verifiers,
    worker::Worker,
};

/// What phones do by turns: whoever rested longest comes next.
pub(crate) struct Turns<T>(Mutex<VecDeque<T>>);

impl<T> Turns<T> {
    pub(crate) fn new(all: impl IntoIterator<Item = T>) -> Self {
        Self(Mutex::new(all.into_iter().collect()))
    }

    fn take(&self) -> Option<T> {
        self.0.lock().unwrap().pop_front()
    }

    fn put_back(&self, one: T) {
        self.0.lock().unwrap().push_back(one);
    }

    fn into_inner(self) -> impl Iterator<Item = T> {
        self.0.into_inner().unwrap().into_iter()
    }
}

impl Worker<'_> {
    /// Until the end: `act` on the next one that is free.
    pub(crate) fn work<T>(
        mut self,
        pace: &Pace,
        turns: &Turns<T>,
        mut act: impl FnMut(&mut Self, &mut T) -> Option<()>,
    ) -> Rows {
        while let Some(counts) = pace.next() {
            // With fewer phones than workers some wait.
            let mut one = loop {
                if let Some(one) = turns.take() {
                    break one;
                }
                thread::sleep(Duration::from_millis(1));
            };
            self.counts = counts;
            let done = act(&mut self, &mut one);
            turns.put_back(one);
            if done.is_none() {
                // An error is not answered by hammering.
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.rows
    }

    /// From the question to the result.
    fn session(&mut self, bank: &Bank, phone: &mut Phone) -> Option<()> {
        let start = Instant::now();
        let made = self.asked(bank, phone)?;
        let listed: PendingRequests = self.exchange("list", phone, &RequestsQuery {})?;
        let object = listed.requests.into_iter().find(|object| object.request == made.id)?;
        let approve = self.ready(phone, object)?;
        self.approve(phone, &approve)?;
        let view = self.send("result", &bank.result(&made.id.to_string()))?;
        let view: RequestView = serde_json::from_slice(&view).unwrap();
        assert_eq!(view.status, RequestStatus::Signed);
        if self.counts {
            self.rows.took("session", start.elapsed());
        }
        Some(())
    }
}

/// Whole sessions, each on the next phone that is free, and codes that verifiers check.
pub(crate) fn sessions(
    plan: &Plan,
    target: &Target,
    banks: &[Bank],
    phones: Vec<Phone>,
    verifiers: &Verifiers,
) -> (Report, Vec<Phone>) {
    let phones = Turns::new(phones);
    let start = Instant::now();
    let pace = Pace::new(plan, start, plan.rate);
    let verify_pace = Pace::new(plan, start, plan.verify_rate);
    let signs = |number: usize| {
        let bank = &banks[number % banks.len()];
        Worker::new(target).work(&pace, &phones, |worker, phone| worker.session(bank, phone))
    };
    let verifies = |number: usize| verifiers.work(number, Worker::new(target), &verify_pace);
    let (signs, verifies) = (&signs, &verifies);
    let (rows, usage) = thread::scope(|scope| {
        let mut workers: Vec<_> =
            (0..plan.workers).map(|number| scope.spawn(move || signs(number))).collect();
        workers.extend((0..plan.verifiers).map(|number| scope.spawn(move || verifies(number))));
        thread::sleep(plan.warm_up);
        let before = target.usage();
        let rows = sum(workers.into_iter().map(|worker| worker.join().unwrap()));
        (rows, before.zip(target.usage()))
    });
    let late = [pace.late(), verify_pace.late()].into_iter().flatten().reduce(|sum, more| sum + more);
    let whole: &[_] = match (plan.workers, plan.verifiers) {
        (_, 0) => &["session"],
        (0, _) => &["verify"],
        _ => &["session", "verify"],
    };
    (Report::new(whole, rows, start.elapsed() - plan.warm_up, usage, late), phones.into_inner().collect())
}
