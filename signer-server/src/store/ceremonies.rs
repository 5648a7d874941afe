//! Enrolments and refreshes under way: what a server process must know to answer the next message of one.

use async_trait::async_trait;
use signer_core::{
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, DeviceId},
    time::UnixSeconds,
};

use super::StoreResult;

/// Life of a ceremony, seconds.
pub const CEREMONY_SECONDS: u64 = 300;
/// How long a confirmation may be evaluated, seconds: then its ceremony is over.
pub const CONFIRMATION_SECONDS: u64 = 30;
/// Most ceremonies at once under one enrolment code: one for its holder, one for a second try.
pub const CEREMONIES_PER_CODE_MAX: u64 = 2;

/// Where a ceremony stands. It goes one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CeremonyStage {
    /// The hello, or the PIN proof, was answered.
    Begun,
    /// The keys message was answered: a confirmation is awaited.
    Keyed,
    /// A confirmation is evaluated, or its server process is gone.
    Confirming,
}

/// A ceremony.
#[derive(Clone, PartialEq, Eq)]
pub struct CeremonyRow {
    /// Which.
    pub id: CeremonyId,
    /// Who signs its messages. A device has one ceremony at most.
    pub device_key: DevicePublicKeyBytes,
    /// Hash of the enrolment code; none in a refresh.
    pub code: Option<[u8; 32]>,
    /// Where it stands.
    pub stage: CeremonyStage,
    /// What it is computed from again, wrapped.
    pub state: Vec<u8>,
    /// Its beginning.
    pub started: UnixSeconds,
}

impl std::fmt::Debug for CeremonyRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CeremonyRow")
            .field("id", &self.id)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Whether a ceremony began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginCeremony {
    /// It did; an earlier one of the device is gone.
    Begun,
    /// A confirmation of the device is evaluated.
    Busy,
    /// [`CEREMONIES_PER_CODE_MAX`] are under way.
    TooMany,
    /// The code is unknown, used or over.
    CodeUnusable,
    /// The device is installed already.
    Enrolled,
}

/// Whether a ceremony was taken for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeCeremony {
    /// It was: nobody else gets it.
    Taken(CeremonyRow),
    /// Somebody evaluates a confirmation of it.
    Busy,
    /// There is none that waits for a confirmation.
    Unknown,
}

/// Enrolments and refreshes under way. Each stage is left once: of any number of messages one is answered.
#[async_trait]
pub trait Ceremonies: Send + Sync {
    /// Begins a ceremony, at [`CeremonyStage::Begun`], in the place of an earlier one of the device.
    async fn begin_ceremony(&self, row: CeremonyRow) -> StoreResult<BeginCeremony>;

    /// The living ceremony of a device.
    async fn ceremony(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<Option<CeremonyRow>>;

    /// From [`CeremonyStage::Begun`] to [`CeremonyStage::Keyed`] with a new state. False if it is not there any more: then
    /// nothing may be answered.
    async fn key_ceremony(
        &self,
        id: CeremonyId,
        device: DeviceId,
        state: Vec<u8>,
        now: UnixSeconds,
    ) -> StoreResult<bool>;

    /// From [`CeremonyStage::Keyed`] to [`CeremonyStage::Confirming`].
    async fn take_ceremony(
        &self,
        id: CeremonyId,
        device: DeviceId,
        now: UnixSeconds,
    ) -> StoreResult<TakeCeremony>;

    /// Ends a ceremony that stands at `stage`: what it rested on is deleted.
    async fn end_ceremony(
        &self,
        id: CeremonyId,
        device: DeviceId,
        stage: CeremonyStage,
        now: UnixSeconds,
    ) -> StoreResult<()>;
}
