//! Seeds and pads, and sums of pads.
//!
//! Seed s^b_j, j = 0 … 255: 32 bytes of AES-256 in counter mode under a key made of the master seed, at byte 64·j + 32·b.
//! Pad P = SHA-256(seed ‖ tweak ‖ counter) as a number, with the first counter that makes it less than q: uniform below q.
//! One in 2³² is drawn again; that branch tells about a number that is thrown away, and nothing else here branches on a
//! secret or is indexed by one.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "integers of 5 limbs whose bounds are proven at Sum, and arithmetic of the field"
)]

use alloc::{vec, vec::Vec};

use aes::{
    Aes256, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use p256::Scalar;
use sha2::{Digest, Sha256, block_api::compress256};
use zeroize::{Zeroize, Zeroizing};

use super::{
    BITS,
    scalars::{self, Limbs},
};
use crate::{
    domain::{Domain, expand},
    secret::SecretBytes,
    suite::KeyContext,
};

/// One seed, 32 bytes.
pub(super) type Seed = [u8; 32];
/// The device's two seeds of each correlation.
pub(super) type SeedPairs = Zeroizing<Vec<[Seed; 2]>>;
/// What sets the pads of one signature apart, 16 bytes.
pub(super) type Tweak = [u8; 16];

/// Both seeds of every correlation, from the master seed.
pub(super) fn seeds(master: &SecretBytes<32>, context: &KeyContext) -> SeedPairs {
    let (key, epoch) = (context.key.as_bytes(), context.epoch.0.to_be_bytes());
    let fields: [&[u8]; 3] = [key, &epoch, context.device.as_bytes()];
    let stream = Aes256::new(expand::<32>(master.expose(), Domain::Es256Seeds, &fields).expose().into());
    let mut blocks: Vec<Block> = (0_u128..).take(4 * BITS).map(|i| i.to_be_bytes().into()).collect();
    stream.encrypt_blocks(&mut blocks);
    let mut pairs = Zeroizing::new(vec![[[0; 32]; 2]; BITS]);
    let bytes = pairs.as_flattened_mut().as_flattened_mut().chunks_exact_mut(16);
    for (to, block) in bytes.zip(&mut blocks) {
        to.copy_from_slice(block);
        block.as_mut_slice().zeroize();
    }
    pairs
}

/// The pad of `seed` under `tweak`, by the plainest means there are.
pub(super) fn pad_plain(seed: &Seed, tweak: &Tweak) -> Zeroizing<Scalar> {
    let mut counter = 0_u32;
    loop {
        let hash = Sha256::new().chain_update(seed).chain_update(tweak).chain_update(counter.to_be_bytes());
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
        if let Some(scalar) = scalars::canonical(&*bytes) {
            return Zeroizing::new(scalar);
        }
        counter = counter.wrapping_add(1);
    }
}

/// A pad: a number less than q.
pub(super) struct Pad(Zeroizing<Limbs>);

impl Pad {
    pub(super) fn scalar(&self) -> Zeroizing<Scalar> {
        let words = Zeroizing::new(self.0.map(u64::to_be_bytes));
        let mut bytes = Zeroizing::new([0; 32]);
        let highest_first = words.iter().rev().flatten();
        bytes.iter_mut().zip(highest_first).for_each(|(to, from)| *to = *from);
        Zeroizing::new(scalars::reduced(&bytes))
    }
}

/// Makes the pads of one signature. A seed, the tweak, the counter and SHA-256's own padding (FIPS 180-4 §5.1.1) fill one
/// block, of which only the seed changes: one compression a pad, and one block to wipe.
pub(super) struct Pads {
    block: Zeroizing<[u8; 64]>,
}

/// Where the counter and SHA-256's padding lie in the block.
const COUNTER: core::ops::Range<usize> = 48..52;
/// First value of SHA-256's state (FIPS 180-4 §5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

impl Pads {
    pub(super) fn new(tweak: &Tweak) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        let parts: [&[u8]; 5] = [&[0; 32], tweak, &[0; 4], &[0x80, 0, 0, 0], &(52_u64 * 8).to_be_bytes()];
        block.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        Self { block }
    }

    /// The pad of `seed`.
    pub(super) fn pad(&mut self, seed: &Seed) -> Pad {
        self.block.iter_mut().zip(seed).for_each(|(to, from)| *to = *from);
        let mut counter = 0_u32;
        loop {
            self.set_counter(counter);
            let mut state = Zeroizing::new(START);
            compress256(&mut state, core::slice::from_ref(&*self.block));
            let (pairs, _) = state.as_chunks::<2>();
            let mut limbs = Zeroizing::new([0; 4]);
            let lowest_first =
                pairs.iter().rev().map(|[high, low]| (u64::from(*high) << 32) | u64::from(*low));
            limbs.iter_mut().zip(lowest_first).for_each(|(limb, word)| *limb = word);
            if scalars::is_reduced(&limbs) {
                return Pad(limbs);
            }
            counter = counter.wrapping_add(1);
        }
    }

    fn set_counter(&mut self, counter: u32) {
        let place = self.block.get_mut(COUNTER).into_iter().flatten();
        place.zip(counter.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
}

/// Σ 2ʲ·termⱼ modulo q, fed from the highest j down to 0; a term is a pad and, where `choice` is all ones, a correction.
///
/// A term is below 2²⁵⁷, and 32 terms are summed as integers before they are reduced: below 2²⁵⁷·2³² < 2³²⁰, 5 limbs.
pub(super) struct Sum {
    total: Zeroizing<Scalar>,
    part: Zeroizing<[u64; 5]>,
    terms: u32,
}

/// Terms between two reductions.
const TERMS: u32 = 32;

impl Sum {
    pub(super) fn new() -> Self {
        Self { total: Zeroizing::new(Scalar::ZERO), part: Zeroizing::new([0; 5]), terms: 0 }
    }

    /// Doubles the sum and adds a pad; and `correction`, 32 bytes, big endian, where `choice` is all ones, not all zeros.
    pub(super) fn term(&mut self, pad: &Pad, choice: u64, correction: &[u8; 32]) {
        if self.terms == TERMS {
            self.fold();
        }
        self.terms += 1;
        let mut carry = 0;
        for limb in self.part.iter_mut() {
            let doubled = (*limb << 1) | carry;
            carry = *limb >> 63;
            *limb = doubled;
        }
        add(&mut self.part, &pad.0, u64::MAX);
        add(&mut self.part, &scalars::limbs(correction), choice);
    }

    fn fold(&mut self) {
        *self.total = *self.total * Scalar::from(1_u64 << self.terms) + reduce(*self.part);
        self.part.zeroize();
        self.terms = 0;
    }

    pub(super) fn finish(mut self) -> Zeroizing<Scalar> {
        self.fold();
        Zeroizing::new(*self.total)
    }
}

/// `to += number & mask`. The bounds of [`Sum`] leave no carry at the end.
fn add(to: &mut [u64; 5], number: &Limbs, mask: u64) {
    let mut carry = 0;
    for (limb, word) in to.iter_mut().zip(number.iter().map(|word| word & mask).chain([0])) {
        let (sum, first) = limb.overflowing_add(word);
        let (sum, second) = sum.overflowing_add(carry);
        *limb = sum;
        carry = u64::from(first) | u64::from(second);
    }
}

/// 5 limbs modulo q.
fn reduce([a, b, c, d, e]: [u64; 5]) -> Scalar {
    let bytes = |limbs: [u64; 4]| {
        let mut bytes = Zeroizing::new([0; 32]);
        let words = limbs.map(u64::to_be_bytes);
        bytes.iter_mut().zip(words.as_flattened()).for_each(|(to, from)| *to = *from);
        bytes
    };
    scalars::joined(&bytes([0, 0, 0, e]), &bytes([d, c, b, a]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_make_a_pad_agree() {
        let tweak = [7; 16];
        let mut pads = Pads::new(&tweak);
        for byte in 0..=u8::MAX {
            assert_eq!(*pads.pad(&[byte; 32]).scalar(), *pad_plain(&[byte; 32], &tweak));
        }
    }

    #[test]
    fn what_is_not_below_the_order_is_not_reduced() {
        let order = scalars::bytes(&(Scalar::ZERO - Scalar::ONE));
        let mut limbs = scalars::limbs(&order);
        assert!(scalars::is_reduced(&limbs) && scalars::is_reduced(&[0; 4]));
        limbs[0] += 1;
        assert!(!scalars::is_reduced(&limbs) && !scalars::is_reduced(&[u64::MAX; 4]));
        assert!(scalars::is_reduced(&[u64::MAX, u64::MAX, u64::MAX, 0xffff_fffe_ffff_ffff]));
    }
}
