//! Codes on display, and checks that wait for the holder.
//!
//! A display names a credential and a step; the server gives it digits and a bar code that no other live display has. A
//! verifier's use of a short code, or a question for more than a QR says, opens a check: the holder is asked on the phone.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{
    approval::NAME_BYTES_MAX,
    codec::Label,
    credential::{BarCode, Digits, Step, Turn},
    domain::{Domain, Hasher},
    ids::CheckId,
    time::UnixSeconds,
};

/// Most checks that wait for one holder at once.
pub const CHECKS_MAX: usize = 4;
/// Life of a check, seconds.
pub const CHECK_SECONDS: u64 = 120;
/// How long a decided check, or one nobody decided, can still be asked about, seconds.
pub const CHECK_KEPT_SECONDS: u64 = 60;
/// How long after its step a short code is still good, seconds.
pub const SHORT_CODE_GRACE_SECONDS: u64 = 60;

/// Puts the code of one credential and step on display. A display of another credential replaces the one before; the step
/// before of the same credential stays good for its grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Display {
    /// Status list of the credential.
    #[n(0)]
    pub list: u32,
    /// Its index.
    #[n(1)]
    pub index: u32,
    /// The step on display: that of now, within the grace of a code.
    #[n(2)]
    pub step: Step,
    /// The lowest turn the phone will show.
    #[n(3)]
    pub turn: Turn,
    /// What the credential says; offered where a verifier does not ask for a profile.
    #[n(4)]
    pub profile: Profile,
}

/// Reply to [`Display`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Displayed {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// The turn to show and to sign the QR with: the one asked for or, where its digits are taken or it is used up, a later
    /// one.
    #[n(1)]
    pub turn: Turn,
    /// The digits of that turn, so that the phone need not compute them.
    #[n(2)]
    pub digits: Digits,
    /// The bar code.
    #[n(3)]
    pub bar: BarCode,
    /// Until when both are good: [`SHORT_CODE_GRACE_SECONDS`] after the step.
    #[n(4)]
    pub until: UnixSeconds,
}

/// Takes the codes of a credential off display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct EndDisplay {
    /// Status list of the credential.
    #[n(0)]
    pub list: u32,
    /// Its index.
    #[n(1)]
    pub index: u32,
}

/// Reply to [`EndDisplay`], also if nothing was on display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DisplayEnded {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
}

/// Asks for the checks that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ChecksQuery {}

/// Reply to [`ChecksQuery`], oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PendingChecks {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// At most [`CHECKS_MAX`] checks.
    #[cbor(n(1), decode_with = "at_most_checks")]
    pub checks: Vec<Check>,
}

fn at_most_checks<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Vec<Check>, DecodeError> {
    let length = d.array()?.ok_or_else(|| DecodeError::message("indefinite length"))?;
    if !usize::try_from(length).is_ok_and(|length| length <= CHECKS_MAX) {
        return Err(DecodeError::message("too many checks"));
    }
    (0..length).map(|_| Check::decode(d, ctx)).collect()
}

/// A verifier's question, as the holder is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// The check.
    #[n(0)]
    pub id: CheckId,
    /// The registered name of who asks.
    #[n(1)]
    pub verifier: Label<NAME_BYTES_MAX>,
    /// What is asked for.
    #[n(2)]
    pub profile: Profile,
    /// Of which kind of document; see `spec/credential.md`.
    #[n(3)]
    pub document_type: u32,
    /// Shown to both: the holder sees that it is this verifier's check.
    #[n(4)]
    pub match_number: MatchNumber,
    /// When it ends.
    #[n(5)]
    pub expires: UnixSeconds,
}

impl Check {
    /// Digest of everything the holder is shown of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Hasher::new(Domain::CheckShown)
            .field(self.id.as_bytes())
            .field(self.verifier.as_str().as_bytes())
            .field(self.profile.name().as_bytes())
            .number(self.document_type.into())
            .number(self.match_number.value().into())
            .number(self.expires.0)
            .finish()
    }
}

/// The holder's answer to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct AnswerCheck {
    /// The check.
    #[n(0)]
    pub id: CheckId,
    /// Whether the verifier may learn what it asked for.
    #[n(1)]
    pub allow: bool,
    /// [`Check::digest`] of what stood on the screen: with the message's signature, what the holder answered to.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub shown: [u8; 32],
}

impl AnswerCheck {
    /// The answer to a check that was shown.
    #[must_use]
    pub fn to(check: &Check, allow: bool) -> Self {
        Self { id: check.id, allow, shown: check.digest() }
    }
}

/// Reply to [`AnswerCheck`], also to its repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct CheckAnswered {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
}

/// Asks to be told when something happens. The one operation whose reply is not CBOR: it is `text/event-stream`, events by
/// the name of [`Event`], with no data but that name, each sent once when the stream begins. A newer stream of the device ends the one
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Listen {}

/// What a phone is told has happened; it then asks by the operation for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Event {
    /// A signing request came or ended.
    #[n(0)]
    Requests,
    /// A check came or ended.
    #[n(1)]
    Checks,
    /// A code on display was used up.
    #[n(2)]
    Used,
    /// Something about the holder's documents changed.
    #[n(3)]
    Documents,
    /// An entry was added to the history.
    #[n(4)]
    History,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Checks, Self::Used, Self::Documents, Self::History];

    /// Its name in the stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Checks => "checks",
            Self::Used => "used",
            Self::Documents => "documents",
            Self::History => "history",
        }
    }

    /// The event with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Two decimal digits that verifier and holder compare. In JSON a string, for a leading zero is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MatchNumber(u8);

crate::openapi::text_schema!(MatchNumber, "^[0-9]{2}$", "Two digits.");

/// Text that is not two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected two digits")]
pub struct MatchNumberError;

impl MatchNumber {
    /// The number, or `None` if it has more than two digits.
    #[must_use]
    pub fn new(value: u8) -> Option<Self> {
        (value < 100).then_some(Self(value))
    }

    /// A fresh one, all equally likely.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            let [drawn, ..] = rng.next_u32().to_le_bytes();
            if drawn < 200 {
                return Self(drawn % 100);
            }
        }
    }

    /// Its value, 0 to 99.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for MatchNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

impl FromStr for MatchNumber {
    type Err = MatchNumberError;
    fn from_str(text: &str) -> Result<Self, MatchNumberError> {
        let digits = text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit());
        text.parse().ok().filter(|_| digits).and_then(Self::new).ok_or(MatchNumberError)
    }
}

impl TryFrom<String> for MatchNumber {
    type Error = MatchNumberError;
    fn try_from(text: String) -> Result<Self, MatchNumberError> {
        text.parse()
    }
}

impl From<MatchNumber> for String {
    fn from(number: MatchNumber) -> Self {
        alloc::format!("{number}")
    }
}

impl<C> Encode<C> for MatchNumber {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.u8(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for MatchNumber {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.u8()?).ok_or_else(|| DecodeError::message("more than two digits"))
    }
}
