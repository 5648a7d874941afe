//! What the register said after an approval: asked once for each, however often the verifier looks, and kept in memory until
//! the check is forgotten. Nothing of it is written.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use signer_core::{
    credential::{DocumentRecord, Refusal as CodeRefusal},
    ids::CheckId,
    time::UnixSeconds,
};
use tokio::sync::OnceCell;

/// The register's record, or why there is none to show.
pub(super) type Record = Result<DocumentRecord, CodeRefusal>;

/// Until when it is kept, and what the register says once it has answered.
type Release = (UnixSeconds, Arc<OnceCell<Record>>);

/// Records by check, each until its check is forgotten.
#[derive(Default)]
pub(super) struct Releases(Mutex<HashMap<CheckId, Release>>);

impl Releases {
    /// The place for the record of a check: who comes first fills it, others wait for that.
    pub(super) fn of(&self, check: CheckId, until: UnixSeconds) -> Arc<OnceCell<Record>> {
        let mut releases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&releases.entry(check).or_insert_with(|| (until, Arc::default())).1)
    }

    /// Forgets records whose check is.
    pub(super) fn expire(&self, now: UnixSeconds) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (until, _)| *until >= now);
    }
}
