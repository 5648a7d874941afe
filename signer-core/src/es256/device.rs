//! The device's two steps of a signature: commit to a nonce, and contribute.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of the field and the curve, which has no overflow"
)]

use alloc::vec::Vec;

use p256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{ops::LinearCombination, point::AffineCoordinates},
};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    pads::{self, Pads, Sum},
    points, scalars,
    transcript::{self, CONTRIBUTION_BYTES, ServerCommitmentParts},
};
use crate::{
    domain::{Domain, expand},
    secret::SecretBytes,
    suite::{Commitment, Commitments, Contribution, DeviceNonce, DevicePart, SigningContext, SuiteError},
};

/// k₁ (32) ‖ R₁ (65) ‖ salt (32) ‖ pad nonce (32).
const NONCE_BYTES: usize = 32 + 65 + 32 + 32;

/// Draws everything that one contribution must not share with another. `hedge` keeps a failing generator from repeating it.
pub(super) fn commit(
    hedge: &SecretBytes<32>,
    rng: &mut dyn CryptoRng,
) -> Result<(DeviceNonce, Commitment), SuiteError> {
    let random = SecretBytes::<32>::random(rng);
    let part = |name: &[u8]| expand::<64>(hedge.expose(), Domain::Es256DeviceNonce, &[random.expose(), name]);
    let k1 = Zeroizing::new(scalars::wide(part(b"nonce").expose()));
    let r1 = points::base_multiple(&k1).ok_or(SuiteError::OwnMaterial)?;
    let blinds = part(b"blinds");
    let mut bytes = Vec::with_capacity(NONCE_BYTES);
    bytes.extend_from_slice(&*Zeroizing::new(scalars::bytes(&k1)));
    bytes.extend_from_slice(&r1);
    bytes.extend_from_slice(blinds.expose());
    let salt = blinds.expose().first_chunk().ok_or(SuiteError::OwnMaterial)?;
    let commitment = transcript::commitment(&r1, salt).to_vec();
    Ok((DeviceNonce::new(bytes), Commitment::new(commitment).ok_or(SuiteError::OwnMaterial)?))
}

/// The nonce, read back.
struct Nonce<'a> {
    k1: Zeroizing<Scalar>,
    r1: &'a points::Uncompressed,
    salt: &'a [u8; 32],
    pad: &'a [u8; 32],
}

impl<'a> Nonce<'a> {
    fn read(nonce: &'a DeviceNonce) -> Option<Self> {
        let (k1, rest) = nonce.bytes().split_first_chunk::<32>()?;
        let (r1, rest) = rest.split_first_chunk()?;
        let (salt, pad) = rest.split_first_chunk()?;
        Some(Self { k1: Zeroizing::new(scalars::nonzero(k1)?), r1, salt, pad: pad.try_into().ok()? })
    }
}

/// The device's part of the signature. Before the share is touched, the server's proof is checked.
#[expect(clippy::needless_pass_by_value, reason = "the nonce is gone when this returns, whatever happens")]
pub(super) fn contribute(
    key: DevicePart<'_>,
    nonce: DeviceNonce,
    context: &SigningContext<'_>,
    commitments: Commitments<'_>,
) -> Result<Contribution, SuiteError> {
    let nonce = Nonce::read(&nonce).ok_or(SuiteError::OwnMaterial)?;
    let committed = transcript::commitment(nonce.r1, nonce.salt).ct_eq(commitments.device.as_slice());
    if !scalars::declassified(committed) {
        return Err(SuiteError::OwnMaterial);
    }
    let m = scalars::of_digest(context.digest).ok_or(SuiteError::Peer)?;
    let server = ServerCommitmentParts::read(commitments.server).ok_or(SuiteError::Peer)?;
    let session = transcript::session(context, commitments.device, server.r2);
    let r2 = server.proven(&session).ok_or(SuiteError::Peer)?;
    let e = transcript::shift(&session, nonce.r1);
    let r = nonce_x(&nonce.k1, &e, &r2).ok_or(SuiteError::Peer)?;
    let share = Zeroizing::new(scalars::reduced(key.share.0.expose()));
    let a = scalars::inverse(&nonce.k1).ok_or(SuiteError::OwnMaterial)?;
    let tweak = transcript::tweak(&session, nonce.pad);
    let seeds = pads::seeds(key.seed, &context.key);
    let (corrections, alpha) = corrections(&seeds, &tweak, &a);
    let v = *a * (m + r * *share) + r * *alpha;
    let mut bytes = Vec::with_capacity(CONTRIBUTION_BYTES);
    bytes.extend_from_slice(nonce.r1);
    bytes.extend_from_slice(nonce.salt);
    bytes.extend_from_slice(nonce.pad);
    bytes.extend_from_slice(&scalars::bytes(&v));
    bytes.extend_from_slice(corrections.as_flattened());
    Contribution::new(bytes).ok_or(SuiteError::OwnMaterial)
}

/// r = x(k₁·(R₂ + e·G)) mod q, unless the point is the identity or r is 0.
fn nonce_x(k1: &Scalar, e: &Scalar, r2: &ProjectivePoint) -> Option<Scalar> {
    let product = Zeroizing::new(*k1 * e);
    let point = ProjectivePoint::lincomb(&[(*r2, *k1), (ProjectivePoint::GENERATOR, *product)]).to_affine();
    points::compressed(&point)?;
    Some(scalars::reduced(&point.x().into())).filter(|r| !scalars::is_zero(r))
}

/// uⱼ = P⁰ⱼ − P¹ⱼ − a for each bit, from the lowest; and α = Σ 2ʲ·P⁰ⱼ.
fn corrections(
    seeds: &pads::SeedPairs,
    tweak: &pads::Tweak,
    a: &Scalar,
) -> (Vec<[u8; 32]>, Zeroizing<Scalar>) {
    let (mut pads, mut alpha) = (Pads::new(tweak), Sum::new());
    let mut corrections = Vec::with_capacity(seeds.len());
    for [zero, one] in seeds.iter().rev() {
        let (zero, one) = (pads.pad(zero), pads.pad(one));
        alpha.term(&zero, 0, &[0; 32]);
        corrections.push(scalars::bytes(&(*zero.scalar() - *one.scalar() - a)));
    }
    corrections.reverse();
    (corrections, alpha.finish())
}
