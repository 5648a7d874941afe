//! What both parties hash, each for itself, and the contribution's fields.

use p256::{ProjectivePoint, Scalar};

use super::{BITS, pads::Tweak, points, proof, scalars};
use crate::{
    domain::{Domain, Hasher},
    suite::{Commitment, PROTOCOL_VERSION, SigningContext},
};

/// R₁ ‖ salt ‖ pad nonce ‖ v, before the corrections.
const HEAD_BYTES: usize = 65 + 3 * 32;
/// Length of a contribution, bytes.
pub(super) const CONTRIBUTION_BYTES: usize = HEAD_BYTES + BITS * 32;
/// Length of the server's commitment, bytes.
const SERVER_COMMITMENT_BYTES: usize = 65 + 64;

/// The device's commitment to its nonce point.
pub(super) fn commitment(r1: &points::Uncompressed, salt: &[u8; 32]) -> [u8; 32] {
    Hasher::new(Domain::Es256NonceCommitment).field(r1).field(salt).finish()
}

/// The session id of one signature: everything that is fixed before the device opens its nonce.
pub(super) fn session(context: &SigningContext<'_>, device: &Commitment, r2: &[u8]) -> [u8; 32] {
    Hasher::new(Domain::Es256Transcript)
        .number(PROTOCOL_VERSION.into())
        .number(context.key.suite.number().into())
        .field(context.key.key.as_bytes())
        .number(context.key.epoch.0.into())
        .field(context.key.device.as_bytes())
        .field(&context.public_key.0)
        .field(&context.request_hash)
        .number(context.fetched_at.0)
        .number(context.index.into())
        .field(context.digest)
        .field(device.as_slice())
        .field(r2)
        .finish()
}

/// e, which shifts the server's nonce by what neither party could choose.
pub(super) fn shift(session: &[u8; 32], r1: &points::Uncompressed) -> Scalar {
    let hash = Hasher::new(Domain::Es256Shift).field(session).field(r1).finish();
    *scalars::derived(&hash, Domain::Es256Shift, &[])
}

/// Tweak of all pads of one signature.
pub(super) fn tweak(session: &[u8; 32], pad_nonce: &[u8; 32]) -> Tweak {
    let hash = Hasher::new(Domain::Es256Tweak).field(session).field(pad_nonce).finish();
    *hash.first_chunk().unwrap_or(&[0; 16])
}

/// The server's commitment, taken apart: R₂ as bytes and its proof.
pub(super) struct ServerCommitmentParts<'a> {
    pub(super) r2: &'a [u8],
    proof: &'a [u8],
}

impl<'a> ServerCommitmentParts<'a> {
    /// `None` if the length is wrong.
    pub(super) fn read(commitment: &'a Commitment) -> Option<Self> {
        let (r2, proof) = commitment.as_slice().split_at_checked(65)?;
        (commitment.as_slice().len() == SERVER_COMMITMENT_BYTES).then_some(Self { r2, proof })
    }

    /// R₂, if it is a point and the proof of its logarithm holds for this session.
    pub(super) fn proven(&self, session: &[u8; 32]) -> Option<ProjectivePoint> {
        let r2 = points::from_uncompressed(self.r2)?;
        proof::holds(&r2, self.r2, session, self.proof).then_some(r2)
    }
}

/// A contribution whose fields are in range: R₁ a point, v and the corrections canonical.
pub(super) struct ContributionParts<'a> {
    pub(super) r1: &'a points::Uncompressed,
    pub(super) salt: &'a [u8; 32],
    pub(super) pad_nonce: &'a [u8; 32],
    pub(super) v: Scalar,
    /// 32 bytes each.
    pub(super) corrections: &'a [[u8; 32]],
}

impl<'a> ContributionParts<'a> {
    /// `None` if a rule is broken.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() != CONTRIBUTION_BYTES {
            return None;
        }
        let (r1, rest) = bytes.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        let (pad_nonce, rest) = rest.split_first_chunk()?;
        let (v, rest) = rest.split_first_chunk::<32>()?;
        let (corrections, _) = rest.as_chunks();
        points::from_uncompressed(r1)?;
        let all = corrections.iter().all(|one| scalars::is_reduced(&scalars::limbs(one)));
        let parts = Self { r1, salt, pad_nonce, v: scalars::canonical(v)?, corrections };
        all.then_some(parts)
    }
}
