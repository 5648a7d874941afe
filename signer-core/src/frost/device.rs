//! The device's two steps of a signature: commit (RFC 9591 §5.1) and sign (§5.2).

use alloc::vec;

use frost_secp256k1::{
    VerifyingKey,
    keys::{KeyPackage, SigningShare, VerifyingShare},
    round1::{self, SigningCommitments, SigningNonces},
    round2,
};
use k256::{FieldBytes, Scalar, elliptic_curve::ops::ReduceNonZero};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    DEVICE, PARTICIPANTS, commitments, encode_commitments, package, participant, points, rng::Stream,
};
use crate::{
    secret::SecretBytes,
    suite::{Commitment, Commitments, Contribution, DeviceNonce, DeviceShare, SigningContext, SuiteError},
};

/// Draws both nonces. The PIN is not known yet and with it not the share, so the secret that RFC 9591 §4.1 mixes into a
/// nonce is made from `hedge` instead. What is kept is their seed and that secret, 64 bytes.
pub(super) fn commit(
    hedge: &SecretBytes<32>,
    rng: &mut dyn CryptoRng,
) -> Result<(DeviceNonce, Commitment), SuiteError> {
    let mut bytes = vec![0; 64];
    if let Some((seed, secret)) = bytes.split_at_mut_checked(32) {
        rng.fill_bytes(seed);
        let hedge = Zeroizing::new(Scalar::reduce_nonzero(&FieldBytes::from(*hedge.expose())));
        secret.copy_from_slice(&hedge.to_bytes());
    }
    let nonce = DeviceNonce::new(bytes);
    let (_, commitments) = nonces(&nonce).ok_or(SuiteError::OwnMaterial)?;
    Ok((nonce, encode_commitments(&commitments)?))
}

/// The device's signature share, 32 bytes. The phone needs no verifying share; the key package gets a dummy.
#[expect(clippy::needless_pass_by_value, reason = "the nonce is gone when this returns, whatever happens")]
pub(super) fn contribute(
    share: &DeviceShare,
    nonce: DeviceNonce,
    context: &SigningContext<'_>,
    Commitments { device, server }: Commitments<'_>,
) -> Result<Contribution, SuiteError> {
    let server = commitments(server)?;
    let (nonces, own) = nonces(&nonce).ok_or(SuiteError::OwnMaterial)?;
    if encode_commitments(&own)? != *device {
        return Err(SuiteError::OwnMaterial);
    }
    if own == server {
        return Err(SuiteError::Peer);
    }
    let key = key_package(share, context).ok_or(SuiteError::OwnMaterial)?;
    // What can fail now depends on what the server sent: a group commitment at the identity.
    let share =
        round2::sign(&package(own, server, context.digest)?, &nonces, &key).map_err(|_| SuiteError::Peer)?;
    Contribution::new(share.serialize()).ok_or(SuiteError::OwnMaterial)
}

fn nonces(nonce: &DeviceNonce) -> Option<(SigningNonces, SigningCommitments)> {
    let (seed, secret) = nonce.bytes().split_at_checked(32)?;
    let secret = Zeroizing::new(SigningShare::deserialize(secret).ok()?);
    Some(round1::commit(&secret, &mut Stream::new(SecretBytes::from_slice(seed)?)))
}

fn key_package(share: &DeviceShare, context: &SigningContext<'_>) -> Option<KeyPackage> {
    points::point(&context.public_key.0)?;
    Some(KeyPackage::new(
        participant(DEVICE).ok()?,
        *Zeroizing::new(SigningShare::deserialize(share.0.expose()).ok()?),
        VerifyingShare::deserialize(&context.public_key.0).ok()?,
        VerifyingKey::deserialize(&context.public_key.0).ok()?,
        PARTICIPANTS,
    ))
}
