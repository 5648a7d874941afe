//! What a shop remembers in its folder: lists, the newest signed time, what it accepted within the last hour, and what it asks. No
//! personal value.

use std::{fs, path::Path};

use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};
use signer_client::{
    ClientError,
    desk::FileStorage,
    lists::{Lists, ListsError},
    ports::{Storage as _, StorageError},
};
use signer_core::{
    credential::{Challenge, Refusal, Request, StatusIndex, Verified},
    time::UnixSeconds,
    trust::IssuerId,
};

use crate::{Global, output::Failure, setup};

/// A code lives four minutes at most; the rest is for clocks that are set.
const REMEMBERED_SECONDS: u64 = 3600;

/// The memory. While it lives no other command uses it.
pub(crate) struct Memory {
    directory: std::path::PathBuf,
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
    /// The request that is on display.
    #[serde(default)]
    asked: Option<Asked>,
}

/// A request as it was shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Its text, which the server checks.
    pub(crate) text: String,
    /// What the answer must carry.
    pub(crate) challenge: Challenge,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    issuer: IssuerId,
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
        Ok(Self { directory, storage, content, _lock: lock })
    }

    /// The folder of the memory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The lists kept, under `root` or the root given before.
    pub(crate) fn lists(&self, root: Option<VerifyingKey>) -> Result<Lists, ListsError> {
        Lists::open(self.directory.join("lists"), root)
    }

    pub(crate) const fn clock_floor(&self) -> UnixSeconds {
        self.content.clock_floor
    }

    /// The request on display.
    pub(crate) const fn asked(&self) -> Option<&Asked> {
        self.content.asked.as_ref()
    }

    /// Notes what is asked, in the place of what was.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        self.content.asked = Some(Asked { text: request.as_str().into(), challenge: request.challenge() });
        self.save()
    }

    /// Notes that the request on display was answered: it is good for one answer.
    pub(crate) fn answered(&mut self) -> Result<(), Failure> {
        self.content.asked = None;
        self.save()
    }

    /// Notes durably that a code is accepted, and that a request is answered by it. Refuses one that was accepted, and one
    /// that a later code of the same credential has overtaken.
    pub(crate) fn accept(
        &mut self,
        verified: &Verified,
        now: UnixSeconds,
    ) -> Result<Result<(), Refusal>, Failure> {
        let once = verified.once();
        let accepted = &mut self.content.accepted;
        accepted.retain(|entry| entry.at.distance(now) < REMEMBERED_SECONDS);
        let shown = (once.step.0, once.turn.number());
        let of_credential =
            accepted.iter().filter(|entry| (entry.issuer, entry.status) == (once.issuer, once.status));
        match of_credential.map(|entry| (entry.step, entry.turn)).max() {
            Some(newest) if newest == shown => return Ok(Err(Refusal::Used)),
            Some(newest) if newest > shown => return Ok(Err(Refusal::Superseded)),
            _ => {}
        }
        accepted.push(Accepted {
            issuer: once.issuer,
            status: once.status,
            step: shown.0,
            turn: shown.1,
            at: now,
        });
        if verified.challenge().is_some() {
            self.content.asked = None;
        }
        self.content.clock_floor = self.content.clock_floor.max(verified.issued());
        self.save().map(Ok)
    }

    fn save(&mut self) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(&self.content).map_err(|error| failed(&error.to_string()))?;
        Ok(self.storage.store(&bytes).map_err(|error: StorageError| ClientError::from(error))?)
    }
}

fn failed(why: &str) -> Failure {
    let sentence = format!("the verifier's memory cannot be used: {why}");
    Failure::new("storage", sentence, "Give another --state, or remove its verifier.json.")
}
