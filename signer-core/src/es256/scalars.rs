//! Scalars modulo the group order q: strict decoding, unbiased reduction, masking, refresh. Constant time, as `p256`'s are.
#![expect(clippy::arithmetic_side_effects, reason = "arithmetic of the field, which has no overflow")]

use p256::{
    FieldBytes, Scalar,
    elliptic_curve::{PrimeField, ops::Reduce, scalar::IsHigh},
};
use rand_core::CryptoRng;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::{
    domain::{Domain, expand},
    secret::{Secret, SecretBytes},
};

/// A scalar in canonical form: 32 bytes, big endian, less than q.
pub(super) fn canonical(bytes: &[u8]) -> Option<Scalar> {
    let bytes = <[u8; 32]>::try_from(bytes).ok()?;
    Scalar::from_repr(FieldBytes::from(bytes)).into()
}

/// A number of 256 bits, lowest limb first.
pub(super) type Limbs = [u64; 4];

/// q.
const ORDER: Limbs =
    [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000];

/// 32 bytes, big endian, as limbs.
pub(super) fn limbs(bytes: &[u8; 32]) -> Limbs {
    let (words, _) = bytes.as_chunks::<8>();
    let mut limbs = [0; 4];
    limbs.iter_mut().zip(words.iter().rev()).for_each(|(limb, word)| *limb = u64::from_be_bytes(*word));
    limbs
}

/// Whether a number is less than q. Cheaper than to decode it, where only that is asked.
pub(super) fn is_reduced(number: &Limbs) -> bool {
    number.iter().zip(ORDER).fold(false, |borrow, (limb, order)| {
        let (difference, first) = limb.overflowing_sub(order);
        let (_, second) = difference.overflowing_sub(u64::from(borrow));
        first | second
    })
}

/// A canonical scalar other than 0.
pub(super) fn nonzero(bytes: &[u8]) -> Option<Scalar> {
    canonical(bytes).filter(|scalar| !is_zero(scalar))
}

pub(super) fn is_zero(scalar: &Scalar) -> bool {
    scalar.ct_eq(&Scalar::ZERO).into()
}

/// 2²⁵⁶ mod q.
fn two_to_the_256() -> Scalar {
    Scalar::reduce(&FieldBytes::from([0xff; 32])) + Scalar::ONE
}

/// 32 bytes as a number, modulo q. Biased by 2⁻³² if the bytes are uniform: only for what need not be.
pub(super) fn reduced(bytes: &[u8; 32]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*bytes))
}

/// 64 bytes, big endian, modulo q: uniform to within 2⁻²⁵⁶ if the bytes are uniform.
pub(super) fn wide(bytes: &[u8; 64]) -> Scalar {
    let (high, low) = bytes.split_first_chunk().unwrap_or((&[0; 32], &[]));
    let low = low.first_chunk().unwrap_or(&[0; 32]);
    reduced(high) * two_to_the_256() + reduced(low)
}

/// `high`·2²⁵⁶ + `low` modulo q.
pub(super) fn joined(high: &[u8; 32], low: &[u8; 32]) -> Scalar {
    reduced(high) * two_to_the_256() + reduced(low)
}

/// A scalar drawn from a secret or a hash under a domain: 64 bytes, reduced.
pub(super) fn derived(key: &[u8; 32], domain: Domain, fields: &[&[u8]]) -> Zeroizing<Scalar> {
    Zeroizing::new(wide(expand::<64>(key, domain, fields).expose()))
}

/// A random scalar, bound to `fields`: a generator that repeats itself gives another scalar for other fields.
pub(super) fn hedged(rng: &mut dyn CryptoRng, domain: Domain, fields: &[&[u8]]) -> Zeroizing<Scalar> {
    derived(SecretBytes::<32>::random(rng).expose(), domain, fields)
}

/// A digest as ECDSA takes it (FIPS 186-5 §6.4: all 256 bits, modulo q), or `None` if it is 0 modulo q.
pub(super) fn of_digest(digest: &[u8; 32]) -> Option<Scalar> {
    Some(reduced(digest)).filter(|scalar| !is_zero(scalar))
}

/// The smaller of s and −s: (r, s) and (r, −s) are both valid, and only one of them is ours.
pub(super) fn low_s(s: &Scalar) -> Scalar {
    Scalar::conditional_select(s, &-*s, s.is_high())
}

/// Whether a signature r ‖ s has the smaller s.
pub(super) fn is_low_s(signature: &[u8; 64]) -> bool {
    let s = signature.get(32..).and_then(canonical);
    s.is_some_and(|s| !bool::from(s.is_high()))
}

/// The 32 bytes of a scalar.
pub(super) fn bytes(scalar: &Scalar) -> [u8; 32] {
    scalar.to_repr().into()
}

/// `share + offset`. A share always is canonical; a masked one may be any 32 bytes.
pub(super) fn shifted(share: &SecretBytes<32>, offset: &SecretBytes<64>) -> SecretBytes<32> {
    let (share, offset) = (Zeroizing::new(reduced(share.expose())), Zeroizing::new(wide(offset.expose())));
    Secret::new(bytes(&Zeroizing::new(*share + *offset)))
}

/// `share − offset`.
pub(super) fn shifted_back(share: &SecretBytes<32>, offset: &SecretBytes<64>) -> SecretBytes<32> {
    let (share, offset) = (Zeroizing::new(reduced(share.expose())), Zeroizing::new(wide(offset.expose())));
    Secret::new(bytes(&Zeroizing::new(*share - *offset)))
}
