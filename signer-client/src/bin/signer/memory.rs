//! What a shop without network remembers: the newest signed time, and what it accepted within the last hour. No personal
//! value.

use std::fs;

use serde::{Deserialize, Serialize};
use signer_client::{
    ClientError,
    desk::FileStorage,
    ports::{Storage as _, StorageError},
};
use signer_core::{
    credential::{StatusIndex, Verified},
    time::UnixSeconds,
};

use crate::{Global, output::Failure, setup};

/// A code lives four minutes at most; the rest is for clocks that are set.
const REMEMBERED_SECONDS: u64 = 3600;

/// The memory. While it lives no other command uses it.
pub(crate) struct Memory {
    storage: FileStorage,
    content: Content,
    _lock: fs::File,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// Newest time seen under an issuer's signature: the clock cannot be before it.
    clock_floor: UnixSeconds,
    accepted: Vec<Accepted>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    status: StatusIndex,
    step: u64,
    turn: u8,
    at: UnixSeconds,
}

impl Memory {
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let (directory, lock) = setup::locked(global, "verifier.lock")?;
        lock.lock().map_err(|error| failed(&error.to_string()))?;
        let storage = FileStorage::new(directory.join("verifier.json"));
        let content = match storage.load().map_err(ClientError::from)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&error.to_string()))?,
            None => Content::default(),
        };
        Ok(Self { storage, content, _lock: lock })
    }

    pub(crate) const fn clock_floor(&self) -> UnixSeconds {
        self.content.clock_floor
    }

    /// Notes durably that a code is accepted; `false` if it was before.
    pub(crate) fn accept(&mut self, verified: &Verified, now: UnixSeconds) -> Result<bool, Failure> {
        let once = verified.once();
        let (status, step, turn) = (once.status, once.step.0, once.turn.number());
        let accepted = &mut self.content.accepted;
        accepted.retain(|entry| entry.at.distance(now) < REMEMBERED_SECONDS);
        if accepted.iter().any(|entry| (entry.status, entry.step, entry.turn) == (status, step, turn)) {
            return Ok(false);
        }
        accepted.push(Accepted { status, step, turn, at: now });
        self.content.clock_floor = self.content.clock_floor.max(verified.issued());
        let bytes = serde_json::to_vec(&self.content).map_err(|error| failed(&error.to_string()))?;
        self.storage.store(&bytes).map_err(|error: StorageError| ClientError::from(error))?;
        Ok(true)
    }
}

fn failed(why: &str) -> Failure {
    let sentence = format!("the verifier's memory cannot be used: {why}");
    Failure::new("storage", sentence, "Give another --state, or remove its verifier.json.")
}
