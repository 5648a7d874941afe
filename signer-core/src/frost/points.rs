//! Strict decoding of points and scalars with `k256` 0.14.

use k256::{
    FieldBytes, ProjectivePoint, Scalar,
    elliptic_curve::{PrimeField, group::GroupEncoding},
};
use subtle::ConstantTimeEq;

/// A point other than the identity in SEC1 compressed form (SEC 1 v2 §2.3.4), 33 bytes opening with 2 or 3.
///
/// Both generations of `k256` also take the "compact" form, which opens with 5, for one of the two points: a second
/// encoding, refused here.
pub(super) fn point(bytes: &[u8]) -> Option<ProjectivePoint> {
    let bytes = <[u8; 33]>::try_from(bytes).ok()?;
    if !matches!(bytes, [2 | 3, ..]) {
        return None;
    }
    ProjectivePoint::from_bytes(&bytes.into()).into()
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
