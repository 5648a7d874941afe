//! A generator whose output is secret.

use std::convert::Infallible;

use rand::{SeedableRng as _, rngs::StdRng};
use rand_core::{TryCryptoRng, TryRng};

use crate::mark;

/// What of its output is secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// All of it.
    All,
    /// Draws of 64 bytes, which become scalars. Draws of 32 bytes are session nonces and salts, which are sent.
    Scalars,
}

/// Deterministic, so that every run takes the same path.
pub struct Generator {
    inner: StdRng,
    secrets: Secrets,
}

impl Generator {
    pub fn new(secrets: Secrets) -> Self {
        Self { inner: StdRng::seed_from_u64(1), secrets }
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
        if self.secrets == Secrets::All || bytes.len() == 64 {
            mark::secret(bytes);
        }
        Ok(())
    }
}

impl TryCryptoRng for Generator {}
