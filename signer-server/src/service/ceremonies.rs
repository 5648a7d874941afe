//! Enrolments and refreshes under way. Between two messages they rest in the store, wrapped, so that the next message may
//! come to another node; each stage is left once. What fails is deleted, with every secret in it.

use signer_core::{
    ceremony::{CeremonyError, Resting},
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, DeviceId},
    time::UnixSeconds,
    wire::ProblemCode,
    wrap::Location,
};

use super::{Refusal, Service, ServiceError, ServiceResult};
use crate::store::{BeginCeremony, CeremonyRow, CeremonyStage, TakeCeremony};

/// A ceremony that a new message found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) id: CeremonyId,
    pub(super) device_key: DevicePublicKeyBytes,
    /// Hash of the enrolment code; none in a refresh.
    pub(super) code: Option<[u8; 32]>,
    stage: CeremonyStage,
}

impl Place {
    const fn of(row: &CeremonyRow, stage: CeremonyStage) -> Self {
        Self { id: row.id, device_key: row.device_key, code: row.code, stage }
    }

    pub(super) fn device(&self) -> DeviceId {
        self.device_key.device_id()
    }
}

impl Service {
    /// Begins a ceremony; an earlier one of the same device is dropped.
    ///
    /// # Errors
    /// `busy` while a confirmation of the earlier one is evaluated; `too_many`, `enrolment_code`, `already_enrolled`.
    pub(super) async fn begin_ceremony(
        &self,
        id: CeremonyId,
        device_key: DevicePublicKeyBytes,
        code: Option<[u8; 32]>,
        resting: &impl Resting,
        now: UnixSeconds,
    ) -> ServiceResult<()> {
        let stage = CeremonyStage::Begun;
        let state = self.rest(id, stage, resting).await?;
        let row = CeremonyRow { id, device_key, code, stage, state, started: now };
        let code = match self.store.begin_ceremony(row).await? {
            BeginCeremony::Begun => return Ok(()),
            BeginCeremony::Busy => ProblemCode::Busy,
            BeginCeremony::TooMany => ProblemCode::TooMany,
            BeginCeremony::CodeUnusable => ProblemCode::EnrolmentCode,
            BeginCeremony::Enrolled => ProblemCode::AlreadyEnrolled,
        };
        Err(Refusal::new(code).into())
    }

    /// The ceremony that a keys message belongs to. `enrolment`: of which kind it is.
    ///
    /// # Errors
    /// `ceremony_unknown`; `busy` while its confirmation is evaluated.
    pub(super) async fn begun<R: Resting>(
        &self,
        id: CeremonyId,
        device: DeviceId,
        enrolment: bool,
        now: UnixSeconds,
    ) -> ServiceResult<(R, Place)> {
        let found = self.store.ceremony(device, now).await?;
        let row = found.filter(|row| row.id == id && row.code.is_some() == enrolment).ok_or_else(unknown)?;
        match row.stage {
            CeremonyStage::Begun => Ok((self.wake(&row).await?, Place::of(&row, row.stage))),
            CeremonyStage::Keyed => Err(unknown().into()),
            CeremonyStage::Confirming => Err(Refusal::new(ProblemCode::Busy).into()),
        }
    }

    /// Writes down that a keys message was taken. Only then may it be answered.
    ///
    /// # Errors
    /// `ceremony_unknown` if another message was answered in its place.
    pub(super) async fn keyed(&self, place: &Place, resting: &impl Resting) -> ServiceResult<()> {
        let state = self.rest(place.id, CeremonyStage::Keyed, resting).await?;
        let done = self.store.key_ceremony(place.id, place.device(), state, self.now()).await?;
        if done { Ok(()) } else { Err(unknown().into()) }
    }

    /// Takes a device's ceremony for the evaluation of a confirmation: nobody else gets it.
    ///
    /// # Errors
    /// `busy` while another is evaluated; `ceremony_unknown`.
    pub(super) async fn take_ceremony<R: Resting>(
        &self,
        id: CeremonyId,
        device: DeviceId,
        enrolment: bool,
        now: UnixSeconds,
    ) -> ServiceResult<(R, Place)> {
        let row = match self.store.take_ceremony(id, device, now).await? {
            TakeCeremony::Taken(row) => row,
            // A phone sends the same again, and is told then what became of it.
            TakeCeremony::Busy => return Err(Refusal::new(ProblemCode::Busy).into()),
            TakeCeremony::Unknown => return Err(unknown().into()),
        };
        let place = Place::of(&row, CeremonyStage::Confirming);
        let woken =
            if row.code.is_some() == enrolment { self.wake(&row).await } else { Err(unknown().into()) };
        self.or_end(&place, woken).await.map(|resting| (resting, place))
    }

    /// Ends the ceremony if `result` is a failure. One that another message has brought further meanwhile goes on.
    pub(super) async fn or_end<T>(&self, place: &Place, result: ServiceResult<T>) -> ServiceResult<T> {
        if result.is_err() {
            // Where this fails it ends by its time, and no confirmation is taken twice.
            let ended = self.store.end_ceremony(place.id, place.device(), place.stage, self.now()).await;
            if let Err(error) = ended {
                tracing::warn!(%error, "a ceremony that failed ends by its time");
            }
        }
        result
    }

    async fn rest(
        &self,
        id: CeremonyId,
        stage: CeremonyStage,
        resting: &impl Resting,
    ) -> ServiceResult<Vec<u8>> {
        let bytes = resting.to_bytes();
        Ok(self.wrap_secret(&location(&id, stage), &bytes).await?)
    }

    async fn wake<R: Resting>(&self, row: &CeremonyRow) -> ServiceResult<R> {
        let bytes = self.unwrap_secret(&location(&row.id, row.stage), &row.state).await?;
        R::from_bytes(&bytes).map_err(|_| ServiceError::Bug("a stored ceremony does not decode"))
    }
}

/// A stage that is computed again and does not come out as it was is a fault of the server: nobody is blamed, the key lives.
pub(super) fn again(error: CeremonyError) -> ServiceError {
    match error {
        CeremonyError::Own => ServiceError::Bug("a stored ceremony does not come out as it was"),
        error => error.into(),
    }
}

const fn location(id: &CeremonyId, stage: CeremonyStage) -> Location<'_> {
    let epoch = match stage {
        CeremonyStage::Begun => 1,
        CeremonyStage::Keyed | CeremonyStage::Confirming => 2,
    };
    Location { table: "ceremony", row: id.as_bytes(), column: "state", epoch }
}

const fn unknown() -> Refusal {
    Refusal::new(ProblemCode::CeremonyUnknown)
}
