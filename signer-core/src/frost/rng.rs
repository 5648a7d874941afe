//! Generators in the form that `frost-secp256k1` wants: `rand_core` 0.6.

use rand_core_frost::{CryptoRng, Error, RngCore, impls};
use zeroize::Zeroizing;

use crate::{
    domain::{Domain, Macer},
    secret::SecretBytes,
};

/// A caller's generator (`rand_core` 0.10) for a crate that knows only the older interface.
pub(super) struct Bridge<'a>(pub(super) &'a mut dyn rand_core::CryptoRng);

impl RngCore for Bridge<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.0.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Bridge<'_> {}

/// A deterministic stream: block `i` is HMAC-SHA-256(seed; [`Domain::NonceStream`], i). Every call starts a new block.
pub(super) struct Stream {
    seed: SecretBytes<32>,
    next: u64,
}

impl Stream {
    pub(super) const fn new(seed: SecretBytes<32>) -> Self {
        Self { seed, next: 0 }
    }
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for chunk in dest.chunks_mut(32) {
            let block = Zeroizing::new(Macer::new(&self.seed, Domain::NonceStream).number(self.next).tag());
            chunk.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
            // 2^64 blocks are never drawn, so the counter does not come round.
            self.next = self.next.wrapping_add(1);
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Stream {}
