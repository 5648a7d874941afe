//! A generator whose output is secret.

use std::convert::Infallible;

use rand::{SeedableRng as _, rngs::StdRng};
use rand_core::{TryCryptoRng, TryRng};

use crate::mark;

/// Deterministic, so that every run takes the same path.
pub struct Generator {
    inner: StdRng,
    public: usize,
}

impl Generator {
    pub fn new() -> Self {
        Self { inner: StdRng::seed_from_u64(1), public: 0 }
    }

    /// The next `draws` are sent as they are: session nonces and salts.
    pub const fn public(&mut self, draws: usize) -> &mut Self {
        self.public = draws;
        self
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.inner.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.inner.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.inner.try_fill_bytes(bytes)?;
        match self.public.checked_sub(1) {
            Some(left) => self.public = left,
            None => mark::secret(bytes),
        }
        Ok(())
    }
}

impl TryCryptoRng for Generator {}
