//! What codes are made from: day keys and credentials, in memory only. A server that restarts, or another one, makes its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use p256::ecdsa::SigningKey;
use signer_core::{
    credential::{Date, DayCredential, Kid, Show, StatusIndex, Step, StepRule, Turn, digits},
    secret::SecretBytes,
    time::UnixSeconds,
    wire::{Made, ProblemCode},
};
use tokio::sync::Semaphore;

use super::{Found, Wanted};
use crate::{
    service::{ServiceError, ServiceResult, quota::Quota},
    store::{DocumentHash, LivePlace, Organisation},
};

/// Most documents of one organisation held at once: a fleet of the largest kind, in about 20 MB.
const HELD_MAX: usize = 20_000;
/// Most questions to the register at once for all organisations, so that phones are answered too.
const QUESTIONS_MAX: usize = 16;
/// Most calls at once for all organisations, and for one: each is up to a thousand signatures.
const CALLS_MAX: u32 = 8;
const CALLS_EACH_MAX: u32 = 2;

/// How long before its end a credential is replaced, seconds: so that a fleet whose credentials end in the same hour has time, and
/// a register that is down for less is not noticed.
const EARLY_SECONDS: u64 = 7_200;

/// A credential with the keys that only this process has. They are wiped when it is dropped.
pub(super) struct Held {
    /// Who signed it: under another key a new one is made.
    pub(super) issuer: Kid,
    pub(super) credential: DayCredential,
    pub(super) day_key: SigningKey,
    pub(super) otp_secret: SecretBytes<32>,
}

impl Held {
    pub(super) fn status(&self) -> StatusIndex {
        self.credential.claims().status()
    }

    /// Whether it is time for another one.
    pub(super) fn is_due(&self, now: UnixSeconds) -> bool {
        self.credential.claims().expires() <= now.plus(EARLY_SECONDS)
    }

    /// Whether the document itself has ended before `day`.
    pub(super) fn ends_before(&self, day: Date) -> bool {
        self.credential.claims().document().expires().is_some_and(|last| last < day)
    }

    /// The code of a step and turn.
    pub(super) fn code(
        &self,
        step: Step,
        turn: Turn,
        now: UnixSeconds,
        rule: StepRule,
    ) -> ServiceResult<Made> {
        let digits = digits(&self.otp_secret, self.status(), step, turn);
        let show = Show { step, turn, digits, challenge: None };
        let code = self.credential.present(&show, now, rule, &self.day_key);
        let code = code.map_err(|_| ServiceError::Bug("a held credential does not show"))?;
        Ok(Made::Code { qr: code.as_str().to_owned(), digits: digits.to_string() })
    }
}

/// Every organisation's documents.
pub(in crate::service) struct Fleets {
    organisations: Mutex<HashMap<Organisation, Arc<Fleet>>>,
    pub(super) questions: Semaphore,
    pub(super) calls: Arc<Quota<Organisation>>,
}

impl Default for Fleets {
    fn default() -> Self {
        Self {
            organisations: Mutex::default(),
            questions: Semaphore::new(QUESTIONS_MAX),
            calls: Quota::new(CALLS_MAX, CALLS_EACH_MAX),
        }
    }
}

/// One organisation's documents.
#[derive(Default)]
pub(super) struct Fleet {
    held: Mutex<HashMap<DocumentHash, Arc<Held>>>,
    /// One call at a time makes credentials: another one would make the same again.
    pub(super) making: tokio::sync::Mutex<()>,
}

impl Fleets {
    pub(super) fn of(&self, organisation: &Organisation) -> Arc<Fleet> {
        Arc::clone(self.lock().entry(organisation.clone()).or_default())
    }

    /// Forgets what has ended, and organisations without anything.
    pub(in crate::service) fn expire(&self, now: UnixSeconds) {
        self.lock().retain(|_, fleet| {
            let mut held = fleet.lock();
            held.retain(|_, held| held.credential.claims().expires() > now);
            // One that a call is working on would be held twice.
            !held.is_empty() || Arc::strong_count(fleet) > 1
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Organisation, Arc<Fleet>>> {
        self.organisations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fleet {
    /// What is held of each, if it lives until `last` and its issuer's key is still in use.
    pub(super) fn held(&self, wanted: &[Wanted], last: UnixSeconds, issuer: Kid) -> Vec<Option<Found>> {
        let all = self.lock();
        let live = |held: &&Arc<Held>| held.credential.claims().expires() >= last && held.issuer == issuer;
        wanted.iter().map(|one| all.get(&one.hash).filter(live).cloned().map(Ok)).collect()
    }

    /// Takes out of `found`, and forgets, what has ended in the store.
    pub(super) fn forget_ended(&self, found: &mut [Option<Found>], places: &[Option<LivePlace>]) {
        let mut ended = Vec::new();
        for (found, _) in found.iter_mut().zip(places).filter(|(_, place)| place.is_none()) {
            if let Some(Ok(held)) = found.take() {
                ended.push(held);
            }
        }
        if !ended.is_empty() {
            self.lock().retain(|_, held| !ended.iter().any(|ended| Arc::ptr_eq(ended, held)));
        }
    }

    /// Keeps what was made; `too_many` where the organisation has as many as it may.
    pub(super) fn keep(&self, hash: DocumentHash, held: Held) -> Found {
        let mut all = self.lock();
        if all.len() >= HELD_MAX && !all.contains_key(&hash) {
            return Err(ProblemCode::TooMany);
        }
        let held = Arc::new(held);
        all.insert(hash, Arc::clone(&held));
        Ok(held)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DocumentHash, Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
