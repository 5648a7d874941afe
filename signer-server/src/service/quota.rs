//! Places of which each caller has no more than its quota: who takes too many leaves the others theirs.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use signer_core::{ids::RelyingPartyId, wire::ProblemCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Refusal, ServiceResult, to_usize};

/// A number of places, and how many of them one caller may have.
#[derive(Debug)]
pub(super) struct Quota<K: Eq + Hash> {
    all: Arc<Semaphore>,
    most: usize,
    each: usize,
    taken: Mutex<HashMap<K, usize>>,
}

impl<K: Eq + Hash + Clone> Quota<K> {
    /// `all` places, at most `each` of them for one caller.
    pub(super) fn new(all: u32, each: u32) -> Arc<Self> {
        let (most, each) = (to_usize(all), to_usize(each));
        Arc::new(Self { all: Arc::new(Semaphore::new(most)), most, each, taken: Mutex::default() })
    }

    /// A place for `caller`, until it is dropped.
    ///
    /// # Errors
    /// `overloaded` if there is none, `too_many` if the caller has its quota.
    pub(super) fn take(self: &Arc<Self>, caller: K) -> ServiceResult<Place<K>> {
        let place = Arc::clone(&self.all).try_acquire_owned();
        let place = place.map_err(|_| Refusal::new(ProblemCode::Overloaded))?;
        let mut taken = self.lock();
        let own = taken.entry(caller.clone()).or_insert(0);
        if *own >= self.each {
            let text = "too many questions of this caller are under way";
            return Err(Refusal::because(ProblemCode::TooMany, text).into());
        }
        *own = own.saturating_add(1);
        drop(taken);
        Ok(Place { quota: Arc::clone(self), caller, _place: place })
    }
}

impl<K: Eq + Hash> Quota<K> {
    /// How many places there are.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many of them are taken.
    pub(super) fn taken(&self) -> usize {
        self.most.saturating_sub(self.all.available_permits())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place.
#[derive(Debug)]
pub struct Place<K: Eq + Hash = RelyingPartyId> {
    quota: Arc<Quota<K>>,
    caller: K,
    _place: OwnedSemaphorePermit,
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.quota.lock();
        if let Some(own) = taken.get_mut(&self.caller) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ServiceError;

    fn code(result: ServiceResult<Place>) -> Option<ProblemCode> {
        match result {
            Ok(_) => None,
            Err(ServiceError::Refused(refusal)) => Some(refusal.code),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn dis_063_a_caller_has_its_quota_and_no_more_and_gives_it_back() {
        let [a, b, c] = [1, 2, 3].map(|n| RelyingPartyId::from_bytes([n; 16]));
        let quota = Quota::new(3, 2);
        let first = quota.take(a).unwrap();
        let _second = quota.take(a).unwrap();
        assert_eq!(code(quota.take(a)), Some(ProblemCode::TooMany));
        let others = quota.take(b).unwrap();
        assert_eq!(code(quota.take(c)), Some(ProblemCode::Overloaded));
        drop(first);
        assert_eq!(code(quota.take(a)), None);
        drop(others);
        assert_eq!(quota.lock().len(), 1, "who has none is forgotten");
    }
}
