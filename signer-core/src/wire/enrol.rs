//! Enrolment: two-party key generation, first signature, and the state of an installation.

use minicbor::{Decode, Encode};

use super::Token;
use crate::{
    codec::Text,
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, Epoch, KeyId},
    lost_code::HolderKeys,
    secret::SecretBytes,
    suite::{Commitment, Contribution, GroupPublicKey, KeygenMessage, Signature, SuiteId},
    time::UnixSeconds,
};

/// Longest enrolment code, bytes.
pub const ENROLMENT_CODE_BYTES_MAX: usize = 64;

/// First round of key generation.
#[derive(Debug, Encode, Decode)]
pub struct EnrolStart {
    /// The code an operator gave the holder. A secret until it is used.
    #[n(0)]
    pub code: EnrolmentCode,
    /// The device key that will sign every message of this installation.
    #[n(1)]
    pub device_key: DevicePublicKeyBytes,
    /// The key to be made: a fresh random id.
    #[n(2)]
    pub key: KeyId,
    /// The suite wanted.
    #[n(3)]
    pub suite: SuiteId,
    /// The suite's first key generation message.
    #[n(4)]
    pub hello: KeygenMessage,
    /// What the phone leaves with the server for its holder.
    #[n(5)]
    pub holder_keys: HolderKeys,
}

/// An enrolment code as typed. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct EnrolmentCode(#[n(0)] pub Text<ENROLMENT_CODE_BYTES_MAX>);

impl core::fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("EnrolmentCode(redacted)")
    }
}

/// Reply to [`EnrolStart`].
#[derive(Debug, Encode, Decode)]
pub struct EnrolStarted {
    /// This run of key generation; forgotten by the server after five minutes.
    #[n(0)]
    pub ceremony: CeremonyId,
    /// The suite's answer.
    #[n(1)]
    pub hello: KeygenMessage,
}

/// Second round of key generation.
#[derive(Debug, Encode, Decode)]
pub struct EnrolKeys {
    /// From [`EnrolStarted`].
    #[n(0)]
    pub ceremony: CeremonyId,
    /// The suite's second message.
    #[n(1)]
    pub keys: KeygenMessage,
    /// The device's commitment for the first signature.
    #[n(2)]
    pub commitment: Commitment,
}

/// Reply to [`EnrolKeys`].
#[derive(Debug, Encode, Decode)]
pub struct EnrolKeyed {
    /// The suite's opening.
    #[n(0)]
    pub opening: KeygenMessage,
    /// Server time that enters the first signature's transcript.
    #[n(1)]
    pub fetched_at: UnixSeconds,
    /// The server's commitment for the first signature.
    #[n(2)]
    pub commitment: Commitment,
    /// The first device token; worth nothing unless the enrolment is confirmed.
    #[n(3)]
    pub token: Token,
    /// The server's question for the seeds of its share.
    #[n(4)]
    pub seeding: KeygenMessage,
}

/// The device's part of the first signature under new shares, over their statement.
#[derive(Debug, Encode, Decode)]
pub struct Confirmation {
    /// The ceremony it ends.
    #[n(0)]
    pub ceremony: CeremonyId,
    /// The gate key, given to the server this once.
    #[n(1)]
    pub gate_key: WireSecret,
    /// The seeds the server asked for.
    #[n(2)]
    pub seeds: KeygenMessage,
    /// The device's contribution.
    #[n(3)]
    pub contribution: Contribution,
    /// Gate MAC over the confirmation.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub mac: [u8; 32],
}

/// Ends an enrolment.
#[derive(Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct EnrolConfirm(#[n(0)] pub Confirmation);

/// Reply to [`EnrolConfirm`] and [`super::RefreshConfirm`]: the new shares are the living ones.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Confirmed {
    /// The first signature; the device verifies it before it believes the key.
    #[n(0)]
    pub signature: Signature,
}

/// Asks for the state of the installation.
#[derive(Debug, Encode, Decode)]
pub struct StatusQuery {}

/// State of the installation and its key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceStatus {
    /// Server time.
    #[n(0)]
    pub time: UnixSeconds,
    /// The key.
    #[n(1)]
    pub key: KeyId,
    /// Its suite.
    #[n(2)]
    pub suite: SuiteId,
    /// The epoch of its shares: tells which of two stored shares is the living one.
    #[n(3)]
    pub epoch: Epoch,
    /// Its group public key.
    #[n(4)]
    pub public_key: GroupPublicKey,
    /// Whether it can sign.
    #[n(5)]
    pub standing: Standing,
    /// The attempt counter.
    #[n(6)]
    pub attempts: Attempts,
    /// The first signature under the living shares: what a lost [`Confirmed`] would have brought.
    #[n(7)]
    pub proof: Signature,
}

/// Whether an installation can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Standing {
    /// It can.
    #[n(0)]
    Good,
    /// A retired device token was presented: there may be a clone.
    #[n(1)]
    Frozen,
    /// Ended: cheating was found, or an operator revoked it. Enrol again.
    #[n(2)]
    Revoked,
    /// The operator suspended it, and may take that back.
    #[n(3)]
    Suspended,
}

/// The attempt counter of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Attempts {
    /// Wrong PINs that may still be typed before the next lock.
    #[n(0)]
    pub left: u8,
    /// Until when no PIN is evaluated, if locked now.
    #[n(1)]
    pub locked_until: Option<UnixSeconds>,
    /// No PIN will be evaluated any more.
    #[n(2)]
    pub blocked: bool,
}

/// A 32-byte secret inside a message. Wiped and redacted like every [`SecretBytes`].
#[derive(Debug)]
pub struct WireSecret(pub SecretBytes<32>);

impl<C> Encode<C> for WireSecret {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(self.0.expose())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for WireSecret {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        SecretBytes::from_slice(d.bytes()?)
            .map(Self)
            .ok_or_else(|| minicbor::decode::Error::message("secret is not 32 bytes"))
    }
}
