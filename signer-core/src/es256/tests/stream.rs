//! Randomness that anybody can reproduce.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};

use super::*;
use crate::domain::Domain;

/// Block i is SHA-256("signer test stream" ‖ seed ‖ i), numbers in 8 bytes, big endian. Bytes are taken from the blocks in
/// order; none is left out, whatever the size of the calls.
#[derive(Clone)]
pub(super) struct Stream {
    seed: u64,
    next: u64,
    rest: Vec<u8>,
}

impl Stream {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, next: 0, rest: Vec::new() }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A scalar drawn from 32 bytes under a domain and fields.
    pub(super) fn scalar(&mut self, domain: Domain, fields: &[&[u8]]) -> p256::Scalar {
        *scalars::derived(&self.bytes(), domain, fields)
    }

    fn fill(&mut self, to: &mut [u8]) {
        for byte in to {
            if self.rest.is_empty() {
                let hash = Sha256::new().chain_update(b"signer test stream");
                let hash = hash.chain_update(self.seed.to_be_bytes()).chain_update(self.next.to_be_bytes());
                self.rest = hash.finalize().iter().rev().copied().collect();
                self.next += 1;
            }
            *byte = self.rest.pop().unwrap();
        }
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.fill(to);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}
