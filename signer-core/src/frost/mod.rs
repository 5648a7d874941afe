//! FROST(secp256k1, SHA-256), RFC 9591 §6.5, 2 of 2: the device is participant 1, the server is participant 2.
//!
//! There are two implementations: the crate `frost-secp256k1`, and the equations in `check`. The crate generates keys,
//! computes for the device and verifies every signature. The server's part is computed in `check`, which is about twice as
//! fast; if no valid signature comes out, both are asked before anybody is blamed.
//!
//! | bytes | layout |
//! |---|---|
//! | commitment | hiding point (33) ‖ binding point (33) |
//! | contribution | signature share, 32, big endian, canonical and not zero |
//! | signature | R (33) ‖ z (32), RFC 9591 §6.5 |
//! | device hello | CBOR `[C0 (33), C1 (33), proof (65)]`: DKG round 1 |
//! | server hello | CBOR `[[C0, C1, proof], share (32)]`: DKG round 1, and round 2 for the device |
//! | device keys | CBOR `[share (32)]`: DKG round 2 for the server |
//! | opening, both seeding messages | empty |
//! | server's share at rest | CBOR `[s_S (32), X_D (33), X_S (33), Q (33)]` |
//!
//! The crate's proof of knowledge binds the participant number only, not the session. A package replayed from another
//! session proves nothing about its sender; but without its secret no signature share can be made, so the first
//! signature, which enrolment requires, fails. The server answers a commitment it has seen, so it may choose among
//! public keys; that gives it no knowledge of the device's share.

mod check;
mod device;
mod keygen;
mod points;
mod rng;
mod server;
mod shares;

#[cfg(test)]
pub(crate) mod tests;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use frost_secp256k1::{
    Identifier, SigningPackage, VerifyingKey,
    round1::{NonceCommitment, SigningCommitments},
};
use rand_core::CryptoRng;

use crate::{
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, Contribution, DeviceKeygen, DeviceNonce, DevicePart, DeviceShare,
        FinishError, GroupPublicKey, KeyContext, KeygenMessage, MaskedShare, ServerKeygen, ServerSeeding,
        ServerShare, Signature, SigningContext, Suite, SuiteError, SuiteId,
    },
};

/// The suite `frost-secp256k1-sha256`.
#[derive(Debug, Clone, Copy)]
pub struct Frost;

/// The device's participant number (RFC 9591 §1.1, "identifier").
const DEVICE: u16 = 1;
/// The server's participant number.
const SERVER: u16 = 2;
/// Both participants are needed, and there are no others.
const PARTICIPANTS: u16 = 2;

impl Suite for Frost {
    fn id(&self) -> SuiteId {
        SuiteId::FrostSecp256k1Sha256
    }

    fn device_hello(
        &self,
        _: &KeyContext,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn DeviceKeygen>, KeygenMessage), SuiteError> {
        let (round, hello) = keygen::DeviceRound1::start(rng)?;
        Ok((Box::new(round), hello))
    }

    fn server_hello(
        &self,
        _: &KeyContext,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn ServerKeygen>, KeygenMessage), SuiteError> {
        let (round, answer) = keygen::ServerRound2::start(hello, rng)?;
        Ok((Box::new(round), answer))
    }

    fn device_commit(
        &self,
        hedge: &SecretBytes<32>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(DeviceNonce, Commitment), SuiteError> {
        device::commit(hedge, rng)
    }

    fn server_commit(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        device: &Commitment,
    ) -> Result<Commitment, SuiteError> {
        server::commit(share, nonce_key, context, device)
    }

    fn contribute(
        &self,
        key: DevicePart<'_>,
        nonce: DeviceNonce,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
    ) -> Result<Contribution, SuiteError> {
        device::contribute(key.share, nonce, context, commitments)
    }

    fn check_syntax(&self, device: &Commitment, contribution: &Contribution) -> Result<(), SuiteError> {
        check::Signer::new(DEVICE, device.as_slice()).ok_or(SuiteError::Peer)?;
        points::scalar(contribution.as_slice()).map(drop).ok_or(SuiteError::Peer)
    }

    fn complete(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> Result<Option<Signature>, FinishError> {
        server::complete(share, nonce_key, context, commitments, contribution)
    }

    fn judge(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> FinishError {
        server::judge(share, nonce_key, context, commitments, contribution)
    }

    fn is_signable(&self, _: &[u8; 32]) -> bool {
        true
    }

    fn verify(&self, public_key: &GroupPublicKey, digest: &[u8; 32], signature: &Signature) -> bool {
        verify(public_key, digest, signature).is_some()
    }

    fn mask(&self, share: &DeviceShare, mask: &SecretBytes<64>) -> MaskedShare {
        shares::mask(share, mask)
    }

    fn unmask(&self, masked: &MaskedShare, mask: &SecretBytes<64>) -> DeviceShare {
        shares::unmask(masked, mask)
    }

    fn offset_device_share(&self, share: &DeviceShare, offset: &SecretBytes<64>) -> DeviceShare {
        shares::offset_device(share, offset)
    }

    fn offset_server_share(
        &self,
        share: &ServerShare,
        offset: &SecretBytes<64>,
    ) -> Result<ServerShare, SuiteError> {
        shares::offset_server(share, offset)
    }

    fn server_seeding(
        &self,
        share: ServerShare,
        _: &[u8; 32],
        _: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn ServerSeeding>, KeygenMessage), SuiteError> {
        Ok((Box::new(Unseeded(share)), empty()?))
    }

    fn device_seeding(
        &self,
        _: &KeyContext,
        _: &SecretBytes<32>,
        _: &[u8; 32],
        asked: &KeygenMessage,
        _: &mut dyn CryptoRng,
    ) -> Result<KeygenMessage, SuiteError> {
        if asked.as_slice().is_empty() { empty() } else { Err(SuiteError::Peer) }
    }
}

/// FROST needs no seeds: both messages are empty.
#[derive(Debug)]
struct Unseeded(ServerShare);

impl ServerSeeding for Unseeded {
    fn finish(self: Box<Self>, seeds: &KeygenMessage) -> Result<ServerShare, SuiteError> {
        if seeds.as_slice().is_empty() { Ok(self.0) } else { Err(SuiteError::Peer) }
    }
}

fn empty() -> Result<KeygenMessage, SuiteError> {
    KeygenMessage::new(Vec::new()).ok_or(SuiteError::OwnMaterial)
}

/// A participant's number in the form the crate wants. Fails for 0 only.
fn participant(number: u16) -> Result<Identifier, SuiteError> {
    Identifier::try_from(number).map_err(|_| SuiteError::OwnMaterial)
}

/// The outsider's check: RFC 9591 §3.2 and appendix B, `z·G = R + c·Q`.
fn verify(public_key: &GroupPublicKey, digest: &[u8; 32], signature: &Signature) -> Option<()> {
    let (r, z) = signature.as_slice().split_at_checked(33)?;
    points::compressed(r)?;
    if z.len() != 32 {
        return None;
    }
    let key = VerifyingKey::deserialize(points::compressed(&public_key.0)?).ok()?;
    let signature = frost_secp256k1::Signature::deserialize(signature.as_slice()).ok()?;
    key.verify(digest, &signature).ok()
}

/// Decodes a commitment: two compressed points, neither of them the identity.
fn commitments(bytes: &Commitment) -> Result<SigningCommitments, SuiteError> {
    let read = || {
        let (hiding, binding) = bytes.as_slice().split_at_checked(33)?;
        let hiding = NonceCommitment::deserialize(points::compressed(hiding)?).ok()?;
        let binding = NonceCommitment::deserialize(points::compressed(binding)?).ok()?;
        Some(SigningCommitments::new(hiding, binding))
    };
    read().ok_or(SuiteError::Peer)
}

/// Encodes a commitment of our own.
fn encode_commitments(commitments: &SigningCommitments) -> Result<Commitment, SuiteError> {
    let mut bytes = commitments.hiding().serialize().map_err(|_| SuiteError::OwnMaterial)?;
    bytes.extend(commitments.binding().serialize().map_err(|_| SuiteError::OwnMaterial)?);
    Commitment::new(bytes).ok_or(SuiteError::OwnMaterial)
}

/// What both parties sign (RFC 9591 §5.2): the digest as the message, the commitments in the order of the numbers.
fn package(
    device: SigningCommitments,
    server: SigningCommitments,
    digest: &[u8; 32],
) -> Result<SigningPackage, SuiteError> {
    let commitments = BTreeMap::from([(participant(DEVICE)?, device), (participant(SERVER)?, server)]);
    Ok(SigningPackage::new(commitments, digest))
}
