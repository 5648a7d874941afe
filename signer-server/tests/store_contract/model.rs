//! Random histories of one installation against a model so simple that it is plainly right.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use signer_core::{ids::Epoch, time::UnixSeconds};
use signer_server::store::{
    Lease, LockPolicy, PayloadHash, Reserve, Reserved, Settle, Settled, Store, Verdict,
};

use crate::fixture::*;

#[derive(Debug, Clone)]
enum Step {
    Reserve(u8),
    Settle(usize, usize),
    Crash,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0u8..6).prop_map(Step::Reserve),
        5 => (0usize..3, 0usize..4).prop_map(|(back, verdict)| Step::Settle(back, verdict)),
        1 => Just(Step::Crash),
        2 => prop_oneof![Just(1), Just(LEASE), Just(3 * 3600), Just(90_000)].prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A policy with one step down in a lifetime: then counts can be added up.
fn policy() -> LockPolicy {
    LockPolicy { tries: 3, lock_seconds: vec![3 * 3600, 24 * 3600], step_down_seconds: u64::MAX }
}

/// What must be true of the store after every step.
#[derive(Default)]
struct Model {
    /// Attempts that stand for good: wrong ones, and ones another payload replaced.
    wrong: u32,
    /// Whether the one success that forgets was used.
    stepped_down: bool,
    /// The reservation that may settle, and until when it holds.
    out: Option<(Lease, UnixSeconds)>,
    granted: Vec<Lease>,
    /// Epoch of the living shares.
    epoch: u32,
    settled: Vec<(PayloadHash, UnixSeconds)>,
}

impl Model {
    fn total(&self) -> u32 {
        self.wrong + u32::from(self.out.is_some())
    }

    fn reserve(&mut self, asked: PayloadHash, now: UnixSeconds, answer: &Reserved) {
        let stored = self.settled.iter().any(|(payload, at)| *payload == asked && now < at.plus(24 * 3600));
        assert_eq!(matches!(answer, Reserved::Stored(_)), stored, "an outcome is kept for a day");
        match answer {
            Reserved::Granted(lease) => {
                if let Some((old, until)) = self.out {
                    assert!(now >= until, "two reservations hold at once");
                    assert!(lease.serial > old.serial);
                    self.wrong += u32::from(old.payload != asked);
                }
                self.out = Some((*lease, now.plus(LEASE)));
                self.granted.push(*lease);
            }
            Reserved::Stored(_) => {}
            Reserved::Busy => assert!(self.out.is_some_and(|(_, until)| now < until)),
            Reserved::Locked(until) => {
                assert!(now < *until && self.total().is_multiple_of(3) && self.total() > 0);
            }
            Reserved::Blocked => assert_eq!(self.total(), 9),
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, lease: Lease, verdict: &Verdict, now: UnixSeconds, answer: &Settled) {
        let living = self.out.is_some_and(|(out, _)| out == lease);
        assert_eq!(living, *answer != Settled::LeaseLost, "the newest reservation settles, once");
        if !living {
            return;
        }
        self.out = None;
        match verdict {
            Verdict::WrongPin => self.wrong += 1,
            Verdict::PinProven if !self.stepped_down && self.wrong > 0 => {
                self.stepped_down = true;
                self.wrong = (self.wrong - 1) / 3 * 3;
            }
            Verdict::Refreshed { .. } => self.epoch += 1,
            _ => {}
        }
        if !matches!(verdict, Verdict::ServerFault | Verdict::Refreshed { .. }) {
            self.settled.push((lease.payload, now));
        }
    }
}

pub(crate) async fn att_014_random_histories_agree_with_the_model<E: Engine>() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[14; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let cases =
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(E::HISTORIES);
    for _ in 0..cases {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        println!("{steps:?}"); // shown if the test fails
        history::<E>(&steps).await;
    }
}

async fn history<E: Engine>(steps: &[Step]) {
    let mut engine: E = engine().await;
    enrol(&*engine.store(), 1).await;
    let (mut model, mut now) = (Model::default(), T0);
    for step in steps {
        match *step {
            Step::Wait(seconds) => now = now.plus(seconds),
            Step::Crash => {
                engine.reopen().await;
                model.out = model.out.map(|(lease, _)| (lease, now));
            }
            Step::Reserve(n) => {
                let ask = Reserve { policy: policy(), epoch: Epoch(model.epoch), ..reserve(n, now) };
                let answer = engine.store().reserve(ask).await.unwrap();
                model.reserve(payload(n), now, &answer);
            }
            Step::Settle(back, verdict) => {
                let Some(index) = model.granted.len().checked_sub(back + 1) else { continue };
                let lease = model.granted[index];
                let promote = refreshed(model.epoch + 1);
                let verdicts = [Verdict::WrongPin, Verdict::ServerFault, Verdict::PinProven, promote];
                let verdict = verdicts[verdict].clone();
                let act = Settle { policy: policy(), ..settle(lease, None, verdict.clone(), now) };
                let answer = engine.store().settle(act).await.unwrap();
                model.settle(lease, &verdict, now, &answer);
            }
        }
        assert_eq!(total(&*engine.store()).await, model.total(), "after {step:?}");
    }
}

/// All attempts that stand against installation 1.
async fn total(store: &dyn Store) -> u32 {
    let (level, wrong) = counted(store).await;
    u32::from(level) * 3 + u32::from(wrong)
}
