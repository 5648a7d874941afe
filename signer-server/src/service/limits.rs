//! How often: calls of a relying party, and requests that one person is asked to sign. Counted in memory, by each server for
//! itself, from its start.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use signer_core::{
    domain::{Domain, Hasher},
    ids::RelyingPartyId,
    time::UnixSeconds,
    wire::ProblemCode,
};

use super::{Refusal, Service, ServiceResult};
use crate::store::{Holder, RelyingPartyRow};

/// Two refusals within this time pause their relying party for that person, seconds.
const DECLINES_WITHIN: u64 = 600;
/// Most names that are counted at once. Who could fill it in an hour has a quarter of a million calls of its own to make.
const NAMES_MAX: usize = 250_000;
const HOUR: u32 = 3_600;

/// So many in so many seconds, all of them at once if none came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub quota: u32,
    /// In how many seconds.
    pub window: u32,
}

/// What a caller may still do after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The rate that holds.
    pub rate: Rate,
    /// How many calls are left now.
    pub remaining: u32,
    /// Seconds until all are there again.
    pub reset: u64,
    /// Seconds to wait, if this call is over the rate.
    pub wait: Option<u64>,
}

/// The limits that a server is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Calls of a relying party.
    pub calls: Rate,
    /// The same, for those that have a rate of their own.
    pub calls_of: HashMap<RelyingPartyId, Rate>,
    /// Requests of one relying party for one person, in an hour.
    pub requests_for_person: u32,
    /// Requests of all for one person, in an hour.
    pub requests_for_person_of_all: u32,
    /// How long two refusals pause a relying party for their person, seconds.
    pub pause: u64,
}

/// Counts of keys, each in a leaky bucket: one number, the time at which it is empty, in parts of a second as fine as the quota.
#[derive(Debug)]
struct Buckets<K>(Mutex<HashMap<K, u64>>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Buckets<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more, unless that is over the rate.
    fn count(&self, key: K, rate: Rate, now: UnixSeconds) -> Allowance {
        let (quota, window) = (u64::from(rate.quota.max(1)), u64::from(rate.window.max(1)));
        let (present, full) = (now.0.saturating_mul(quota), window.saturating_mul(quota));
        let mut buckets = self.lock();
        let empty = buckets.get(&key).copied().unwrap_or(0).max(present);
        let filled = empty.saturating_add(window).saturating_sub(present);
        let wait = (filled > full).then(|| (filled - full).div_ceil(quota));
        let empty = if wait.is_none() { present.saturating_add(filled) } else { empty };
        if wait.is_none() {
            buckets.insert(key, empty);
        }
        let level = empty.saturating_sub(present);
        let remaining = full.saturating_sub(level) / window;
        Allowance {
            rate,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: level.div_ceil(quota),
            wait,
        }
    }

    /// Takes one back.
    fn give_back(&self, key: &K, rate: Rate) {
        if let Some(empty) = self.lock().get_mut(key) {
            *empty = empty.saturating_sub(u64::from(rate.window));
        }
    }

    /// Forgets the empty ones of a quota.
    fn expire(&self, quota: u32, now: UnixSeconds) {
        let present = now.0.saturating_mul(u64::from(quota.max(1)));
        self.lock().retain(|_, empty| *empty > present);
    }
}

/// A name that is asked for, by one relying party or by all. Only a hash is kept.
type Asked = [u8; 16];

/// All counts.
#[derive(Debug)]
pub(super) struct Limits {
    settings: LimitSettings,
    calls: Buckets<RelyingPartyId>,
    by_one: Buckets<Asked>,
    by_all: Buckets<Asked>,
    /// When a person refused this relying party last, and until when it is paused.
    declined: Mutex<HashMap<Asked, (UnixSeconds, UnixSeconds)>>,
}

impl Limits {
    pub(super) fn new(settings: LimitSettings) -> Self {
        Self {
            settings,
            calls: Buckets::default(),
            by_one: Buckets::default(),
            by_all: Buckets::default(),
            declined: Mutex::default(),
        }
    }

    fn rates(&self) -> (Rate, Rate) {
        let hourly = |quota| Rate { quota, window: HOUR };
        (hourly(self.settings.requests_for_person), hourly(self.settings.requests_for_person_of_all))
    }

    /// Counts a request for a person, whoever that is and whether there is one.
    ///
    /// # Errors
    /// `too_many`, with the time to wait.
    pub(super) fn ask(
        &self,
        party: RelyingPartyId,
        person: &Holder,
        now: UnixSeconds,
    ) -> Result<(), Refusal> {
        let (one, all) = (asked(Some(party), person), asked(None, person));
        let (rate_of_one, rate_of_all) = self.rates();
        let paused = self.pauses().get(&one).map_or(0, |(_, until)| until.0.saturating_sub(now.0));
        if paused > 0 {
            return Err(too_many("this person refused twice: ask again later", paused));
        }
        if self.by_one.lock().len().max(self.by_all.lock().len()) >= NAMES_MAX {
            self.expire(now);
            if self.by_one.lock().len().max(self.by_all.lock().len()) >= NAMES_MAX {
                return Err(too_many("too many persons are asked", u64::from(HOUR)));
            }
        }
        if let Some(wait) = self.by_one.count(one, rate_of_one, now).wait {
            let text = format!("at most {} requests an hour for one person", rate_of_one.quota);
            return Err(too_many(&text, wait));
        }
        if let Some(wait) = self.by_all.count(all, rate_of_all, now).wait {
            self.by_one.give_back(&one, rate_of_one);
            return Err(too_many("this person is asked too often", wait));
        }
        Ok(())
    }

    /// Takes a count back: the request was not made.
    pub(super) fn not_asked(&self, party: RelyingPartyId, person: &Holder) {
        let (rate_of_one, rate_of_all) = self.rates();
        self.by_one.give_back(&asked(Some(party), person), rate_of_one);
        self.by_all.give_back(&asked(None, person), rate_of_all);
    }

    /// The person refused.
    pub(super) fn declined(&self, party: RelyingPartyId, person: &Holder, now: UnixSeconds) {
        let mut declined = self.pauses();
        let (last, until) = declined.entry(asked(Some(party), person)).or_insert((UnixSeconds(0), now));
        if now.0.saturating_sub(last.0) <= DECLINES_WITHIN {
            *until = now.plus(self.settings.pause);
        }
        *last = now;
    }

    pub(super) fn expire(&self, now: UnixSeconds) {
        let (one, all) = self.rates();
        self.by_one.expire(one.quota, now);
        self.by_all.expire(all.quota, now);
        self.pauses().retain(|_, (last, until)| *until > now || last.plus(DECLINES_WITHIN) > now);
    }

    fn pauses(&self) -> MutexGuard<'_, HashMap<Asked, (UnixSeconds, UnixSeconds)>> {
        self.declined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Counts a call of a relying party, and says what is left.
    pub fn count_call(&self, party: &RelyingPartyRow) -> Allowance {
        let settings = &self.limits.settings;
        let rate = settings.calls_of.get(&party.id).copied().unwrap_or(settings.calls);
        self.limits.calls.count(party.id, rate, self.now())
    }
}

impl Allowance {
    /// Whether the call may go on.
    ///
    /// # Errors
    /// `too_many`, with the time to wait.
    pub fn check(&self) -> ServiceResult<()> {
        self.wait.map_or(Ok(()), |wait| Err(too_many("too many calls: see RateLimit-Policy", wait).into()))
    }
}

fn asked(party: Option<RelyingPartyId>, person: &Holder) -> Asked {
    let hash = Hasher::new(Domain::TokenHash).field(b"asked");
    let party = party.map(|party| *party.as_bytes()).unwrap_or_default();
    let [first, _] = *hash.field(&party).field(person.as_str().as_bytes()).finish().as_chunks().0 else {
        return [0; 16];
    };
    first
}

fn too_many(text: &str, wait: u64) -> Refusal {
    Refusal { retry_after: Some(wait.max(1)), ..Refusal::because(ProblemCode::TooMany, text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_795_132_800);

    #[test]
    fn lim_001_a_bucket_gives_its_quota_at_once_and_then_as_it_empties() {
        let (buckets, rate) = (Buckets::default(), Rate { quota: 20, window: 3_600 });
        for left in (0..20).rev() {
            let allowance = buckets.count(1, rate, NOW);
            assert_eq!((allowance.remaining, allowance.wait), (left, None));
        }
        let over = buckets.count(1, rate, NOW);
        assert_eq!((over.remaining, over.wait, over.reset), (0, Some(180), 3_600));
        assert_eq!(buckets.count(2, rate, NOW).wait, None, "another has its own");
        assert_eq!(buckets.count(1, rate, NOW.plus(179)).wait, Some(1));
        assert_eq!(buckets.count(1, rate, NOW.plus(180)).wait, None);
        assert_eq!(buckets.count(1, rate, NOW.plus(180)).wait, Some(180));
        buckets.give_back(&1, rate);
        assert_eq!(buckets.count(1, rate, NOW.plus(180)).wait, None);
        assert_eq!(buckets.count(1, rate, NOW.plus(10_000)).remaining, 19);
        buckets.expire(rate.quota, NOW.plus(3_780));
        assert_eq!(buckets.lock().len(), 1, "who has asked nothing is forgotten");
    }

    #[test]
    fn lim_002_a_burst_in_a_second_is_the_quota() {
        let (buckets, rate) = (Buckets::default(), Rate { quota: 2_000, window: 2 });
        let passed = (0..3_000).filter(|_| buckets.count(1, rate, NOW).wait.is_none()).count();
        let next = (0..3_000).filter(|_| buckets.count(1, rate, NOW.plus(1)).wait.is_none()).count();
        assert_eq!((passed, next), (2_000, 1_000));
    }
}
