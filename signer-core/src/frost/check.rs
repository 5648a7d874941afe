//! The second implementation: FROST's equations written from RFC 9591 and RFC 9380 over `k256` 0.14 and `sha2`.
//!
//! It shares no code with `frost-secp256k1`, which stands on `k256` 0.13. All but [`nonce`] handles public values only,
//! and may take a time that depends on them.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of the field and the curve, which has no overflow"
)]

use alloc::vec::Vec;

use k256::{
    ProjectivePoint, Scalar, WideBytes,
    elliptic_curve::ops::{Invert, LinearCombination, Reduce},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{DEVICE, SERVER, points};

/// RFC 9591 §6.5.
const CONTEXT: &[u8] = b"FROST-secp256k1-SHA256-v1";

/// One participant's number and nonce commitments, as points and as bytes.
#[derive(Clone, Copy)]
pub(super) struct Signer {
    pub(super) number: u16,
    pub(super) hiding: ProjectivePoint,
    pub(super) binding: ProjectivePoint,
    pub(super) commitment: [u8; 66],
}

impl Signer {
    /// From hiding point ‖ binding point.
    pub(super) fn new(number: u16, commitment: &[u8]) -> Option<Self> {
        let commitment = <[u8; 66]>::try_from(commitment).ok()?;
        let (hiding, binding) = commitment.split_at_checked(33)?;
        let (hiding, binding) = (points::point(hiding)?, points::point(binding)?);
        Some(Self { number, hiding, binding, commitment })
    }

    /// Commits to two nonces, which are secret: in constant time.
    pub(super) fn commit(number: u16, hiding: &Scalar, binding: &Scalar) -> Self {
        let [hiding, binding] = [hiding, binding].map(ProjectivePoint::mul_by_generator);
        let mut commitment = [0; 66];
        let bytes = [&hiding, &binding].map(points::point_bytes);
        commitment.iter_mut().zip(bytes.as_flattened()).for_each(|(to, from)| *to = *from);
        Self { number, hiding, binding, commitment }
    }
}

/// What a signature share is checked against.
pub(super) struct DeviceSharePart<'a> {
    pub(super) public_key: &'a [u8; 33],
    pub(super) verifying_share: &'a [u8; 33],
    pub(super) digest: &'a [u8; 32],
    pub(super) device: &'a [u8],
    pub(super) server: &'a [u8],
    pub(super) contribution: &'a [u8],
}

/// Whether the device's signature share is right. What cannot be read is not right.
pub(super) fn device_share_is_valid(part: &DeviceSharePart<'_>) -> bool {
    let read = || {
        let signers = [Signer::new(DEVICE, part.device)?, Signer::new(SERVER, part.server)?];
        let verifying = points::point(part.verifying_share)?;
        let z = points::scalar(part.contribution)?;
        let [device, _] = &signers;
        share_is_valid(part.public_key, &signers, device, &verifying, part.digest, &z).then_some(())
    };
    read().is_some()
}

/// RFC 9591 §5.3, `verify_signature_share`: z·G = D + ρ·E + λ·c·X.
pub(super) fn share_is_valid(
    public_key: &[u8; 33],
    signers: &[Signer],
    signer: &Signer,
    verifying_share: &ProjectivePoint,
    message: &[u8],
    z: &Scalar,
) -> bool {
    let read = || {
        let rho = binding_factor(public_key, signers, message, signer.number);
        let c = challenge(&group_commitment(public_key, signers, message)?, public_key, message);
        let lambda = lagrange(signers, signer.number)?;
        let right = signer.hiding + signer.binding * rho + *verifying_share * (lambda * c);
        (ProjectivePoint::mul_by_generator(z) == right).then_some(())
    };
    read().is_some()
}

/// RFC 9591 appendix B with the challenge of §4.6: z·G = R + c·Q.
#[cfg(test)]
pub(super) fn signature_is_valid(public_key: &[u8; 33], message: &[u8], signature: &[u8]) -> bool {
    let read = || {
        let (r, z) = signature.split_at_checked(33)?;
        let (point, key, z) = (points::point(r)?, points::point(public_key)?, points::scalar(z)?);
        let right = point + key * challenge(&point, public_key, message);
        (ProjectivePoint::mul_by_generator(&z) == right).then_some(())
    };
    read().is_some()
}

/// RFC 9591 §4.4: ρ = H1(Q ‖ H4(message) ‖ H5(commitments) ‖ number).
pub(super) fn binding_factor(
    public_key: &[u8; 33],
    signers: &[Signer],
    message: &[u8],
    number: u16,
) -> Scalar {
    hash_to_scalar(b"rho", &binding_factor_input(public_key, signers, message, number))
}

/// The input of [`binding_factor`].
pub(super) fn binding_factor_input(
    public_key: &[u8; 33],
    signers: &[Signer],
    message: &[u8],
    number: u16,
) -> Vec<u8> {
    let mut list = Vec::new();
    for signer in signers {
        list.extend_from_slice(&number_bytes(signer.number));
        list.extend_from_slice(&signer.commitment);
    }
    let mut input = Vec::from(public_key);
    input.extend_from_slice(&hash(b"msg", message));
    input.extend_from_slice(&hash(b"com", &list));
    input.extend_from_slice(&number_bytes(number));
    input
}

/// RFC 9591 §4.5: R = Σ (Dᵢ + ρᵢ·Eᵢ), or `None` if it is the identity.
pub(super) fn group_commitment(
    public_key: &[u8; 33],
    signers: &[Signer],
    message: &[u8],
) -> Option<ProjectivePoint> {
    let hiding: ProjectivePoint = signers.iter().map(|signer| signer.hiding).sum();
    let rho = |signer: &Signer| binding_factor(public_key, signers, message, signer.number);
    let binding: Vec<_> = signers.iter().map(|signer| (signer.binding, rho(signer))).collect();
    let sum = hiding + ProjectivePoint::lincomb_vartime(binding.as_slice());
    (sum != ProjectivePoint::IDENTITY).then_some(sum)
}

/// RFC 9591 §4.6: c = H2(R ‖ Q ‖ message).
pub(super) fn challenge(r: &ProjectivePoint, public_key: &[u8; 33], message: &[u8]) -> Scalar {
    let mut input = Vec::from(points::point_bytes(r));
    input.extend_from_slice(public_key);
    input.extend_from_slice(message);
    hash_to_scalar(b"chal", &input)
}

/// RFC 9591 §4.2: the Lagrange coefficient of `number` at 0.
pub(super) fn lagrange(signers: &[Signer], number: u16) -> Option<Scalar> {
    let own = Scalar::from(u64::from(number));
    let (numerator, denominator) = signers
        .iter()
        .filter(|signer| signer.number != number)
        .map(|signer| Scalar::from(u64::from(signer.number)))
        .fold((Scalar::ONE, Scalar::ONE), |(n, d), other| (n * other, d * (other - own)));
    let inverse: Option<Scalar> = Invert::invert(&denominator).into();
    inverse.map(|inverse| numerator * inverse)
}

/// RFC 9591 §4.1: H3(random ‖ secret), in constant time.
pub(super) fn nonce(random: &[u8; 32], secret: &[u8; 32]) -> Zeroizing<Scalar> {
    let mut input = Zeroizing::new([0; 64]);
    input.iter_mut().zip([random, secret].into_iter().flatten()).for_each(|(to, from)| *to = *from);
    Zeroizing::new(hash_to_scalar(b"nonce", &*input))
}

/// A participant's number as a scalar, 32 bytes, big endian.
fn number_bytes(number: u16) -> [u8; 32] {
    Scalar::from(u64::from(number)).to_bytes().into()
}

/// H4 and H5 of RFC 9591 §6.5.
fn hash(label: &[u8], message: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(CONTEXT).chain_update(label).chain_update(message).finalize().into()
}

/// H1, H2 and H3 of RFC 9591 §6.5: RFC 9380 §5.2, `hash_to_field` with one element of L = 48 bytes.
fn hash_to_scalar(label: &[u8], message: &[u8]) -> Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    wide.iter_mut().skip(16).zip(expand_message_xmd(label, message)).for_each(|(to, from)| *to = from);
    Scalar::reduce(&WideBytes::from(*wide))
}

/// RFC 9380 §5.3.1 with SHA-256 and 48 bytes of output. The tag is `CONTEXT ‖ label`, below 256 bytes.
fn expand_message_xmd(label: &[u8], message: &[u8]) -> impl Iterator<Item = u8> {
    let mut tag = Vec::from(CONTEXT);
    tag.extend_from_slice(label);
    tag.push(u8::try_from(tag.len()).unwrap_or(u8::MAX));
    let first: [u8; 32] = Sha256::new()
        .chain_update([0; 64])
        .chain_update(message)
        .chain_update([0, 48, 0])
        .chain_update(&tag)
        .finalize()
        .into();
    let block = |input: [u8; 32], counter: u8| -> [u8; 32] {
        Sha256::new().chain_update(input).chain_update([counter]).chain_update(&tag).finalize().into()
    };
    let one = block(first, 1);
    let mut mixed = first;
    mixed.iter_mut().zip(one).for_each(|(to, with)| *to ^= with);
    let two = block(mixed, 2);
    one.into_iter().chain(two).take(48)
}
