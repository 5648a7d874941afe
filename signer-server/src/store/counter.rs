//! The attempt counter of an installation: pure, so that every engine counts alike.

use serde::{Deserialize, Serialize};
use signer_core::{time::UnixSeconds, wire};

/// Locks after wrong PINs: each level allows [`LockPolicy::tries`] and then locks for its time; after the last, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockPolicy {
    /// Wrong PINs per level.
    pub tries: u8,
    /// Lock after each level, seconds. One more level follows, whose end blocks.
    pub lock_seconds: Vec<u64>,
    /// A success steps the counter down at most once in this time, seconds.
    pub step_down_seconds: u64,
}

impl LockPolicy {
    /// Whether the policy keeps a guesser off: at most 15 tries before the block, real pauses, no quick forgetting.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        let levels = self.lock_seconds.len().saturating_add(1);
        let tries = usize::from(self.tries).saturating_mul(levels);
        (1..=15).contains(&tries)
            && self.lock_seconds.iter().all(|seconds| *seconds >= 1800)
            && self.step_down_seconds >= 3600
    }
}

impl Default for LockPolicy {
    /// 3 wrong, then 3 h; 3 more, 24 h; 3 more, blocked (design 2.4).
    fn default() -> Self {
        Self { tries: 3, lock_seconds: vec![3 * 3600, 24 * 3600], step_down_seconds: 24 * 3600 }
    }
}

/// State of the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// Levels used up.
    pub level: u8,
    /// Wrong PINs (and evaluations not settled) in this level.
    pub wrong: u8,
    /// No PIN is evaluated before this moment.
    pub locked_until: UnixSeconds,
    /// When a success last stepped the counter down.
    pub stepped_down_at: UnixSeconds,
}

/// Why no attempt is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterRefusal {
    /// Until this moment.
    Locked(UnixSeconds),
    /// For good.
    Blocked,
}

impl Counter {
    /// Counts an attempt before it is evaluated, as if it were wrong.
    ///
    /// # Errors
    /// [`CounterRefusal`] if the counter is locked or blocked.
    pub fn count(self, policy: &LockPolicy, now: UnixSeconds) -> Result<Self, CounterRefusal> {
        if self.blocked(policy) {
            return Err(CounterRefusal::Blocked);
        }
        if now < self.locked_until {
            return Err(CounterRefusal::Locked(self.locked_until));
        }
        let wrong = self.wrong.saturating_add(1);
        if wrong < policy.tries {
            return Ok(Self { wrong, ..self });
        }
        let lock = policy.lock_seconds.get(usize::from(self.level)).copied().unwrap_or(0);
        Ok(Self { level: self.level.saturating_add(1), wrong: 0, locked_until: now.plus(lock), ..self })
    }

    /// After a success, starting from the counter as it was before the attempt: wrong PINs of this level are forgotten, or
    /// one level is, at most once in [`LockPolicy::step_down_seconds`].
    #[must_use]
    pub fn succeed(self, policy: &LockPolicy, now: UnixSeconds) -> Self {
        let due = self.stepped_down_at == UnixSeconds(0)
            || now >= self.stepped_down_at.plus(policy.step_down_seconds);
        match (due, self.wrong, self.level) {
            (true, 1.., _) => Self { wrong: 0, stepped_down_at: now, ..self },
            (true, 0, 1..) => Self { level: self.level.saturating_sub(1), stepped_down_at: now, ..self },
            _ => self,
        }
    }

    /// What the holder is told.
    #[must_use]
    pub fn shown(self, policy: &LockPolicy, now: UnixSeconds) -> wire::Attempts {
        let blocked = self.blocked(policy);
        let locked = !blocked && now < self.locked_until;
        wire::Attempts {
            left: if blocked || locked { 0 } else { policy.tries.saturating_sub(self.wrong) },
            locked_until: locked.then_some(self.locked_until),
            blocked,
        }
    }

    fn blocked(self, policy: &LockPolicy) -> bool {
        usize::from(self.level) > policy.lock_seconds.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn att_004_three_wrong_lock_three_hours_then_a_day_then_for_good() {
        let policy = LockPolicy::default();
        let mut counter = Counter::default();
        let mut now = T0;
        for lock in [3 * 3600, 24 * 3600] {
            for _ in 0..3 {
                counter = counter.count(&policy, now).unwrap();
            }
            assert_eq!(
                counter.count(&policy, now.plus(lock - 1)),
                Err(CounterRefusal::Locked(now.plus(lock)))
            );
            now = now.plus(lock);
        }
        for _ in 0..3 {
            counter = counter.count(&policy, now).unwrap();
        }
        assert_eq!(counter.count(&policy, now.plus(1 << 40)), Err(CounterRefusal::Blocked));
        assert!(counter.shown(&policy, now).blocked);
    }

    #[test]
    fn att_005_success_steps_down_once_a_day() {
        let policy = LockPolicy::default();
        let counter = Counter { level: 1, wrong: 2, ..Counter::default() };
        let counter = counter.succeed(&policy, T0);
        assert_eq!((counter.level, counter.wrong), (1, 0));
        let same_day = counter.count(&policy, T0).unwrap().succeed(&policy, T0.plus(86_399));
        assert_eq!((same_day.level, same_day.wrong), (1, 1));
        let next_day = counter.succeed(&policy, T0.plus(86_400));
        assert_eq!((next_day.level, next_day.wrong), (0, 0));
    }
}
