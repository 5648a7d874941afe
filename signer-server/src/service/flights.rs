//! Requests that are being made, by their idempotency keys: a second one with the same key is told so, and not held up.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use signer_core::wire::ProblemCode;

use super::{Refusal, ServiceResult};

/// Hashes of the keys under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashSet<[u8; 32]>>);

/// One key under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    all: &'a Flights,
    key: [u8; 32],
}

impl Flights {
    /// Begins.
    ///
    /// # Errors
    /// `idempotency_in_flight` if another with this key has begun and is not done.
    pub(super) fn begin(&self, key: [u8; 32]) -> ServiceResult<Flight<'_>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(key) {
            Ok(Flight { all: self, key })
        } else {
            Err(Refusal::new(ProblemCode::IdempotencyInFlight).into())
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::ServiceError;

    #[test]
    fn a_key_is_under_way_once() {
        let flights = Flights::default();
        let first = flights.begin([1; 32]).unwrap();
        let _other = flights.begin([2; 32]).unwrap();
        match flights.begin([1; 32]) {
            Err(ServiceError::Refused(refusal)) => {
                assert_eq!(refusal.code, ProblemCode::IdempotencyInFlight);
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
        drop(first);
        flights.begin([1; 32]).unwrap();
    }
}
