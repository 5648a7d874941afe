//! What goes into the store and comes out of it.

use signer_core::{
    ceremony::EnrolmentProof,
    history::{HistoryKeyBytes, SealedEntry},
    ids::{DeviceId, Epoch, KeyId, RelyingPartyId, RequestId, VisitId},
    lost_code::HolderKeys,
    suite::{GroupPublicKey, SuiteId},
    time::UnixSeconds,
    wire::{DrawnCodes, Standing, VerificationCode},
};

use super::{
    CertificateRow, CodeHash, Counter, LockPolicy, NewAuthorisation, NewCheck, Organisation, Sealer,
};

/// The operator's reference for a person, as given with the enrolment code: 1 to 64 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(String);

impl Holder {
    /// The reference, or `None` if it is empty, too long or has other than visible ASCII characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Whom a link waits for: a reference that nobody can have.
    #[must_use]
    pub fn nobody() -> Self {
        Self(" ".to_owned())
    }

    /// The reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Holder {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::new(text).ok_or(())
    }
}

/// An enrolment code, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentCodeRow {
    /// Hash of the code.
    pub hash: [u8; 32],
    /// Whom it enrols.
    pub holder: Holder,
    /// Until when.
    pub expires: UnixSeconds,
}

/// A key with its wrapped share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The key.
    pub id: KeyId,
    /// The installation that holds the other share.
    pub device: DeviceId,
    /// The suite.
    pub suite: SuiteId,
    /// Generation of the shares.
    pub epoch: Epoch,
    /// The group public key.
    pub public_key: GroupPublicKey,
    /// Wrapped `ServerKey`; empty once the key has ended.
    pub wrapped: Vec<u8>,
    /// First signature under these shares.
    pub proof: Vec<u8>,
}

/// What an enrolment creates.
#[derive(Debug, Clone)]
pub struct NewInstallation {
    /// Hash of the enrolment code, used up.
    pub code: [u8; 32],
    /// The device key, SEC1 compressed.
    pub device_key: [u8; 33],
    /// Its key; `key.device` is the installation's id.
    pub key: KeyRow,
    /// The certification request the key signed, DER; none for suites without certificates.
    pub request: Option<Vec<u8>>,
    /// Its first certificate.
    pub certificate: Option<CertificateRow>,
    /// What its phone left for its holder.
    pub holder_keys: HolderKeys,
    /// What outsiders are shown of this enrolment.
    pub enrolment: EnrolmentProof,
    /// Tells the history of the holder's earlier installation that it is revoked.
    pub superseded: Sealer,
}

/// How an enrolment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrolResult {
    /// Created.
    Created,
    /// The code is unknown, used or expired.
    CodeUnusable,
    /// The device or the key exists already.
    Exists,
}

/// An installation with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The installation.
    pub device: DeviceId,
    /// The operator's reference for its holder.
    pub holder: Holder,
    /// The device key, SEC1 compressed.
    pub device_key: [u8; 33],
    /// Whether it can sign.
    pub standing: Standing,
    /// The attempt counter.
    pub counter: Counter,
    /// Number of the current device token.
    pub token: u64,
    /// What its history is sealed to; none if it was enrolled before there was one.
    pub history_key: Option<HistoryKeyBytes>,
    /// The key.
    pub key: KeyRow,
}

/// Hash of a payload: its idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayloadHash(pub [u8; 32]);

/// What [`super::Attempts::reserve`] needs.
#[derive(Debug, Clone)]
pub struct Reserve {
    /// The installation.
    pub device: DeviceId,
    /// Epoch the payload was made for.
    pub epoch: Epoch,
    /// The payload.
    pub payload: PayloadHash,
    /// The request it approves; none for a PIN proof or the end of a refresh.
    pub request: Option<RequestId>,
    /// Number of the device token presented; its authenticity is already checked. The end of a refresh presents none.
    pub token: Option<u64>,
    /// Tries before this one that presented that number, of which the phone does not know that they had no success.
    pub unheard: u32,
    /// Server time the payload is based on (`fetched_at`, `issued_at`). A retired token proves a copy only if this is after the
    /// second in which it was retired (its successor presented, or it overtaken while pending); up to then it is a late
    /// message: `Stale`. So is every message that is based on a time not after the newest restore.
    pub based_on: UnixSeconds,
    /// How long the reservation holds against other payloads, seconds.
    pub lease_seconds: u64,
    /// The lock policy.
    pub policy: LockPolicy,
    /// Tells the history that a retired token has frozen the installation.
    pub frozen: Sealer,
    /// Server time.
    pub now: UnixSeconds,
}

/// A reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The installation.
    pub device: DeviceId,
    /// The payload.
    pub payload: PayloadHash,
    /// Fencing number: rises with every reservation of the installation.
    pub serial: u64,
    /// The counter with this attempt counted: what a wrong PIN leaves.
    pub counter: Counter,
    /// What it said of tries before it.
    pub unheard: u32,
}

/// Answer to a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// Evaluate, then settle.
    Granted(Lease),
    /// This payload was evaluated before.
    Stored(StoredOutcome),
    /// The request is not open, or not this holder's.
    RequestClosed,
    /// Made for another epoch, or before a restore, or a late message with a token retired since.
    Stale,
    /// A late message: made before the newest success under its token. It will never be granted.
    Overtaken,
    /// A token number that was never given out.
    UnknownToken,
    /// Another attempt is being evaluated.
    Busy,
    /// Locked until.
    Locked(UnixSeconds),
    /// Blocked.
    Blocked,
    /// Frozen; perhaps just now.
    Frozen,
    /// Suspended by the operator.
    Suspended,
    /// Revoked.
    Revoked,
}

impl Reserved {
    /// Name of a refusal for figures; none if nothing was refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<&'static str> {
        Some(match self {
            Self::Granted(_) | Self::Stored(_) => return None,
            Self::RequestClosed => "request_closed",
            Self::Stale => "stale",
            Self::Overtaken => "overtaken",
            Self::UnknownToken => "unknown_token",
            Self::Busy => "busy",
            Self::Locked(_) => "locked",
            Self::Blocked => "blocked",
            Self::Frozen => "frozen",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        })
    }
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request is signed.
    Signed {
        /// One signature per digest, in order.
        signatures: Vec<Vec<u8>>,
        /// Canonical bytes of the approval record.
        record: Vec<u8>,
        /// The device key's signature over it.
        record_signature: [u8; 64],
    },
    /// A PIN proof outside signing was right.
    PinProven,
    /// New shares made their first signature: the attempt is given back as it was, and no outcome is stored.
    Refreshed {
        /// The same key with the shares of the next epoch.
        key: KeyRow,
    },
    /// The gate failed.
    WrongPin,
    /// The gate was right and the rest wrong: revokes the installation and ends its key.
    Cheating,
    /// The server's own computation failed: the attempt is given back, nothing else is stored.
    ServerFault,
}

impl Verdict {
    /// Name for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Signed { .. } => "signed",
            Self::PinProven => "pin_proven",
            Self::Refreshed { .. } => "refreshed",
            Self::WrongPin => "wrong_pin",
            Self::Cheating => "cheating",
            Self::ServerFault => "server_fault",
        }
    }
}

/// What [`super::Attempts::settle`] needs.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The reservation.
    pub lease: Lease,
    /// The request, as reserved.
    pub request: Option<RequestId>,
    /// How it ended.
    pub verdict: Verdict,
    /// Goes into the history, if the verdict is recorded, or ends the key, or the shares are renewed.
    pub told: Option<SealedEntry>,
    /// The lock policy.
    pub policy: LockPolicy,
    /// Server time.
    pub now: UnixSeconds,
}

/// Answer to a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Recorded.
    Recorded(StoredOutcome),
    /// The new shares are the living ones.
    Refreshed,
    /// The request was closed meanwhile: nothing is released, the attempt is given back.
    RequestClosed,
    /// Another reservation took the installation after the lease ran out, or it was frozen, revoked or refreshed
    /// meanwhile: nothing is released, the attempt stays counted. Cheating ends the key all the same.
    LeaseLost,
    /// The server's fault: the attempt is given back, nothing is stored.
    GivenBack,
}

/// Stored outcome of a payload, kept for 24 h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutcome {
    /// How it ended.
    pub kind: OutcomeKind,
    /// The counter right after.
    pub counter: Counter,
    /// Number of the device token to present next: after a success one of its own.
    pub next_token: u64,
    /// When.
    pub at: UnixSeconds,
}

/// Kinds of stored outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Signed; the signatures.
    Signed(Vec<Vec<u8>>),
    /// PIN proof right.
    PinProven,
    /// Wrong PIN.
    WrongPin,
    /// Cheating; the key has ended.
    Cheating,
}

/// A new request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Its id.
    pub id: RequestId,
    /// Who asks.
    pub relying_party: RelyingPartyId,
    /// Who is asked. May be nobody: the request then just expires, so that existence is not revealed.
    pub holder: Holder,
    /// Canonical bytes of the request object.
    pub object: Vec<u8>,
    /// When it was made.
    pub created: UnixSeconds,
    /// When it ends.
    pub expires: UnixSeconds,
    /// Hash of the relying party's idempotency key and of the body it came with.
    pub idempotency: Option<([u8; 32], [u8; 32])>,
    /// Its verification codes.
    pub codes: Option<DrawnCodes>,
    /// Its link: then its holder is [`Holder::nobody`] until a phone opens it.
    pub link: Option<NewLink>,
    /// The visit that has the phone asked: with an authorisation for signatures, without one to sign in.
    pub visit: Option<VisitId>,
    /// What may be fetched of it through the CSC API.
    pub authorisation: Option<NewAuthorisation>,
    /// How many bytes its relying party may keep, if its own row does not say.
    pub kept_bytes_max: u64,
}

impl NewRequest {
    /// Where its result goes.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        match (&self.authorisation, &self.visit) {
            (Some(_), _) => Purpose::Csc,
            (None, Some(_)) => Purpose::SignIn,
            (None, None) => Purpose::Session,
        }
    }
}

/// Where the result of a request goes. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To its relying party, by the session API.
    Session,
    /// Its signatures, each once, by the CSC API.
    Csc,
    /// Nowhere: the holder signs in, and that they did is all that is told.
    SignIn,
}

/// The link of a new request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Its public name.
    pub token: [u8; 32],
    /// Wrapped key of its MACs.
    pub wrapped_secret: Vec<u8>,
}

/// The link of a stored request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLink {
    /// As it was made.
    pub made: NewLink,
    /// The phone that opened it.
    pub opened_by: Option<DeviceId>,
}

/// The verification codes of a stored request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestCodes {
    /// As they were drawn.
    pub drawn: DrawnCodes,
    /// What the holder chose.
    pub chosen: Option<VerificationCode>,
}

impl RequestCodes {
    /// Whether the holder has chosen the right one.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.chosen == Some(self.drawn.right)
    }
}

/// Answer to [`super::Requests::add_request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddResult {
    /// Added.
    Added,
    /// Added before: with the same key and body, for the same visit, or by the same call of the CSC API, whose question is
    /// open or signed and not fetched.
    Same(RequestId),
    /// The key was used with another body.
    Mismatch,
    /// This relying party has [`OPEN_REQUESTS_MAX`] requests open for this person.
    TooMany,
    /// Another visit has this relying party ask this person to sign in, until then.
    SigningIn(UnixSeconds),
    /// The visit is over, was cancelled, or is another relying party's.
    VisitOver,
    /// This relying party keeps as many bytes as it may: these.
    Full(u64),
}

/// Most open requests of one relying party for one person: more would only bury what the others ask.
pub const OPEN_REQUESTS_MAX: u32 = 8;

/// State of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// Waits for the holder.
    Open,
    /// Signed.
    Signed {
        /// One signature per digest, in order.
        signatures: Vec<Vec<u8>>,
        /// Canonical bytes of the approval record.
        record: Vec<u8>,
        /// The device key's signature over it.
        record_signature: [u8; 64],
        /// The installation that signed.
        device: DeviceId,
        /// When.
        at: UnixSeconds,
    },
    /// The holder said no.
    Declined,
    /// The relying party took it back.
    Cancelled,
    /// Its time ran out.
    Expired,
    /// The key ended.
    KeyEnded,
    /// The holder chose a wrong verification code.
    WrongCode,
}

/// A stored request. `state` is `Expired` as soon as the time is up, whether or not the row was swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Its id.
    pub id: RequestId,
    /// Who asked.
    pub relying_party: RelyingPartyId,
    /// Who is asked.
    pub holder: Holder,
    /// Canonical bytes of the request object.
    pub object: Vec<u8>,
    /// When it ends.
    pub expires: UnixSeconds,
    /// Its state.
    pub state: RequestState,
    /// Where its result goes.
    pub purpose: Purpose,
    /// Its verification codes.
    pub codes: Option<RequestCodes>,
    /// Its link.
    pub link: Option<RequestLink>,
}

impl RequestRow {
    /// Whether its holder must choose a verification code before it is approved.
    #[must_use]
    pub fn awaits_code(&self) -> bool {
        self.codes.is_some_and(|codes| !codes.is_right())
    }
}

/// Who closes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The relying party that made it: cancelled.
    RelyingParty(RelyingPartyId),
    /// A device of its holder: declined.
    Device(DeviceId),
}

/// Answer to [`super::Requests::close_request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseResult {
    /// Closed now, or closed before by the same act.
    Closed,
    /// No such request for this caller.
    NotFound,
    /// Ended otherwise before.
    AlreadyEnded,
}

/// Answer to [`super::Requests::open_link`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenLinkResult {
    /// The request is this device's holder's, now or since it opened the link before.
    Opened,
    /// Another device was first.
    Used,
    /// The request has ended.
    AlreadyEnded,
    /// Its relying party has [`OPEN_REQUESTS_MAX`] requests open for this person.
    TooMany,
    /// No such link, or the device has no living installation.
    NotFound,
}

/// Answer to [`super::Requests::choose_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeChoiceResult {
    /// The right one was chosen, now or before.
    Right,
    /// A wrong one was chosen, now or before: the request has ended.
    Wrong,
    /// Not one of the request's codes, or it has none.
    NoSuchCode,
    /// No such request for this device.
    NotFound,
    /// It ended otherwise before a code was chosen.
    AlreadyEnded,
}

/// A relying party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingPartyRow {
    /// Its id.
    pub id: RelyingPartyId,
    /// Its registered name, shown to holders.
    pub name: String,
    /// Hash of its bearer token.
    pub token_hash: [u8; 32],
    /// May ask for signatures.
    pub may_ask: bool,
    /// May verify codes online.
    pub may_verify: bool,
    /// Numbers of the kinds of document it may report events of, as a register.
    pub report_kinds: Vec<u8>,
    /// May report deaths.
    pub may_report_deceased: bool,
    /// May have codes made for the documents of this organisation.
    pub generates_for: Option<Organisation>,
    /// Limits of its own.
    pub limits: OwnLimits,
    /// Revoked.
    pub revoked: bool,
}

/// Limits of one relying party in place of those of the configuration, where they are said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Calls in a second, over time.
    pub calls_per_second: Option<u32>,
    /// Bytes that its requests may take.
    pub kept_bytes: Option<u64>,
}

impl RelyingPartyRow {
    /// Whether it may report anything.
    #[must_use]
    pub const fn may_report(&self) -> bool {
        self.may_report_deceased || !self.report_kinds.is_empty()
    }
}

/// An issued day credential: no claim of the document is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// Status list.
    pub list: u32,
    /// Index in it.
    pub index: u32,
    /// The installation it was issued to.
    pub device: DeviceId,
    /// The document type.
    pub document_type: u32,
    /// Wrapped secret of the batch's digits.
    pub wrapped_otp: Vec<u8>,
    /// The day key, SEC1 compressed.
    pub day_key: [u8; 33],
    /// SHA-256 of the credential, by which it is known again.
    pub hash: Option<[u8; 32]>,
    /// End of its life.
    pub expires: UnixSeconds,
}

/// Most living credentials of one installation: what a phone shows in a day, many times over.
pub const LIVING_CREDENTIALS_MAX: u32 = 512;

/// Answer to [`super::Credentials::add_credentials`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedCredentials {
    /// All are added.
    Added,
    /// Nothing is: the indexes at these positions of the batch are taken. Draw them anew.
    Taken(Vec<usize>),
    /// Nothing is: a day key has a credential already.
    DayKeyUsed,
    /// Nothing is: the installation would have more than [`LIVING_CREDENTIALS_MAX`].
    TooMany,
}

/// One use of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burn {
    /// Status list.
    pub list: u32,
    /// Index.
    pub index: u32,
    /// Step of the code.
    pub step: u64,
    /// Its `n`.
    pub n: u8,
    /// Who verifies.
    pub verifier: RelyingPartyId,
    /// Hash of the verifier's request id.
    pub request: [u8; 32],
    /// Keyed hash of the code as it was sent.
    pub code: CodeHash,
    /// The answer to give again to the same verifier and request id within 60 s. Holds no claim.
    pub answer: Vec<u8>,
    /// Only look for an earlier use by the same verifier and request id; use nothing up.
    pub only_repeat: bool,
    /// The check to open on the first use.
    pub check: Option<NewCheck>,
    /// Goes into the history with a first use.
    pub told: Option<SealedEntry>,
    /// When the row may be dropped.
    pub forget: UnixSeconds,
    /// Server time.
    pub now: UnixSeconds,
}

/// Answer to a burn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Burned {
    /// The first use.
    Fresh,
    /// The same verifier and request id within 60 s: its answer again.
    Same(Vec<u8>),
    /// This very code was used before.
    Used,
    /// A higher (step, n) of the credential was used before.
    Superseded,
    /// No such credential, or it was withdrawn, or its installation is frozen or revoked.
    Withdrawn,
    /// The installation is suspended.
    Suspended,
    /// The holder or the verifier has too many checks open. Nothing was used up.
    TooManyChecks,
    /// The verifier's request id stands for another code. Nothing was used up.
    OtherCode,
}

/// One of the keys that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKeyRow {
    /// The key.
    pub key: ServerKeyRow,
    /// When it came into use; none of the first one, and of one that waits.
    pub activated: Option<UnixSeconds>,
    /// Since when the trust list given out names it, while it waits.
    pub listed: Option<UnixSeconds>,
}

/// The trust list given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustListRow {
    /// Its number.
    pub number: u64,
    /// The root that signed it, SEC1 compressed.
    pub root: [u8; 33],
    /// The root pinned when it was taken.
    pub pinned: [u8; 33],
    /// The signed list.
    pub bytes: Vec<u8>,
}

/// One of the server's own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerKeyRow {
    /// What it is for: `issuer`, `answer`, `device-token`, …; the second of a purpose is `issuer.2`.
    pub purpose: String,
    /// Public half, SEC1 compressed; empty for symmetric keys.
    pub public_key: Vec<u8>,
    /// The wrapped secret.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: UnixSeconds,
}
