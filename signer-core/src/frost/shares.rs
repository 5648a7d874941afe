//! Key shares as scalars: the server's share at rest, masking, refresh. Arithmetic is `k256`'s, in constant time.
//!
//! Shares are Shamir shares. Their Lagrange coefficients at 0 for the numbers 1 and 2 are 2 and −1 (RFC 9591 §4.2), so
//! x = 2·s_D − s_S. When the device's share moves by δ the server's moves by 2·δ, and x stays.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "arithmetic of the field and the curve, which has no overflow"
)]

use alloc::vec::Vec;

use frost_secp256k1::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use k256::{ProjectivePoint, Scalar, WideBytes, elliptic_curve::ops::Reduce};
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

use super::{DEVICE, SERVER, participant, points};
use crate::{
    codec,
    secret::{Secret, SecretBytes},
    suite::{DeviceShare, GroupPublicKey, MaskedShare, ServerShare, SuiteError},
};

/// Longest encoding of a server's share, bytes.
const MATERIAL_BYTES_MAX: usize = 160;

/// The server's share and what it needs to know in public about both parties.
#[derive(Encode, Decode, Zeroize)]
#[zeroize(drop)]
pub(super) struct ServerMaterial {
    /// The server's signing share s_S.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) share: [u8; 32],
    /// The device's verifying share X_D = s_D·G.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) device: [u8; 33],
    /// The server's verifying share X_S = s_S·G.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) server: [u8; 33],
    /// The group public key Q.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(super) public_key: [u8; 33],
}

impl ServerMaterial {
    pub(super) fn from_dkg(key: &KeyPackage, public: &PublicKeyPackage) -> Option<Self> {
        let verifying = |number| -> Option<[u8; 33]> {
            let share: &VerifyingShare = public.verifying_shares().get(&participant(number).ok()?)?;
            share.serialize().ok()?.try_into().ok()
        };
        let share = Zeroizing::new(key.signing_share().serialize());
        let material = Self {
            share: share.as_slice().try_into().ok()?,
            device: verifying(DEVICE)?,
            server: verifying(SERVER)?,
            public_key: public.verifying_key().serialize().ok()?.try_into().ok()?,
        };
        material.well_formed().then_some(material)
    }

    /// The form that is wrapped and stored.
    pub(super) fn encode(&self) -> ServerShare {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MATERIAL_BYTES_MAX));
        let done = minicbor::encode(self, &mut *bytes);
        debug_assert!(done.is_ok());
        ServerShare(bytes)
    }

    /// Reads what was stored. Whether its points are on the curve shows when they are used.
    pub(super) fn decode(share: &ServerShare) -> Result<Self, SuiteError> {
        let material: Self =
            codec::decode(&share.0, MATERIAL_BYTES_MAX).map_err(|_| SuiteError::OwnMaterial)?;
        points::scalar(&material.share).map(|_| material).ok_or(SuiteError::OwnMaterial)
    }

    /// The crate's form of the signing share.
    pub(super) fn signing_share(&self) -> Result<Zeroizing<SigningShare>, SuiteError> {
        SigningShare::deserialize(&self.share).map(Zeroizing::new).map_err(|_| SuiteError::OwnMaterial)
    }

    pub(super) fn is_for(&self, public_key: &GroupPublicKey) -> bool {
        self.public_key == public_key.0
    }

    /// Whether the parts fit each other: X_S = s_S·G and Q = 2·X_D − X_S. Costs one multiplication, so it is asked only
    /// when a signature failed.
    pub(super) fn is_consistent(&self) -> bool {
        let read = || {
            let share = Zeroizing::new(points::scalar(&self.share)?);
            let (device, server) = (points::point(&self.device)?, points::point(&self.server)?);
            Some((share, device, server, points::point(&self.public_key)?))
        };
        read().is_some_and(|(share, device, server, public_key)| {
            ProjectivePoint::mul_by_generator(&share) == server && device.double() - server == public_key
        })
    }

    fn well_formed(&self) -> bool {
        points::scalar(&self.share).is_some()
            && [&self.device, &self.server, &self.public_key]
                .iter()
                .all(|bytes| points::point(*bytes).is_some())
    }
}

/// `share + mask`.
pub(super) fn mask(share: &DeviceShare, mask: &SecretBytes<64>) -> MaskedShare {
    MaskedShare(bytes(&(*narrow(share.0.expose()) + *wide(mask))))
}

/// `masked − mask`.
pub(super) fn unmask(masked: &MaskedShare, mask: &SecretBytes<64>) -> DeviceShare {
    device_share(&Zeroizing::new(*narrow(&masked.0) - *wide(mask)))
}

/// `share + δ`.
pub(super) fn offset_device(share: &DeviceShare, offset: &SecretBytes<64>) -> DeviceShare {
    device_share(&Zeroizing::new(*narrow(share.0.expose()) + *wide(offset)))
}

/// `share + 2·δ`, and both verifying shares moved along.
pub(super) fn offset_server(
    share: &ServerShare,
    offset: &SecretBytes<64>,
) -> Result<ServerShare, SuiteError> {
    let old = ServerMaterial::decode(share)?;
    let delta = wide(offset);
    let read = || {
        let moved = Zeroizing::new(*narrow(&old.share) + *delta + *delta);
        let device = points::point(&old.device)? + ProjectivePoint::mul_by_generator(&delta);
        Some(ServerMaterial {
            share: bytes(&moved),
            device: points::point_bytes(&device),
            server: points::point_bytes(&ProjectivePoint::mul_by_generator(&moved)),
            public_key: old.public_key,
        })
    };
    // A share of zero, or a verifying share at the identity, does not encode.
    let new = read().filter(ServerMaterial::well_formed).ok_or(SuiteError::OwnMaterial)?;
    Ok(new.encode())
}

/// A scalar from 64 uniform bytes; what the reduction leaves of bias is below 2⁻²⁵⁶.
fn wide(bytes: &SecretBytes<64>) -> Zeroizing<Scalar> {
    Zeroizing::new(Scalar::reduce(&WideBytes::from(*bytes.expose())))
}

/// A scalar from its 32 bytes. Ours are canonical, and then this is exact; total, because [`unmask`] must not fail.
fn narrow(bytes: &[u8; 32]) -> Zeroizing<Scalar> {
    Zeroizing::new(Scalar::reduce(&k256::FieldBytes::from(*bytes)))
}

fn bytes(scalar: &Scalar) -> [u8; 32] {
    scalar.to_bytes().into()
}

fn device_share(scalar: &Scalar) -> DeviceShare {
    DeviceShare(Secret::new(bytes(scalar)))
}
