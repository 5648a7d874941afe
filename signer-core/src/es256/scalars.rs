//! Scalars modulo the group order q: strict decoding, unbiased reduction, masking, refresh. Constant time, as `p256`'s are.
#![expect(clippy::arithmetic_side_effects, reason = "arithmetic of the field, which has no overflow")]

use core::hint::black_box;

use p256::{
    FieldBytes, Scalar,
    elliptic_curve::{
        PrimeField,
        ops::{Invert, Reduce},
        scalar::IsHigh,
    },
};
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, CtOption};
use zeroize::Zeroizing;

use crate::{
    domain::{Domain, expand},
    secret::{Secret, SecretBytes},
};

/// A condition on secrets that may be known, for it holds or fails for honest parties with a probability of about 2⁻²⁵⁶ (a
/// pad's is 2⁻³²) and says nothing more. All branches on secrets are here: the check for constant time knows this one
/// function by name (`spec/constant-time.md`), which therefore stays out of line, and which the optimiser cannot see through.
#[inline(never)]
pub(super) fn declassified(condition: Choice) -> bool {
    let known = if condition.into() { black_box(1_u32) } else { u32::from(black_box(0_u8)) };
    known == 1
}

/// A value, if the condition that comes with it holds, which may be known.
pub(super) fn some_if_declassified<T: ConditionallySelectable + Default>(value: CtOption<T>) -> Option<T> {
    declassified(value.is_some()).then(|| value.unwrap_or(T::default()))
}

/// A scalar in canonical form: 32 bytes, big endian, less than q.
pub(super) fn canonical(bytes: &[u8]) -> Option<Scalar> {
    let bytes = <[u8; 32]>::try_from(bytes).ok()?;
    some_if_declassified(Scalar::from_repr(FieldBytes::from(bytes)))
}

/// The inverse modulo q, unless the scalar is 0.
pub(super) fn inverse(scalar: &Scalar) -> Option<Zeroizing<Scalar>> {
    some_if_declassified(Invert::invert(scalar)).map(Zeroizing::new)
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
    let borrow = number.iter().zip(ORDER).fold(false, |borrow, (limb, order)| {
        let (difference, first) = limb.overflowing_sub(order);
        let (_, second) = difference.overflowing_sub(u64::from(borrow));
        first | second
    });
    declassified(Choice::from(u8::from(borrow)))
}

/// A canonical scalar other than 0.
pub(super) fn nonzero(bytes: &[u8]) -> Option<Scalar> {
    canonical(bytes).filter(|scalar| !is_zero(scalar))
}

pub(super) fn is_zero(scalar: &Scalar) -> bool {
    declassified(scalar.ct_eq(&Scalar::ZERO))
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
