//! Share refresh: new shares, same group public key. It is also how a PIN is changed.

use minicbor::{Decode, Encode};

use super::{Attempts, Confirmation, Token, WireSecret};
use crate::{
    codec::Blob,
    ids::{CeremonyId, Epoch, KeyId},
    suite::{Commitment, KeygenMessage},
    time::UnixSeconds,
};

/// Longest refresh-start payload, bytes.
pub const REFRESH_PAYLOAD_BYTES_MAX: usize = 512;

/// Asks for the challenge of a PIN proof.
#[derive(Debug, Encode, Decode)]
pub struct RefreshChallenge {
    /// The key to refresh.
    #[n(0)]
    pub key: KeyId,
}

/// Reply to [`RefreshChallenge`]. The server stores nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RefreshChallenged {
    /// Epoch of the shares to be replaced.
    #[n(0)]
    pub epoch: Epoch,
    /// Server time; the challenge is good for ten minutes.
    #[n(1)]
    pub issued_at: UnixSeconds,
    /// The challenge.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub challenge: [u8; 32],
}

/// The payload of a [`RefreshStart`]. Its hash is the idempotency key.
#[derive(Debug, Encode, Decode)]
pub struct RefreshPayload {
    /// The key.
    #[n(0)]
    pub key: KeyId,
    /// Epoch of the shares to be replaced.
    #[n(1)]
    pub epoch: Epoch,
    /// From [`RefreshChallenged`].
    #[n(2)]
    pub issued_at: UnixSeconds,
    /// From [`RefreshChallenged`].
    #[cbor(n(3), with = "minicbor::bytes")]
    pub challenge: [u8; 32],
    /// The device token.
    #[n(4)]
    pub token: Token,
    /// Tries before this one that presented the same token, of which the phone does not know that they had no success.
    #[n(5)]
    pub unheard: u32,
    /// Random: no two proofs are one message, not even those of a phone and its copy in one second.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub unique: [u8; 16],
    /// Gate MAC over everything above: the PIN proof.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub mac: [u8; 32],
}

/// PIN proof under the old PIN; opens a refresh.
#[derive(Debug, Encode, Decode)]
pub struct RefreshStart {
    /// Canonical bytes of the [`RefreshPayload`].
    #[n(0)]
    pub payload: Blob<REFRESH_PAYLOAD_BYTES_MAX>,
}

/// Reply to [`RefreshStart`].
#[derive(Debug, Encode, Decode)]
pub enum RefreshStarted {
    /// The PIN was right.
    #[n(0)]
    Started {
        /// This run of the refresh; forgotten by the server after five minutes.
        #[n(0)]
        ceremony: CeremonyId,
        /// Commitment to the server's part of the offset.
        #[cbor(n(1), with = "minicbor::bytes")]
        commitment: [u8; 32],
        /// The token to present next.
        #[n(2)]
        token: Token,
    },
    /// The PIN was wrong.
    #[n(1)]
    WrongPin {
        /// The counter after this attempt.
        #[n(0)]
        attempts: Attempts,
    },
}

/// The device's part of the offset.
#[derive(Debug, Encode, Decode)]
pub struct RefreshKeys {
    /// From [`RefreshStarted`].
    #[n(0)]
    pub ceremony: CeremonyId,
    /// The device's part. A secret.
    #[n(1)]
    pub part: WireSecret,
    /// The device's commitment for the confirming signature.
    #[n(2)]
    pub commitment: Commitment,
}

/// Reply to [`RefreshKeys`].
#[derive(Debug, Encode, Decode)]
pub struct RefreshKeyed {
    /// The server's part of the offset, which opens its commitment. A secret.
    #[n(0)]
    pub part: WireSecret,
    /// Server time that enters the confirming signature's transcript.
    #[n(1)]
    pub fetched_at: UnixSeconds,
    /// The server's commitment for the confirming signature.
    #[n(2)]
    pub commitment: Commitment,
    /// The server's question for the seeds of its new share.
    #[n(3)]
    pub seeding: KeygenMessage,
}

/// The first signature under the new shares: promotes them and ends the old ones.
#[derive(Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct RefreshConfirm(#[n(0)] pub Confirmation);
