//! Clock and randomness as arguments, so that tests own both.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::{CryptoRng, rngs::SysRng};
use signer_core::time::UnixSeconds;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Seconds since 1970.
    fn now(&self) -> UnixSeconds;
}

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> UnixSeconds {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
        UnixSeconds(elapsed.map_or(0, |elapsed| elapsed.as_secs()))
    }
}

/// Gives out random generators.
pub trait Random: Send + Sync {
    /// A generator fit for keys.
    fn rng(&self) -> Box<dyn CryptoRng + Send>;
}

/// The operating system's generator; a failure of it ends the request by a panic that the HTTP layer answers with 500.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn rng(&self) -> Box<dyn CryptoRng + Send> {
        Box::new(rand::rand_core::UnwrapErr(SysRng))
    }
}
