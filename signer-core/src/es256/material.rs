//! What the server holds of a key: its share, the public key, one seed for each bit of the share.

use alloc::vec::Vec;

use p256::Scalar;
use zeroize::{Zeroize, Zeroizing};

use super::{
    BITS,
    pads::Seed,
    points::{self, Uncompressed},
    scalars,
};
use crate::{
    secret::{Secret, SecretBytes},
    suite::{GroupPublicKey, ServerShare, SuiteError},
};

/// x_S ‖ Q.
const HEAD_BYTES: usize = 32 + 65;

/// The server's material, read. Without seeds while they are asked for.
pub(super) struct Material {
    pub(super) share: SecretBytes<32>,
    public_key: Uncompressed,
    seeds: Zeroizing<Vec<Seed>>,
}

impl Material {
    /// A new share, whose seeds are still to be asked for. `None` if it is 0 or the key the identity.
    pub(super) fn unseeded(share: &Scalar, public_key: Uncompressed) -> Option<Self> {
        let share = Some(share).filter(|share| !scalars::is_zero(share)).map(scalars::bytes)?;
        Some(Self { share: Secret::new(share), public_key, seeds: Zeroizing::default() })
    }

    pub(super) fn read(share: &ServerShare) -> Result<Self, SuiteError> {
        let AtRest { share, public_key, seeds } = AtRest::read(share)?;
        let seeds = Zeroizing::new(seeds.to_vec());
        Ok(Self { share: Secret::new(*share), public_key: *public_key, seeds })
    }

    /// With the seeds it was given.
    pub(super) fn seeded(self, seeds: Zeroizing<Vec<Seed>>) -> Self {
        Self { seeds, ..self }
    }

    /// To be wrapped.
    pub(super) fn encode(&self) -> ServerShare {
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(HEAD_BYTES.saturating_add(BITS.saturating_mul(32))));
        bytes.extend_from_slice(self.share.expose());
        bytes.extend_from_slice(&self.public_key);
        bytes.extend_from_slice(self.seeds.as_flattened());
        ServerShare(bytes)
    }

    /// See [`choices`].
    pub(super) fn choices(&self) -> Zeroizing<[u64; BITS]> {
        choices(self.share.expose())
    }

    /// The share less an offset, without seeds.
    pub(super) fn moved_back(&self, offset: &SecretBytes<64>) -> Result<ServerShare, SuiteError> {
        let share = scalars::shifted_back(&self.share, offset);
        let mut share = Zeroizing::new(scalars::reduced(share.expose()));
        let moved = Self::unseeded(&share, self.public_key).ok_or(SuiteError::OwnMaterial)?;
        share.zeroize();
        Ok(moved.encode())
    }
}

/// The server's material, read where it lies: a signature makes no copy of 8 KB that it would have to wipe.
pub(super) struct AtRest<'a> {
    pub(super) share: &'a [u8; 32],
    pub(super) public_key: &'a Uncompressed,
    seeds: &'a [Seed],
}

impl<'a> AtRest<'a> {
    pub(super) fn read(share: &'a ServerShare) -> Result<Self, SuiteError> {
        let read = || {
            let (head, seeds) = share.0.split_at_checked(HEAD_BYTES)?;
            let (share, public_key) = head.split_first_chunk()?;
            scalars::nonzero(share)?;
            let (seeds, rest) = seeds.as_chunks();
            let complete = rest.is_empty() && (seeds.is_empty() || seeds.len() == BITS);
            let public_key = public_key.try_into().ok()?;
            complete.then_some(Self { share, public_key, seeds })
        };
        read().ok_or(SuiteError::OwnMaterial)
    }

    /// The seeds, one for each bit of the share, if they are there and the key is the one expected.
    pub(super) fn seeds_for(&self, public_key: &GroupPublicKey) -> Option<&'a [Seed]> {
        // A damaged y is found by the curve's equation; unfound, a right contribution would look wrong.
        let is_it = points::from_uncompressed(self.public_key).is_some()
            && points::shortened(self.public_key) == public_key.0;
        (is_it && self.seeds.len() == BITS).then_some(self.seeds)
    }
}

/// The share x_S alone.
pub(super) fn share_of(share: &ServerShare) -> Result<&[u8; 32], SuiteError> {
    share.0.first_chunk().ok_or(SuiteError::OwnMaterial)
}

/// Bits of a share from the lowest, as masks: all ones or all zeros.
pub(super) fn choices(share: &[u8; 32]) -> Zeroizing<[u64; BITS]> {
    let mut masks = Zeroizing::new([0; BITS]);
    let bits = share.iter().rev().flat_map(|byte| (0..8).map(move |bit| u64::from((byte >> bit) & 1)));
    masks.iter_mut().zip(bits).for_each(|(mask, bit)| *mask = bit.wrapping_neg());
    masks
}
