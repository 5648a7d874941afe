//! Every message between device and server. Both sides use these types, so a route and its bytes cannot drift apart.
//!
//! A device posts an [`Envelope`] to `/device/v1/<operation>` and gets the canonical CBOR of the operation's reply, or a
//! problem (RFC 9457) with one of [`ProblemCode`]'s codes.

mod audit;
mod certificate;
mod choice;
mod codes;
mod credentials;
mod displays;
mod enrol;
mod history;
mod keks;
mod link;
mod oauth;
mod problem;
mod refresh;
mod relying_party;
mod sign;
mod summary;
mod verification;
mod webhook;

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

pub use self::{
    audit::*, certificate::*, choice::*, codes::*, credentials::*, displays::*, enrol::*, history::*,
    keks::*, link::*, oauth::*, problem::*, refresh::*, relying_party::*, sign::*, summary::*,
    verification::*, webhook::*,
};
use crate::{
    codec::{self, Blob, CodecError},
    device_key::{DevicePublicKey, DeviceSignature, ToSign},
    domain::{Domain, Hasher},
    ids::DeviceId,
    suite::PROTOCOL_VERSION,
    time::UnixSeconds,
};

/// Longest body of any device message, bytes: an approve of 32 digests in the widest suite, with room for its record.
pub const BODY_BYTES_MAX: usize = 320 * 1024;
/// Longest envelope, bytes. The server's limit on request bodies.
pub const ENVELOPE_BYTES_MAX: usize = BODY_BYTES_MAX + 256;
/// Longest reply to a device, bytes. The client's limit on responses.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// How far the phone's time in an envelope may be from the server's, seconds.
pub const CLOCK_TOLERANCE_SECONDS: u64 = 300;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $number:literal $path:literal: $body:ty => $reply:ty,)*) => {
        /// What a device message asks for. Numbers are final: they are signed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
        #[cbor(index_only)]
        pub enum Operation { $($(#[$doc])* #[n($number)] $name,)* }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Last segment of the operation's path.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            const fn number(self) -> u64 {
                match self { $(Self::$name => $number,)* }
            }
        }

        $(impl Exchange for $body {
            const OPERATION: Operation = Operation::$name;
            type Reply = $reply;
        })*
    };
}

operations! {
    /// Key generation, first round.
    EnrolStart = 1 "enrol-start": EnrolStart => EnrolStarted,
    /// Key generation, second round, and the commitment for the first signature.
    EnrolKeys = 2 "enrol-keys": EnrolKeys => EnrolKeyed,
    /// The first signature: proves both shares, binds the device.
    EnrolConfirm = 3 "enrol-confirm": EnrolConfirm => Confirmed,
    /// State of the installation and its key; also the answer to a lost `enrol-confirm` or `refresh-confirm`.
    Status = 4 "status": StatusQuery => DeviceStatus,
    /// Requests waiting for the holder.
    Requests = 5 "requests": RequestsQuery => PendingRequests,
    /// Download of one request with the exchange of nonce commitments.
    Fetch = 6 "fetch": Fetch => Fetched,
    /// The device's contribution, after the PIN.
    Approve = 7 "approve": Approve => Evaluated,
    /// What became of a request.
    Outcome = 8 "outcome": OutcomeQuery => RequestOutcome,
    /// The holder says no.
    Decline = 9 "decline": Decline => Declined,
    /// Challenge for a PIN proof.
    RefreshChallenge = 10 "refresh-challenge": RefreshChallenge => RefreshChallenged,
    /// PIN proof under the old PIN, counted like an approve; opens a refresh.
    RefreshStart = 11 "refresh-start": RefreshStart => RefreshStarted,
    /// The device's part of the offset, and the commitment for the confirming signature.
    RefreshKeys = 12 "refresh-keys": RefreshKeys => RefreshKeyed,
    /// The first signature under the new shares: promotes them and ends the old ones.
    RefreshConfirm = 13 "refresh-confirm": RefreshConfirm => Confirmed,
    /// Issue of a batch of day credentials.
    Credentials = 14 "credentials": IssueCredentials => IssuedCredentials,
    /// Whether the code on display was used: the phone then shows the next `n`.
    CodeState = 15 "code-state": CodeStateQuery => CodeState,
    /// The certificate of the key; renewed when little of its life is left.
    Certificate = 16 "certificate": CertificateQuery => CertificateReply,
    /// A code goes on display: digits and a bar code for it.
    Display = 17 "display": Display => Displayed,
    /// It is taken off display.
    EndDisplay = 18 "end-display": EndDisplay => DisplayEnded,
    /// Checks waiting for the holder.
    Checks = 19 "checks": ChecksQuery => PendingChecks,
    /// The holder's answer to one.
    AnswerCheck = 20 "answer-check": AnswerCheck => CheckAnswered,
    /// To be told of what happens: the reply is a stream of events.
    Listen = 21 "listen": Listen => Event,
    /// The holder's history.
    History = 22 "history": HistoryQuery => HistoryPage,
    /// Which credentials are withdrawn: the phone throws them away.
    Withdrawn = 23 "withdrawn": WithdrawnQuery => WithdrawnCredentials,
    /// The holder's choice among the verification codes of a request.
    ChooseCode = 24 "choose-code": ChooseCode => CodeChosen,
    /// A scanned link: its request becomes the holder's.
    OpenLink = 25 "open-link": OpenLink => LinkOpened,
}

/// A body with the operation it belongs to and the reply it gets.
pub trait Exchange: Encode<()> + for<'b> Decode<'b, ()> {
    /// The operation.
    const OPERATION: Operation;
    /// The reply.
    type Reply: Encode<()> + for<'b> Decode<'b, ()>;
}

/// A device message as it travels: nothing in it is believed before [`Envelope::open`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    /// [`PROTOCOL_VERSION`].
    #[n(0)]
    pub version: u8,
    /// Who says to be sending.
    #[n(1)]
    pub device: DeviceId,
    /// What is asked for.
    #[n(2)]
    pub operation: Operation,
    /// The phone's corrected time; see [`CLOCK_TOLERANCE_SECONDS`].
    #[n(3)]
    pub time: UnixSeconds,
    /// Canonical CBOR of the operation's body.
    #[n(4)]
    pub body: Blob<BODY_BYTES_MAX>,
    /// By the device key, over [`Envelope::to_sign`].
    #[n(5)]
    pub signature: DeviceSignature,
}

/// Why an envelope was not opened. Nothing has been counted or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a canonical message of this operation.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Another protocol version.
    #[error("protocol version is not {PROTOCOL_VERSION}")]
    Version,
    /// Sent to the path of another operation.
    #[error("message is for another operation")]
    Operation,
    /// Not signed by the device key of that device.
    #[error("not signed by the device key")]
    Signature,
    /// The phone's clock is too far from the server's.
    #[error("time is more than {CLOCK_TOLERANCE_SECONDS} s off")]
    Clock,
}

impl Envelope {
    /// What the device key must sign to send `body` at `time`.
    #[must_use]
    pub fn to_sign<E: Exchange>(device: DeviceId, time: UnixSeconds, body: &[u8]) -> ToSign {
        Self::preimage(device, E::OPERATION, time, body)
    }

    fn preimage(device: DeviceId, operation: Operation, time: UnixSeconds, body: &[u8]) -> ToSign {
        ToSign(
            Hasher::new(Domain::DeviceMessage)
                .number(PROTOCOL_VERSION.into())
                .field(device.as_bytes())
                .number(operation.number())
                .number(time.0)
                .field(body)
                .finish(),
        )
    }

    /// The bytes to post, or `None` if the body is longer than [`BODY_BYTES_MAX`].
    #[must_use]
    pub fn seal<E: Exchange>(
        device: DeviceId,
        time: UnixSeconds,
        body: Vec<u8>,
        signature: DeviceSignature,
    ) -> Option<Vec<u8>> {
        let body = Blob::new(body)?;
        Some(codec::encode(&Self {
            version: PROTOCOL_VERSION,
            device,
            operation: E::OPERATION,
            time,
            body,
            signature,
        }))
    }

    /// Decodes the outer form only: enough to look up the device's key.
    ///
    /// # Errors
    /// [`EnvelopeError::Codec`], [`EnvelopeError::Version`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let envelope: Self = codec::decode(bytes, ENVELOPE_BYTES_MAX)?;
        if envelope.version == PROTOCOL_VERSION { Ok(envelope) } else { Err(EnvelopeError::Version) }
    }

    /// Decodes the body without believing it: only enrolment needs this, whose body brings the key.
    ///
    /// # Errors
    /// [`EnvelopeError::Operation`], [`EnvelopeError::Codec`].
    pub fn peek<E: Exchange>(&self) -> Result<E, EnvelopeError> {
        if self.operation != E::OPERATION {
            return Err(EnvelopeError::Operation);
        }
        Ok(codec::decode(self.body.as_slice(), BODY_BYTES_MAX)?)
    }

    /// Checks operation, signature and time, then decodes the body.
    ///
    /// # Errors
    /// [`EnvelopeError`]. The signature is checked before the time, so a clock answer is given to the device only.
    pub fn open<E: Exchange>(&self, key: &DevicePublicKey, now: UnixSeconds) -> Result<E, EnvelopeError> {
        if self.operation != E::OPERATION {
            return Err(EnvelopeError::Operation);
        }
        let signed = Self::preimage(self.device, self.operation, self.time, self.body.as_slice());
        if !key.verify(signed, &self.signature) {
            return Err(EnvelopeError::Signature);
        }
        if now.distance(self.time) > CLOCK_TOLERANCE_SECONDS {
            return Err(EnvelopeError::Clock);
        }
        self.peek()
    }
}
