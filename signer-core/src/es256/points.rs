//! Points of P-256: strict decoding, encoding, and the three multiplications that the suite is made of.
//!
//! With the feature `aws-lc` multiplications by a secret go through aws-lc-rs, about four times faster; `p256` always stands
//! beside it, is tested against it, and answers for it when a contribution fails.
#![expect(clippy::arithmetic_side_effects, reason = "arithmetic of the curve, which has no overflow")]

use p256::{
    AffinePoint, FieldBytes, ProjectivePoint, Scalar,
    elliptic_curve::{
        Group,
        point::{AffineCoordinates, DecompressPoint},
    },
};
use subtle::Choice;

use super::scalars::{declassified, some_if_declassified};

/// SEC1 uncompressed form: 4 ‖ x ‖ y. Never the identity, which has another form.
pub(super) type Uncompressed = [u8; 65];
/// SEC1 compressed form: 2 or 3 ‖ x. Never the identity.
pub(super) type Compressed = [u8; 33];

/// A point in uncompressed form, on the curve, coordinates canonical.
pub(super) fn from_uncompressed(bytes: &[u8]) -> Option<ProjectivePoint> {
    let [4, coordinates @ ..] = <&Uncompressed>::try_from(bytes).ok()? else { return None };
    let (x, y) = coordinates.split_first_chunk::<32>()?;
    let y = <[u8; 32]>::try_from(y).ok()?;
    let point = AffinePoint::from_coordinates(&FieldBytes::from(*x), &FieldBytes::from(y));
    some_if_declassified(point).map(ProjectivePoint::from)
}

/// A point in compressed form.
pub(super) fn from_compressed(bytes: &[u8]) -> Option<ProjectivePoint> {
    affine(bytes).map(ProjectivePoint::from)
}

fn affine(bytes: &[u8]) -> Option<AffinePoint> {
    let [form @ (2 | 3), x @ ..] = <&Compressed>::try_from(bytes).ok()? else { return None };
    some_if_declassified(AffinePoint::decompress(&FieldBytes::from(*x), Choice::from(form & 1)))
}

/// The uncompressed form of a point in compressed form.
pub(super) fn lengthened(bytes: &Compressed) -> Option<Uncompressed> {
    encoded(&affine(bytes)?)
}

/// `None` for the identity.
pub(super) fn uncompressed(point: &ProjectivePoint) -> Option<Uncompressed> {
    encoded(&point.to_affine())
}

/// `None` for the identity.
pub(super) fn compressed(point: &AffinePoint) -> Option<Compressed> {
    encoded(point).map(|point| shortened(&point))
}

/// `None` for the identity, which is the one thing about a point that takes a branch.
fn encoded(point: &AffinePoint) -> Option<Uncompressed> {
    if declassified(point.is_identity()) {
        return None;
    }
    let mut bytes = [4; 65];
    let coordinates: [[u8; 32]; 2] = [point.x().into(), point.y().into()];
    bytes.iter_mut().skip(1).zip(coordinates.as_flattened()).for_each(|(to, from)| *to = *from);
    Some(bytes)
}

/// The compressed form of a point that is known to be one: no field arithmetic, while through [`compressed`] it takes an
/// inversion.
pub(super) fn shortened([_, coordinates @ ..]: &Uncompressed) -> Compressed {
    let (x, y) = coordinates.split_at(32);
    let parity = y.last().map_or(0, |byte| byte & 1);
    let mut compressed = [2 | parity; 33];
    compressed.iter_mut().skip(1).zip(x).for_each(|(to, from)| *to = *from);
    compressed
}

/// k·G by `p256`, in constant time. `None` if k is 0.
pub(super) fn base_multiple_plain(k: &Scalar) -> Option<Uncompressed> {
    uncompressed(&ProjectivePoint::mul_by_generator(k))
}

/// The x coordinate of k·P by `p256`, in constant time. `None` if P is not a point or the product is the identity.
pub(super) fn multiple_x_plain(k: &Scalar, point: &Uncompressed) -> Option<[u8; 32]> {
    let point = (from_uncompressed(point)? * k).to_affine();
    compressed(&point).map(|_| point.x().into())
}

#[cfg(not(feature = "aws-lc"))]
pub(super) use self::{base_multiple_plain as base_multiple, multiple_x_plain as multiple_x};

#[cfg(feature = "aws-lc")]
pub(super) use self::fast::{base_multiple, multiple_x};

#[cfg(feature = "aws-lc")]
mod fast {
    //! The same through aws-lc-rs. What it cannot do is left to `p256`.

    use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
    use p256::Scalar;
    use zeroize::Zeroizing;

    use super::{super::scalars, Uncompressed};

    fn private_key(k: &Scalar) -> Option<PrivateKey> {
        PrivateKey::from_private_key(&ECDH_P256, &*Zeroizing::new(scalars::bytes(k))).ok()
    }

    pub(in crate::es256) fn base_multiple(k: &Scalar) -> Option<Uncompressed> {
        private_key(k)?.compute_public_key().ok()?.as_ref().try_into().ok()
    }

    pub(in crate::es256) fn multiple_x(k: &Scalar, point: &Uncompressed) -> Option<[u8; 32]> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, point);
        agreement::agree(&private_key(k)?, peer, (), |x| <[u8; 32]>::try_from(x).map_err(drop)).ok()
    }
}
