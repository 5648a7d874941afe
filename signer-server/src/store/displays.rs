//! Codes on display, checks that wait for the holder, and misses: what goes in, what comes out.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use signer_core::{
    history::{HistoryKeyBytes, SealedEntry},
    ids::{CheckId, DeviceId, RelyingPartyId},
    time::UnixSeconds,
    trust::Life,
    wire::{AnswerCheck, CHECK_KEPT_SECONDS, CHECK_SECONDS, MatchNumber, Profile},
};

use super::{Holder, StoreResult};

/// Misses of one verifier in [`MISS_SECONDS`]; after them its short codes are refused until one of them is older.
pub const MISSES_MAX: u32 = 5;
/// Misses of one verifier in [`MISS_SECONDS`] while the alarm is on.
pub const MISSES_MAX_IN_ALARM: u32 = 1;
/// Misses of all verifiers in [`MISS_SECONDS`] above which the alarm is on.
pub const MISSES_ALARM: u32 = 300;
/// The window in which misses are counted, seconds.
pub const MISS_SECONDS: u64 = 900;
/// How long a verifier's request id stands for one code, seconds: as long as an answer under it may be asked for.
pub const QUESTION_SECONDS: u64 = CHECK_SECONDS + CHECK_KEPT_SECONDS;
/// Most open checks of one verifier: a large shop's tills, not a campaign.
pub const VERIFIER_CHECKS_MAX: u32 = 256;

/// Codes on display.
#[async_trait]
pub trait Displays: Send + Sync {
    /// Puts a code on display under the first of its turns whose codes are free and not used up. What the device had on
    /// display of other credentials, and of this step and later ones, goes.
    async fn display(&self, new: NewDisplay) -> StoreResult<DisplayResult>;

    /// Takes the codes of a device's credential off display.
    async fn end_display(&self, device: DeviceId, list: u32, index: u32, now: UnixSeconds)
    -> StoreResult<()>;

    /// Looks for a short code. What is found is used up with every other code of its display, and a check is opened; what
    /// is not found is counted as a miss.
    async fn resolve(&self, resolve: Resolve) -> StoreResult<Resolved>;

    /// Whether misses are so many that every verifier is slowed.
    async fn miss_alarm(&self, now: UnixSeconds) -> StoreResult<bool>;
}

/// Checks that wait for the holder.
#[async_trait]
pub trait Checks: Send + Sync {
    /// A check as it stands at `now`; none once it is forgotten.
    async fn holder_check(&self, id: CheckId, now: UnixSeconds) -> StoreResult<Option<CheckRow>>;

    /// Open checks of a device, oldest first.
    async fn open_checks(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<Vec<CheckRow>>;

    /// Checks of a device that ended unanswered, because its credentials or the device itself did.
    async fn ended_checks(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<Vec<CheckId>>;

    /// The holder's answer to what was `shown`, final; with its entry in the history.
    async fn answer_check(
        &self,
        answer: AnswerCheck,
        device: DeviceId,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<AnswerResult>;

    /// Notes what the verifier of a check that was allowed, or that nobody answered, is told first, with its entry in the
    /// history; returns what is noted, which may be from before. `None` if there is no such check, or it was allowed and its
    /// phone or credential has ended since: then nothing may be released.
    async fn tell(
        &self,
        id: CheckId,
        told: Told,
        entry: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<Option<Told>>;
}

/// Keyed hash of a short code: the store knows no live code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeHash(pub [u8; 32]);

/// A display to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDisplay {
    /// The device.
    pub device: DeviceId,
    /// Status list of the credential.
    pub list: u32,
    /// Index in it.
    pub index: u32,
    /// The step on display.
    pub step: u64,
    /// What the credential says.
    pub profile: Profile,
    /// The turns it may get, in order.
    pub turns: Vec<DisplayTurn>,
    /// When its codes end.
    pub until: UnixSeconds,
    /// How long credentials are accepted.
    pub life: Life,
    /// Server time.
    pub now: UnixSeconds,
}

/// One turn with the codes it would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayTurn {
    /// `n` of the code.
    pub n: u8,
    /// Hash of its eight digits.
    pub digits: CodeHash,
    /// Hash of its bar code.
    pub bar: CodeHash,
}

/// Answer to a display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayResult {
    /// On display, as the turn at this position of [`NewDisplay::turns`].
    Displayed(usize),
    /// No turn of the step is left, or a later step was used.
    NoTurn,
    /// No such living credential of this device in good standing.
    NotFound,
}

/// A check to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheck {
    /// Its id.
    pub id: CheckId,
    /// The verifier's name for the question.
    pub request_id: String,
    /// The code as the answer names it.
    pub code_sha256: [u8; 32],
    /// What is asked for; none: what the display says.
    pub profile: Option<Profile>,
    /// What both are shown.
    pub match_number: MatchNumber,
    /// When it ends.
    pub expires: UnixSeconds,
}

/// A short code to look for.
#[derive(Debug, Clone)]
pub struct Resolve {
    /// Hash of the code, digits or bar code.
    pub code: CodeHash,
    /// Who verifies.
    pub verifier: RelyingPartyId,
    /// Hash of the verifier's request id.
    pub request: [u8; 32],
    /// The check to open.
    pub check: NewCheck,
    /// What the use of the code is noted with, for its QR.
    pub answer: Vec<u8>,
    /// Whether a miss is counted: sixteen random digits cannot be guessed.
    pub counted: bool,
    /// Tells the history that the holder is asked.
    pub told: TellAsked,
    /// How long after the credential's end the use is remembered, seconds.
    pub forget_seconds: u64,
    /// How long credentials are accepted.
    pub life: Life,
    /// Server time.
    pub now: UnixSeconds,
}

/// Seals the entry that tells a holder of a check: whose it is the store finds in the middle of the transaction.
#[derive(Clone)]
pub struct TellAsked(Arc<SealAsked>);

type SealAsked = dyn Fn(&CheckRow, &HistoryKeyBytes) -> Option<SealedEntry> + Send + Sync;

impl TellAsked {
    /// Seals by `seal`. `None` writes no entry.
    #[must_use]
    pub fn new(
        seal: impl Fn(&CheckRow, &HistoryKeyBytes) -> Option<SealedEntry> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(seal))
    }

    /// The entry.
    #[must_use]
    pub fn seal(&self, check: &CheckRow, key: &HistoryKeyBytes) -> Option<SealedEntry> {
        (self.0)(check, key)
    }
}

impl fmt::Debug for TellAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TellAsked(..)")
    }
}

/// Answer to a short code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// The holder is asked; or the same verifier, request id and code opened this check before.
    Asked {
        /// The check.
        check: Box<CheckRow>,
        /// Whether it was opened now.
        fresh: bool,
    },
    /// Nothing on display has this code.
    Missed {
        /// When it was counted; a repetition has the time of the first.
        at: UnixSeconds,
        /// Whether this miss turned the alarm on.
        alarm: bool,
    },
    /// The verifier's misses are spent until.
    Spent(UnixSeconds),
    /// The holder or the verifier has too many checks open. Nothing was used up.
    TooManyChecks,
    /// The verifier's request id stands for another code. Nothing was used up.
    OtherCode,
}

/// A stored check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    /// Its id.
    pub id: CheckId,
    /// Who asks.
    pub verifier: RelyingPartyId,
    /// The registered name of who asks.
    pub verifier_name: String,
    /// The verifier's name for the question.
    pub request_id: String,
    /// The code as the answer names it.
    pub code_sha256: [u8; 32],
    /// Digest of what the holder answered to, once answered.
    pub shown: Option<[u8; 32]>,
    /// The device that is asked.
    pub device: DeviceId,
    /// Its holder.
    pub holder: Holder,
    /// Whether the device is in good standing, and the credential still there.
    pub good: bool,
    /// Kind of document of the credential on display.
    pub document_type: u32,
    /// Step of the code.
    pub step: u64,
    /// What is asked for.
    pub profile: Profile,
    /// What both are shown.
    pub match_number: MatchNumber,
    /// When it ends.
    pub expires: UnixSeconds,
    /// Its state.
    pub state: CheckState,
}

/// State of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// Waits for the holder.
    Open,
    /// Nobody answered in time; what the verifier was told first, once it was.
    Expired(Option<Told>),
    /// The holder agreed; what the verifier was told first, once it was.
    Allowed(Option<Told>),
    /// The holder said no.
    Declined(UnixSeconds),
    /// Unanswered, and the phone or the credential has ended since it was opened.
    Ended,
}

/// When a verifier was first told how a check ended, and whether from the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: UnixSeconds,
    /// Whether the register was reached.
    pub reached: bool,
}

/// Answer to the holder's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerResult {
    /// Noted, or noted before.
    Answered,
    /// No such check of this device.
    NotFound,
    /// Answered otherwise before, expired, or ended with its credential.
    Closed,
}
