//! Proof that a discrete logarithm is known: Schnorr, made non-interactive by a hash (Fiat-Shamir).
//!
//! T = t·G, c = H(what it stands on, X, T), z = t + c·x. The proof is c ‖ z; it holds if c = H(…, X, z·G − c·X).
#![expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of the field and the curve, which has no overflow"
)]

use p256::{ProjectivePoint, Scalar, elliptic_curve::ops::MulByGeneratorVartime};
use subtle::ConstantTimeEq;

use super::{points, scalars};
use crate::domain::{Domain, Hasher};

/// c ‖ z, each canonical.
pub(super) type Proof = [u8; 64];

/// Proves x for `public` = x·G. `t` is random, or derived from everything in `statement`; 0 gives `None`.
pub(super) fn prove(x: &Scalar, public: &[u8], statement: &[u8; 32], t: &Scalar) -> Option<Proof> {
    let c = challenge(statement, public, &points::base_multiple(t)?);
    let z = *t + c * x;
    let mut proof = [0; 64];
    let parts = [scalars::bytes(&c), scalars::bytes(&z)];
    proof.iter_mut().zip(parts.as_flattened()).for_each(|(to, from)| *to = *from);
    Some(proof)
}

/// Checks a proof for `public`, which is `point` as the prover encoded it. All values are public, and so is the time that it
/// takes: the check for constant time leaves this function out, by name, for which it stays out of line.
#[inline(never)]
pub(super) fn holds(point: &ProjectivePoint, public: &[u8], statement: &[u8; 32], proof: &[u8]) -> bool {
    let read = || {
        let (c, z) = proof.split_at_checked(32)?;
        let (c, z) = (scalars::canonical(c)?, scalars::canonical(z)?);
        let t = ProjectivePoint::mul_by_generator_and_mul_add_vartime(&z, &-c, point);
        let again = challenge(statement, public, &points::uncompressed(&t)?);
        scalars::declassified(again.ct_eq(&c)).then_some(())
    };
    read().is_some()
}

fn challenge(statement: &[u8; 32], public: &[u8], t: &points::Uncompressed) -> Scalar {
    let hash = Hasher::new(Domain::Es256Challenge).field(statement).field(public).field(t).finish();
    *scalars::derived(&hash, Domain::Es256Challenge, &[])
}
