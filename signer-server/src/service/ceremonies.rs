//! Enrolments and refreshes under way: in memory only, few, and short-lived. What fails or times out is dropped, with every
//! secret in it. A ceremony keeps its place while a stage of it is computed, so that the limits hold then too.

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

/// Whose ceremony it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) device_key: DevicePublicKeyBytes,
    /// Hash of the enrolment code; none in a refresh.
    pub(super) code: Option<[u8; 32]>,
    pub(super) started: UnixSeconds,
}

/// A device's one ceremony.
#[derive(Debug)]
struct Place {
    owner: Owner,
    /// None before the first answer, and while the next stage is computed.
    waiting: Option<(CeremonyId, Stage)>,
}

#[derive(Debug, Default)]
pub(super) struct Ceremonies(Mutex<HashMap<DeviceId, Place>>);

/// A device's place while a stage is computed: nobody else's until this is dropped, which ends the ceremony unless it
/// [goes on](Turn::go_on).
#[derive(Debug)]
pub(super) struct Turn<'a> {
    all: &'a Ceremonies,
    pub(super) owner: Owner,
    ended: bool,
}

impl Ceremonies {
    /// Takes a place for a new ceremony; an earlier one of the same device is dropped.
    ///
    /// # Errors
    /// `busy` while a stage of the earlier one is computed; `too_many`, `overloaded`.
    pub(super) fn begin(&self, owner: Owner) -> ServiceResult<Turn<'_>> {
        let device = owner.device_key.device_id();
        let mut all = self.lock();
        if all.get(&device).is_some_and(|place| place.waiting.is_none()) {
            return Err(busy().into());
        }
        all.remove(&device);
        let same_code = |other: &&Place| owner.code.is_some() && other.owner.code == owner.code;
        if all.values().filter(same_code).count() >= PER_CODE_MAX {
            return Err(Refusal::new(ProblemCode::TooMany).into());
        }
        if all.len() >= MAX {
            return Err(Refusal::new(ProblemCode::Overloaded).into());
        }
        all.insert(device, Place { owner, waiting: None });
        Ok(Turn { all: self, owner, ended: true })
    }

    /// The device key a device's ceremony is bound to, without touching it.
    pub(super) fn device_key(&self, device: DeviceId, now: UnixSeconds) -> Option<DevicePublicKeyBytes> {
        self.lock().get(&device).filter(|place| stays(place, now)).map(|place| place.owner.device_key)
    }

    /// Takes a device's ceremony out for its next stage.
    ///
    /// # Errors
    /// `busy` while a stage is computed; `ceremony_unknown`.
    pub(super) fn take(
        &self,
        id: CeremonyId,
        device: DeviceId,
        now: UnixSeconds,
    ) -> ServiceResult<(Stage, Turn<'_>)> {
        let unknown = || Refusal::new(ProblemCode::CeremonyUnknown);
        let mut all = self.lock();
        let place = all.get_mut(&device).filter(|place| stays(place, now)).ok_or_else(unknown)?;
        let (_, stage) = match &place.waiting {
            None => return Err(busy().into()),
            Some((other, _)) if *other != id => return Err(unknown().into()),
            Some(_) => place.waiting.take().ok_or_else(unknown)?,
        };
        Ok((stage, Turn { all: self, owner: place.owner, ended: true }))
    }

    pub(super) fn expire(&self, now: UnixSeconds) {
        self.lock().retain(|_, place| stays(place, now));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Gives the place back with the ceremony at its next stage.
    pub(super) fn go_on(mut self, id: CeremonyId, stage: Stage) {
        if let Some(place) = self.all.lock().get_mut(&self.owner.device_key.device_id()) {
            place.waiting = Some((id, stage));
            self.ended = false;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.ended {
            self.all.lock().remove(&self.owner.device_key.device_id());
        }
    }
}

/// A phone sends the same again, and is told then what became of the stage that was computed.
const fn busy() -> Refusal {
    Refusal::new(ProblemCode::Busy)
}

/// A place whose stage is computed stays, however old: it is somebody's turn.
const fn stays(place: &Place, now: UnixSeconds) -> bool {
    place.waiting.is_none() || now.0 <= place.owner.started.0.saturating_add(SECONDS)
}

#[cfg(test)]
mod tests {
    use signer_core::{
        ids::{Epoch, KeyId},
        suite::{GroupPublicKey, KeyContext, SuiteId},
    };

    use super::*;
    use crate::{
        ports::{Random as _, SystemRandom},
        service::ServiceError,
    };

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const CODE: Option<[u8; 32]> = Some([7; 32]);

    fn owner(n: u8, code: Option<[u8; 32]>) -> Owner {
        Owner { device_key: DevicePublicKeyBytes([n; 33]), code, started: NOW }
    }

    fn device(n: u8) -> DeviceId {
        owner(n, None).device_key.device_id()
    }

    fn stage(n: u8) -> (CeremonyId, Stage) {
        let context = KeyContext {
            suite: SuiteId::Es256,
            key: KeyId::from_bytes([n; 16]),
            epoch: Epoch(0),
            device: device(n),
        };
        let public_key = GroupPublicKey([2; 33]);
        let rng = &mut *SystemRandom.rng();
        let (stage, id, _) = ServerRefresh::start(&context, owner(n, None).device_key, public_key, rng);
        (id, Stage::Refreshing(stage))
    }

    fn code<T: std::fmt::Debug>(result: ServiceResult<T>) -> ProblemCode {
        match result {
            Err(ServiceError::Refused(refusal)) => refusal.code,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn limits_hold_while_a_stage_is_computed() {
        let all = Ceremonies::default();
        let first = all.begin(owner(1, CODE)).unwrap();
        let (id, stage) = stage(2);
        all.begin(owner(2, CODE)).unwrap().go_on(id, stage);
        assert_eq!(code(all.begin(owner(3, CODE))), ProblemCode::TooMany);
        let taken = all.take(id, device(2), NOW).unwrap();
        assert_eq!(code(all.begin(owner(3, CODE))), ProblemCode::TooMany);
        assert_eq!(code(all.begin(owner(1, CODE))), ProblemCode::Busy, "one of a device");
        assert_eq!(code(all.begin(owner(2, None))), ProblemCode::Busy, "under no code too");
        assert_eq!(code(all.take(id, device(2), NOW)), ProblemCode::Busy);
        all.expire(NOW.plus(SECONDS + 1));
        assert_eq!(code(all.begin(owner(3, CODE))), ProblemCode::TooMany, "however long it takes");
        drop((first, taken));
        assert_eq!(code(all.take(id, device(2), NOW)), ProblemCode::CeremonyUnknown, "it has failed");
        let _both = (all.begin(owner(1, CODE)).unwrap(), all.begin(owner(3, CODE)).unwrap());
    }

    #[test]
    fn a_new_ceremony_of_a_device_drops_the_one_that_waits() {
        let all = Ceremonies::default();
        let (id, first) = stage(1);
        all.begin(owner(1, CODE)).unwrap().go_on(id, first);
        let (new, second) = stage(1);
        all.begin(owner(1, CODE)).unwrap().go_on(new, second);
        assert_eq!(code(all.take(id, device(1), NOW)), ProblemCode::CeremonyUnknown);
        assert_eq!(code(all.take(new, device(2), NOW)), ProblemCode::CeremonyUnknown);
        assert_eq!(code(all.take(new, device(1), NOW.plus(SECONDS + 1))), ProblemCode::CeremonyUnknown);
        all.take(new, device(1), NOW.plus(SECONDS)).unwrap();
    }
}
