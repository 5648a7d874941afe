//! Circuit breaker: a register that fails again and again is left alone for a while, then asked once, to see. Meanwhile callers
//! get their answer at once, and the register is not buried in questions when it comes back.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Failures in a row that open it.
const FAILURES_MAX: u32 = 5;
/// How long it stays open.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One question is out, to see.
    HalfOpen,
}

#[derive(Debug)]
pub(super) struct Breaker(Mutex<State>);

/// Leave to ask. Dropped without an outcome it counts as nothing: the caller went away.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    breaker: &'a Breaker,
    trial: Option<Instant>,
}

impl Breaker {
    pub(super) const fn closed() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }

    /// Leave to ask the register now, if it is to be asked.
    pub(super) fn leave(&self, now: Instant) -> Option<Leave<'_>> {
        let mut state = self.lock();
        let trial = match *state {
            State::Closed { .. } => None,
            State::Open { until } if until <= now => {
                *state = State::HalfOpen;
                Some(now)
            }
            State::Open { .. } | State::HalfOpen => return None,
        };
        Some(Leave { breaker: self, trial })
    }

    /// Whether no question is let through, but one to see.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leave<'_> {
    /// The register answered, whatever it said.
    pub(super) fn answered(mut self) {
        let mut state = self.breaker.lock();
        // An answer to a question from before it opened proves less than the failures since.
        if self.trial.take().is_some() || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
        }
    }

    /// It did not. True if this opened the breaker.
    pub(super) fn failed(mut self, now: Instant) -> bool {
        let mut state = self.breaker.lock();
        let failures = match *state {
            _ if self.trial.take().is_some() => FAILURES_MAX,
            State::Closed { failures } => failures + 1,
            State::Open { .. } | State::HalfOpen => return false,
        };
        let opens = failures >= FAILURES_MAX;
        *state = if opens { State::Open { until: now + REST } } else { State::Closed { failures } };
        opens
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.trial.take() {
            *self.breaker.lock() = State::Open { until: since };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(at: Instant) -> Breaker {
        let breaker = Breaker::closed();
        for n in 1..=FAILURES_MAX {
            assert_eq!(breaker.leave(at).unwrap().failed(at), n == FAILURES_MAX);
        }
        breaker
    }

    #[test]
    fn reg_003_five_failures_in_a_row_open_it_and_one_answer_closes_it() {
        let start = Instant::now();
        let breaker = Breaker::closed();
        for _ in 0..3 {
            for _ in 1..FAILURES_MAX {
                assert!(!breaker.leave(start).unwrap().failed(start));
            }
            breaker.leave(start).unwrap().answered();
        }
        let breaker = opened(start);
        assert!(breaker.leave(start).is_none());
        assert!(breaker.leave(start + REST - Duration::from_millis(1)).is_none());
        let trial = breaker.leave(start + REST).unwrap();
        assert!(breaker.leave(start + 2 * REST).is_none(), "one question at a time");
        trial.answered();
        assert!(breaker.leave(start + REST).is_some() && breaker.leave(start + REST).is_some());
    }

    #[test]
    fn reg_003_a_trial_that_fails_opens_it_again_and_one_given_up_lets_the_next_try() {
        let start = Instant::now();
        let breaker = opened(start);
        let again = start + REST;
        assert!(breaker.leave(again).unwrap().failed(again));
        assert!(breaker.leave(again + REST / 2).is_none());
        drop(breaker.leave(again + REST).unwrap());
        breaker.leave(again + REST).unwrap().answered();
        assert!(breaker.leave(again + REST).is_some());
    }

    #[test]
    fn reg_003_late_outcomes_of_earlier_questions_change_nothing_while_it_is_open() {
        let start = Instant::now();
        let breaker = Breaker::closed();
        let early: Vec<_> = (0..3).map(|_| breaker.leave(start).unwrap()).collect();
        for _ in 0..FAILURES_MAX {
            breaker.leave(start).unwrap().failed(start);
        }
        let mut early = early.into_iter();
        early.next().unwrap().answered();
        assert!(!early.next().unwrap().failed(start + REST));
        assert!(breaker.leave(start).is_none());
        let _trial = breaker.leave(start + REST).unwrap();
        early.next().unwrap().answered();
        assert!(breaker.leave(start + REST).is_none(), "the trial decides");
    }
}
