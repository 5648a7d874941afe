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
/// Least that the requests of a relying party may be allowed to take, bytes.
pub const KEPT_BYTES_MIN: u64 = 1 << 20;
/// Most that they may be allowed to take, bytes.
pub const KEPT_BYTES_MAX: u64 = 1 << 50;
/// Most calls in a second that a relying party may be allowed.
pub const CALLS_PER_SECOND_MAX: u32 = 1_000_000;

/// So many in so many seconds, all of them at once if none came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// Calls of a relying party in a second, unless it has a number of its own.
    pub calls_per_second: u32,
    /// Seconds' worth of calls that may come at once.
    pub burst_seconds: u32,
    /// Requests of one relying party for one person, in an hour.
    pub requests_for_person: u32,
    /// Requests of all for one person, in an hour.
    pub requests_for_person_of_all: u32,
    /// How long two refusals pause a relying party for their person, seconds.
    pub pause: u64,
    /// Bytes that the requests of a relying party may take, unless it has a number of its own.
    pub kept_bytes: u64,
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

/// A person who is asked by a relying party.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Who asks.
    pub(super) party: RelyingPartyId,
    /// Who is asked.
    pub(super) person: &'a Holder,
    /// Whether to sign in. Whoever is at a page begins that: it is counted by itself, so that it does not keep relying parties
    /// from asking.
    pub(super) sign_in: bool,
}

/// A name that is asked for, by one relying party or by all. Only a hash is kept.
type Name = [u8; 16];

/// All counts.
#[derive(Debug)]
pub(super) struct Limits {
    settings: LimitSettings,
    /// By the rate too: another one begins anew.
    calls: Buckets<(RelyingPartyId, Rate)>,
    by_one: Buckets<Name>,
    by_all: Buckets<Name>,
    /// When a person refused this relying party last, and until when it is paused.
    declined: Mutex<HashMap<Name, (UnixSeconds, UnixSeconds)>>,
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
    pub(super) fn ask(&self, asked: Asked<'_>, now: UnixSeconds) -> Result<(), Refusal> {
        let (one, all) = asked.names();
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
    pub(super) fn not_asked(&self, asked: Asked<'_>) {
        let (rate_of_one, rate_of_all) = self.rates();
        let (one, all) = asked.names();
        self.by_one.give_back(&one, rate_of_one);
        self.by_all.give_back(&all, rate_of_all);
    }

    /// The person refused, or chose a wrong code.
    pub(super) fn declined(&self, asked: Asked<'_>, now: UnixSeconds) {
        let mut declined = self.pauses();
        let (last, until) = declined.entry(asked.names().0).or_insert((UnixSeconds(0), now));
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

    /// Bytes that the requests of a relying party may take, unless it has a number of its own.
    pub(super) const fn kept_bytes(&self) -> u64 {
        self.settings.kept_bytes
    }

    fn pauses(&self) -> MutexGuard<'_, HashMap<Name, (UnixSeconds, UnixSeconds)>> {
        self.declined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Counts a call of a relying party, and says what is left.
    pub fn count_call(&self, party: &RelyingPartyRow) -> Allowance {
        let settings = &self.limits.settings;
        let per_second = party.limits.calls_per_second.unwrap_or(settings.calls_per_second);
        let window = settings.burst_seconds;
        let rate = Rate { quota: per_second.saturating_mul(window), window };
        self.limits.calls.count((party.id, rate), rate, self.now())
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

impl Asked<'_> {
    /// What is counted: for this relying party, and for all.
    fn names(&self) -> (Name, Name) {
        let kind: &[u8] = if self.sign_in { b"asked-to-sign-in" } else { b"asked" };
        (name(kind, self.party.as_bytes(), self.person), name(kind, &[0; 16], self.person))
    }
}

fn name(kind: &[u8], party: &[u8; 16], person: &Holder) -> Name {
    let hash = Hasher::new(Domain::TokenHash).field(kind).field(party);
    let [first, _] = *hash.field(person.as_str().as_bytes()).finish().as_chunks().0 else {
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
