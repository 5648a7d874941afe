//! Signing: pending requests, fetch, approve, outcome, decline.

use alloc::vec::Vec;

use minicbor::{Decode, Decoder, Encode, decode::Error as DecodeError};

use super::{Attempts, CodeChoice, WireSecret};
use crate::{
    approval::{DIGESTS_MAX, OBJECT_BYTES_MAX, RequestObject},
    codec::{Blob, List},
    device_key::DeviceSignature,
    ids::{Epoch, KeyId, RequestId},
    suite::{Commitment, Commitments, Contribution, Signature},
    time::UnixSeconds,
};

/// Most requests that wait for one holder.
pub const PENDING_MAX: usize = 32;
/// Longest approve payload, bytes.
pub const APPROVE_PAYLOAD_BYTES_MAX: usize = super::BODY_BYTES_MAX - 128;

/// The device token: random, rotated by the server, so that a copied phone gives itself away.
pub type Token = WireSecret;

/// What a try presents of device tokens.
#[derive(Debug)]
pub struct Presented {
    /// The newest token the phone was given.
    pub token: Token,
    /// Tries before this one that presented the same token, of which the phone does not know that they had no success.
    pub unheard: u32,
}

/// Asks for the requests that wait.
#[derive(Debug, Encode, Decode)]
pub struct RequestsQuery {}

/// Reply to [`RequestsQuery`], oldest first.
#[derive(Debug, Encode, Decode)]
pub struct PendingRequests {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// At most [`PENDING_MAX`] requests.
    #[cbor(n(1), decode_with = "at_most_pending")]
    pub requests: Vec<RequestObject>,
    /// Verification codes of those requests that have one; left out if none has.
    #[n(2)]
    pub codes: Option<List<CodeChoice, PENDING_MAX>>,
}

fn at_most_pending<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Vec<RequestObject>, DecodeError> {
    let length = d.array()?.ok_or_else(|| DecodeError::message("indefinite length"))?;
    if !usize::try_from(length).is_ok_and(|length| length <= PENDING_MAX) {
        return Err(DecodeError::message("too many requests"));
    }
    (0..length).map(|_| d.decode_with(ctx)).collect()
}

/// Asks for one request and its nonce commitments.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Fetch {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// The key to sign with.
    #[n(1)]
    pub key: KeyId,
    /// One commitment per digest, in order.
    #[n(2)]
    pub commitments: List<Commitment, DIGESTS_MAX>,
}

/// Reply to [`Fetch`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Fetched {
    /// The request, to be shown.
    #[n(0)]
    pub object: RequestObject,
    /// Epoch of the key's shares.
    #[n(1)]
    pub epoch: Epoch,
    /// Server time; enters the transcript. The commitments are good for ten minutes.
    #[n(2)]
    pub fetched_at: UnixSeconds,
    /// The server's commitments, one per digest, in order.
    #[n(3)]
    pub commitments: List<Commitment, DIGESTS_MAX>,
    /// The server's MAC over this answer and what it answers: by it the server knows its own commitments again, which it
    /// does not store.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub receipt: [u8; 32],
}

/// One digest's part of an approve.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ApproveItem {
    /// The device's commitment, as sent in the fetch.
    #[n(0)]
    pub device: Commitment,
    /// The server's commitment, as received.
    #[n(1)]
    pub server: Commitment,
    /// The device's contribution.
    #[n(2)]
    pub contribution: Contribution,
}

impl ApproveItem {
    /// Both commitments.
    #[must_use]
    pub const fn commitments(&self) -> Commitments<'_> {
        Commitments { device: &self.device, server: &self.server }
    }
}

/// The payload of an approve. Its hash is the idempotency key.
#[derive(Debug, Encode, Decode)]
pub struct ApprovePayload {
    /// The key.
    #[n(0)]
    pub key: KeyId,
    /// Epoch of its shares.
    #[n(1)]
    pub epoch: Epoch,
    /// From [`Fetched`].
    #[n(2)]
    pub fetched_at: UnixSeconds,
    /// From [`Fetched`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub receipt: [u8; 32],
    /// The device token.
    #[n(4)]
    pub token: Token,
    /// Canonical bytes of the [`crate::approval::ApprovalRecord`].
    #[n(5)]
    pub record: Blob<OBJECT_BYTES_MAX>,
    /// One item per digest, in order.
    #[n(6)]
    pub items: List<ApproveItem, DIGESTS_MAX>,
    /// Tries before this one that presented the same token, of which the phone does not know that they had no success.
    #[n(7)]
    pub unheard: u32,
    /// Gate MAC over everything above and what it stands on.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub mac: [u8; 32],
}

/// The device's contribution. Irrevocable once sent; the same bytes may be sent again.
#[derive(Debug, Encode, Decode)]
pub struct Approve {
    /// Canonical bytes of the [`ApprovePayload`].
    #[n(0)]
    pub payload: Blob<APPROVE_PAYLOAD_BYTES_MAX>,
    /// By the device key, over [`crate::approval::ApprovalRecord::to_sign`].
    #[n(1)]
    pub record_signature: DeviceSignature,
}

/// How an evaluated payload ended. Stored with it for 24 h and given again to the same payload.
#[derive(Debug, Encode, Decode)]
pub enum Evaluated {
    /// Signed.
    #[n(0)]
    Signed {
        /// One signature per digest, in order.
        #[n(0)]
        signatures: List<Signature, DIGESTS_MAX>,
        /// The token to present next.
        #[n(1)]
        token: Token,
    },
    /// The gate failed: wrong PIN, or damaged state on the phone.
    #[n(1)]
    WrongPin {
        /// The counter after this attempt.
        #[n(0)]
        attempts: Attempts,
    },
    /// The gate was right and what followed was wrong: the key has ended.
    #[n(2)]
    KeyEnded {},
}

/// Asks what became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct OutcomeQuery {
    /// The request.
    #[n(0)]
    pub request: RequestId,
}

/// What became of a request.
#[derive(Debug, Encode, Decode)]
pub enum RequestOutcome {
    /// Still waiting for the holder. A wrong PIN leaves it here.
    #[n(0)]
    Open {
        /// The counter.
        #[n(0)]
        attempts: Attempts,
    },
    /// Signed.
    #[n(1)]
    Signed {
        /// One signature per digest, in order.
        #[n(0)]
        signatures: List<Signature, DIGESTS_MAX>,
    },
    /// The holder said no.
    #[n(2)]
    Declined {},
    /// The relying party took it back.
    #[n(3)]
    Cancelled {},
    /// Its time ran out.
    #[n(4)]
    Expired {},
    /// The key ended while it was open.
    #[n(5)]
    KeyEnded {},
    /// The holder chose a wrong verification code.
    #[n(6)]
    WrongCode {},
}

/// The holder says no.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Decline {
    /// The request.
    #[n(0)]
    pub request: RequestId,
}

/// Reply to [`Decline`].
#[derive(Debug, Encode, Decode)]
pub struct Declined {}
