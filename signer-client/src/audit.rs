//! The server's audit log, watched from outside: that a request is in it, and that it is only ever continued. Rules:
//! `spec/audit.md`. Pure functions, no IO.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_core::{
    audit::{
        AuditAct, AuditEntry, Checkpoint, CheckpointError, CheckpointVerifier,
        tree::{PROOF_MAX, TreeHash, continues, includes, leaf_hash},
    },
    ids::{AuditObject, RelyingPartyId, RequestId},
    wire::{AuditConsistency, AuditProof},
};

/// Why a proof of the audit log is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Not base64, not an entry, or too long.
    #[error("{0} is not of the agreed form")]
    Form(&'static str),
    /// The checkpoint is not the log's.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The entry says something else.
    #[error("the entry does not say that this request was signed")]
    OtherEntry,
    /// The entry is not in the log.
    #[error("the proof does not lead from the entry to the checkpoint")]
    NotIncluded,
    /// The log is not a continuation: the server has shown two logs. Keep both checkpoints, they prove it.
    #[error(
        "the log of {size} entries does not continue that of {known} entries: the server has rewritten or forked it. \
         Keep both checkpoints: together they prove it"
    )]
    NotContinued {
        /// Entries under the checkpoint known before.
        known: u64,
        /// Entries under this one.
        size: u64,
    },
}

/// Verifies that the log says a request of a relying party was signed: the entry says so, and the proof leads from it to a
/// checkpoint under the log's key.
///
/// # Errors
/// [`AuditError`], all but `NotContinued`.
pub fn verify_audit_proof(
    proof: &AuditProof,
    log: &CheckpointVerifier,
    relying_party: RelyingPartyId,
    request: RequestId,
) -> Result<AuditEntry, AuditError> {
    let bytes = BASE64_STANDARD.decode(&proof.entry).map_err(|_| AuditError::Form("the entry"))?;
    let entry = AuditEntry::decode(&bytes).map_err(|_| AuditError::Form("the entry"))?;
    let about = AuditObject::from_bytes(*request.as_bytes());
    let says = (entry.act, entry.relying_party, entry.object)
        == (AuditAct::Signed, Some(relying_party), Some(about));
    if !says {
        return Err(AuditError::OtherEntry);
    }
    let Checkpoint { size, root } = log.open(&proof.checkpoint)?;
    let path = hashes(&proof.proof)?;
    if includes(leaf_hash(&bytes), entry.index, size, root, &path) {
        Ok(entry)
    } else {
        Err(AuditError::NotIncluded)
    }
}

/// Verifies that the log continues one that was seen before; its state now, to be kept in place of that one.
///
/// # Errors
/// [`AuditError::Form`], [`AuditError::Checkpoint`], [`AuditError::NotContinued`].
pub fn verify_audit_consistency(
    consistency: &AuditConsistency,
    log: &CheckpointVerifier,
    known: &Checkpoint,
) -> Result<Checkpoint, AuditError> {
    let now = log.open(&consistency.checkpoint)?;
    let path = hashes(&consistency.proof)?;
    if continues(known.size, known.root, now.size, now.root, &path) {
        Ok(now)
    } else {
        Err(AuditError::NotContinued { known: known.size, size: now.size })
    }
}

fn hashes(texts: &[String]) -> Result<Vec<TreeHash>, AuditError> {
    let bad = || AuditError::Form("the proof");
    if texts.len() > PROOF_MAX {
        return Err(bad());
    }
    let hash = |text: &String| BASE64_STANDARD.decode(text).ok()?.try_into().ok().map(TreeHash);
    texts.iter().map(|text| hash(text).ok_or_else(bad)).collect()
}
