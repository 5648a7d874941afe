//! Enrolments and refreshes under way: in memory only, few, and short-lived. What fails or times out is dropped, with every
//! secret in it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use signer_core::{
    ceremony::{ServerConfirming, ServerEnrolment, ServerRefresh},
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, DeviceId},
    time::UnixSeconds,
    wire::ProblemCode,
};

use super::{Refusal, ServiceResult};

/// Life of a ceremony, seconds.
const SECONDS: u64 = 300;
/// Most ceremonies at once.
const MAX: usize = 10_000;
/// Most ceremonies at once under one enrolment code: one for its holder, one for a second try.
const PER_CODE_MAX: usize = 2;

/// Where a ceremony stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// Enrolment, hello answered.
    Enrolling(ServerEnrolment),
    /// Refresh, PIN proven.
    Refreshing(ServerRefresh),
    /// Either, first signature awaited.
    Confirming(ServerConfirming),
}

/// A ceremony under way.
#[derive(Debug)]
pub(super) struct Ceremony {
    pub(super) device: DeviceId,
    pub(super) device_key: DevicePublicKeyBytes,
    /// Hash of the enrolment code; none in a refresh.
    pub(super) code: Option<[u8; 32]>,
    pub(super) started: UnixSeconds,
    pub(super) stage: Stage,
}

#[derive(Debug, Default)]
pub(super) struct Ceremonies(Mutex<HashMap<CeremonyId, Ceremony>>);

impl Ceremonies {
    /// Adds a ceremony; an earlier one of the same device is dropped.
    pub(super) fn put(&self, id: CeremonyId, ceremony: Ceremony) -> ServiceResult<()> {
        let mut all = self.lock();
        all.retain(|_, other| other.device != ceremony.device);
        insert(&mut all, id, ceremony)
    }

    /// Puts a ceremony back that was taken out, at its next stage; unless the device has begun another one meanwhile.
    pub(super) fn go_on(&self, id: CeremonyId, ceremony: Ceremony) -> ServiceResult<()> {
        let mut all = self.lock();
        if all.values().any(|other| other.device == ceremony.device) {
            return Err(Refusal::new(ProblemCode::CeremonyUnknown).into());
        }
        insert(&mut all, id, ceremony)
    }

    /// The device key a ceremony is bound to, without touching it.
    pub(super) fn device_key(&self, id: CeremonyId, now: UnixSeconds) -> Option<DevicePublicKeyBytes> {
        self.lock().get(&id).filter(|ceremony| alive(ceremony, now)).map(|ceremony| ceremony.device_key)
    }

    /// Takes a device's ceremony out: whoever takes it brings it to the next stage or lets it end.
    pub(super) fn take(&self, id: CeremonyId, device: DeviceId, now: UnixSeconds) -> ServiceResult<Ceremony> {
        let mut all = self.lock();
        let mine = all.get(&id).is_some_and(|ceremony| ceremony.device == device);
        let taken = if mine { all.remove(&id) } else { None };
        taken
            .filter(|ceremony| alive(ceremony, now))
            .ok_or_else(|| Refusal::new(ProblemCode::CeremonyUnknown).into())
    }

    pub(super) fn expire(&self, now: UnixSeconds) {
        self.lock().retain(|_, ceremony| alive(ceremony, now));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CeremonyId, Ceremony>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(all: &mut HashMap<CeremonyId, Ceremony>, id: CeremonyId, ceremony: Ceremony) -> ServiceResult<()> {
    let same_code = |other: &&Ceremony| ceremony.code.is_some() && other.code == ceremony.code;
    if all.values().filter(same_code).count() >= PER_CODE_MAX {
        return Err(Refusal::new(ProblemCode::TooMany).into());
    }
    if all.len() >= MAX {
        return Err(Refusal::new(ProblemCode::Overloaded).into());
    }
    all.insert(id, ceremony);
    Ok(())
}

fn alive(ceremony: &Ceremony, now: UnixSeconds) -> bool {
    now <= ceremony.started.plus(SECONDS)
}
