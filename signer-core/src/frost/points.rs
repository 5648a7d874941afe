//! Strict decoding of points and scalars with `k256` 0.14.

use k256::{
    FieldBytes, ProjectivePoint, Scalar,
    elliptic_curve::{PrimeField, group::GroupEncoding},
};
use subtle::ConstantTimeEq;

/// A point other than the identity in SEC1 compressed form (SEC 1 v2 §2.3.4).
pub(super) fn point(bytes: &[u8]) -> Option<ProjectivePoint> {
    ProjectivePoint::from_bytes(compressed(bytes)?.into()).into()
}

/// 33 bytes opening with 2 or 3; whether they are a point is for either generation of `k256` to say.
///
/// Both also take the "compact" form, which opens with 5, for one of the two points: a second encoding, refused here.
pub(super) fn compressed(bytes: &[u8]) -> Option<&[u8; 33]> {
    bytes.try_into().ok().filter(|bytes: &&[u8; 33]| matches!(bytes, [2 | 3, ..]))
}

/// The compressed form of a point.
pub(super) fn point_bytes(point: &ProjectivePoint) -> [u8; 33] {
    point.to_bytes().into()
}

/// A scalar in canonical form: 32 bytes, big endian, more than 0 and less than the group order.
pub(super) fn scalar(bytes: &[u8]) -> Option<Scalar> {
    let bytes = <[u8; 32]>::try_from(bytes).ok()?;
    let scalar: Option<Scalar> = Scalar::from_repr(FieldBytes::from(bytes)).into();
    scalar.filter(|scalar| !bool::from(scalar.ct_eq(&Scalar::ZERO)))
}
