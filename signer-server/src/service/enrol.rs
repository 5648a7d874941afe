//! Enrolment: a code becomes an installation with a split key.

use signer_core::{
    ceremony::{CeremonyError, CheckedConfirmation, RestingEnrolment, RestingEnrolmentKeys},
    device_key::DevicePublicKeyBytes,
    domain::{Domain, Hasher},
    history::Act,
    ids::Epoch,
    suite::KeyContext,
    time::UnixSeconds,
    wire::{
        Confirmation, Confirmed, EnrolConfirm, EnrolKeyed, EnrolKeys, EnrolStart, EnrolStarted, Envelope,
        Exchange, ProblemCode,
    },
};

use super::{
    Refusal, Service, ServiceError, ServiceResult,
    ceremonies::{Place, again},
    clock_refusal,
    history::code as code_name,
    token,
};
use crate::store::{EnrolResult, KeyRow, NewInstallation};

/// Stored form of an enrolment code. Dashes, spaces and letter case do not matter when a person types it.
#[must_use]
pub(super) fn code_hash(code: &str) -> [u8; 32] {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    Hasher::new(Domain::TokenHash).field(b"enrolment-code").field(plain.as_bytes()).finish()
}

impl Service {
    /// First round. The code is only looked at here; it is used up when the installation is created.
    ///
    /// # Errors
    /// A refusal if the message, its signature or the code is wrong.
    pub async fn enrol_start(&self, bytes: &[u8]) -> ServiceResult<EnrolStarted> {
        let now = self.now();
        let envelope = Envelope::decode(bytes)?;
        let device_key = envelope.peek::<EnrolStart>()?.device_key;
        let start: EnrolStart = open_with(&envelope, &device_key, now)?;
        let code = code_hash(start.code.0.as_str());
        // Looked at again when the ceremony begins; here so that nothing is computed for nobody.
        if self.store.holder_of_code(code, now).await?.is_none() {
            return Err(Refusal::new(ProblemCode::EnrolmentCode).into());
        }
        if self.store.installation(envelope.device).await?.is_some() {
            return Err(Refusal::new(ProblemCode::AlreadyEnrolled).into());
        }
        let context = KeyContext {
            suite: start.suite,
            key: start.key,
            epoch: Epoch(0),
            device: device_key.device_id(),
        };
        let holder_keys = start.holder_keys;
        if !self.can_tell(context.device, &holder_keys.history) {
            return Err(Refusal::because(ProblemCode::InvalidValue, "the history key is of low order").into());
        }
        let mut rng = self.rng();
        let (resting, started) = self
            .compute(move || {
                RestingEnrolment::start(context, device_key, holder_keys, start.hello, now, &mut *rng)
            })
            .await??;
        self.begin_ceremony(started.ceremony, device_key, Some(code), &resting, now).await?;
        Ok(started)
    }

    /// Second round.
    ///
    /// # Errors
    /// A refusal; the ceremony has then ended, unless the message was not the device's.
    pub async fn enrol_keys(&self, bytes: &[u8]) -> ServiceResult<EnrolKeyed> {
        let now = self.now();
        let keys: EnrolKeys = self.open_in_ceremony(bytes, now).await?;
        let device = Envelope::decode(bytes)?.device;
        let (resting, place) = self.begun::<RestingEnrolment>(keys.ceremony, device, true, now).await?;
        let first = token::make(&self.keys.device_token, device, 0);
        let computed = self.compute(move || resting.keys(keys, first, now)).await?;
        let (resting, keyed) = self.or_end(&place, computed.map_err(Into::into)).await?;
        self.keyed(&place, &resting).await?;
        Ok(keyed)
    }

    /// The first signature: creates the installation, durably, before it answers.
    ///
    /// # Errors
    /// A refusal; the ceremony has then ended and its secrets are gone. `enrolment_code`, if the first signature was wrong:
    /// the code is used up then. If the answer is lost, `status` brings it again.
    pub async fn enrol_confirm(&self, bytes: &[u8]) -> ServiceResult<Confirmed> {
        let now = self.now();
        let EnrolConfirm(confirmation) = self.open_in_ceremony(bytes, now).await?;
        let device = Envelope::decode(bytes)?.device;
        let (resting, place) = self.take_ceremony(confirmation.ceremony, device, true, now).await?;
        let confirmed = self.confirm_enrolment(resting, &place, confirmation, now).await;
        self.or_end(&place, confirmed).await
    }

    async fn confirm_enrolment(
        &self,
        resting: RestingEnrolmentKeys,
        place: &Place,
        confirmation: Confirmation,
        now: UnixSeconds,
    ) -> ServiceResult<Confirmed> {
        let code = place.code.ok_or(ServiceError::Bug("an enrolment without a code"))?;
        let evaluate = move || {
            let stage = resting.confirming().map_err(again)?;
            Ok::<_, ServiceError>(stage.check(confirmation).and_then(CheckedConfirmation::evaluate))
        };
        let proven = match self.compute(evaluate).await?? {
            Err(CeremonyError::Cheating) => return Err(self.used_up(code, now).await),
            proven => proven?,
        };
        let holder = self.store.holder_of_code(code, now).await?;
        let holder = holder.ok_or_else(|| Refusal::new(ProblemCode::EnrolmentCode))?;
        let certificate = self.first_certificate(holder, &proven, now).await?;
        let enrolment = proven.enrolment().ok_or(ServiceError::Bug("an enrolment without holder keys"))?;
        let key = KeyRow {
            id: proven.context.key,
            device: proven.context.device,
            suite: proven.context.suite,
            epoch: proven.context.epoch,
            public_key: proven.public_key,
            wrapped: self.wrap_key(&proven.context, &proven.key).await?,
            proof: proven.proof.as_slice().to_vec(),
        };
        let holder_keys = proven.holder_keys.ok_or(ServiceError::Bug("an enrolment without holder keys"))?;
        let superseded = Act::Revoked { reason: code_name("superseded")? };
        let new = NewInstallation {
            code,
            device_key: proven.device_key.0,
            key,
            request: proven.request,
            certificate,
            holder_keys,
            enrolment,
            superseded: self.note_if_needed(superseded),
        };
        match self.store.enrol(new, now).await? {
            EnrolResult::Created => {
                self.metrics.enrolments.inc();
                tracing::info!(device = %proven.context.device, suite = proven.context.suite.name(), "enrolled");
                Ok(Confirmed { signature: proven.proof })
            }
            EnrolResult::CodeUnusable => Err(Refusal::new(ProblemCode::EnrolmentCode).into()),
            EnrolResult::Exists => Err(Refusal::new(ProblemCode::AlreadyEnrolled).into()),
        }
    }

    /// A wrong first signature may be a guess at the server's share that fails if it is wrong. Its code is used up before
    /// the device is told, so that it cannot guess in one enrolment after the other until one passes.
    async fn used_up(&self, code: [u8; 32], now: UnixSeconds) -> ServiceError {
        tracing::warn!("a first signature was wrong: its enrolment code is used up");
        match self.store.void_enrolment_code(code, now).await {
            Ok(()) => {
                let text = "the first signature was wrong, so this code is used up; ask for a new one";
                Refusal::because(ProblemCode::EnrolmentCode, text).into()
            }
            Err(error) => error.into(),
        }
    }

    /// Opens a message of a device that is not installed yet: its key is the one its ceremony is bound to. Only a message
    /// that the device signed can end the ceremony.
    async fn open_in_ceremony<E: Exchange>(&self, bytes: &[u8], now: UnixSeconds) -> ServiceResult<E> {
        let envelope = Envelope::decode(bytes)?;
        envelope.peek::<E>()?;
        let row = self.store.ceremony(envelope.device, now).await?;
        let device_key = row.ok_or_else(|| Refusal::new(ProblemCode::CeremonyUnknown))?.device_key;
        open_with(&envelope, &device_key, now)
    }
}

fn open_with<E: Exchange>(
    envelope: &Envelope,
    device_key: &DevicePublicKeyBytes,
    now: UnixSeconds,
) -> ServiceResult<E> {
    let not_the_device = || ServiceError::from(Refusal::new(ProblemCode::NotTheDevice));
    if device_key.device_id() != envelope.device {
        return Err(not_the_device());
    }
    let key = device_key.parse().ok_or_else(not_the_device)?;
    envelope.open(&key, now).map_err(|error| clock_refusal(error, now))
}
