//! What it costs to tell the holder: one sealed entry.

use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::{
    history::{Act, Entry, HistoryKey, HistoryKeyBytes, SealedEntry},
    ids::DeviceId,
    secret::SecretBytes,
    time::UnixSeconds,
};

/// A phone's history key, and who seals to it.
#[derive(Debug)]
pub struct Sealing {
    device: DeviceId,
    key: HistoryKeyBytes,
    rng: StdRng,
}

impl Sealing {
    /// To a new phone.
    #[must_use]
    pub fn new() -> Self {
        let device = DeviceId::from_bytes([0x66; 16]);
        let key = HistoryKey::derive(&SecretBytes::new([0x55; 32]), device).public();
        Self { device, key, rng: StdRng::seed_from_u64(1) }
    }

    /// Seals one entry: a key agreement on X25519, a key schedule and 256 bytes under AES-256-GCM.
    ///
    /// # Panics
    /// If it cannot be sealed.
    pub fn seal(&mut self) -> SealedEntry {
        let entry = Entry { at: UnixSeconds(1_795_169_700), act: Act::PinChanged {} };
        self.key.seal(self.device, &entry, &mut self.rng).unwrap()
    }
}

impl Default for Sealing {
    fn default() -> Self {
        Self::new()
    }
}
