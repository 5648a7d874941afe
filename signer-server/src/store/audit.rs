//! The audit log, as a store keeps it: spec/audit.md.

use async_trait::async_trait;
use signer_core::{
    audit::tree::{Node, TreeHash},
    ids::{AuditName, AuditObject, DeviceId},
    time::UnixSeconds,
};

use super::StoreResult;

/// Which entries are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFilter {
    /// Every one.
    All,
    /// Those of an installation.
    Subject(AuditName),
    /// Those about a request or another thing with an id.
    Object(AuditObject),
}

/// The newest checkpoint that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Entries under it.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// How far an audit log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditMark {
    /// Entries.
    pub size: u64,
    /// Hash of the last one; zeros if there is none.
    pub last: TreeHash,
}

/// The audit log. What an act adds to it is written in the transaction of the act.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Moves what waits into the chain. Nothing to do for an engine that does so before each commit: one writer can; many nodes
    /// would wait for each other.
    async fn chain_audit(&self, now: UnixSeconds) -> StoreResult<()>;

    /// Entries so far.
    async fn audit_size(&self) -> StoreResult<u64>;

    /// Entries from a place on, in order, at most `limit`.
    async fn audit_entries(&self, from: u64, limit: u32) -> StoreResult<Vec<Vec<u8>>>;

    /// Entries before a place, newest first, at most `limit`.
    async fn audit_found(&self, filter: AuditFilter, before: u64, limit: u32) -> StoreResult<Vec<Vec<u8>>>;

    /// Hashes of nodes that are kept, and of leaves, in the order asked for. Nodes that follow one another are read at once.
    async fn audit_nodes(&self, nodes: Vec<Node>) -> StoreResult<Vec<TreeHash>>;

    /// The newest checkpoint, if one was signed.
    async fn audit_checkpoint(&self) -> StoreResult<Option<CheckpointRow>>;

    /// Keeps nodes, and a checkpoint unless there is one as large.
    async fn put_audit_checkpoint(
        &self,
        checkpoint: CheckpointRow,
        nodes: Vec<(Node, TreeHash)>,
        now: UnixSeconds,
    ) -> StoreResult<()>;

    /// How the log names an installation, unless that is forgotten.
    async fn audit_name(&self, device: DeviceId) -> StoreResult<Option<AuditName>>;

    /// Forgets how the log names a revoked installation. False if it is not revoked, or there is none.
    async fn forget_audit_name(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<bool>;
}

/// Runs of nodes of one level that follow one another, each with its number.
pub(crate) fn runs(nodes: &[Node]) -> Vec<(Node, u64)> {
    let mut runs: Vec<(Node, u64)> = Vec::new();
    for node in nodes {
        match runs.last_mut() {
            Some((first, count)) if first.level == node.level && first.index + *count == node.index => {
                *count += 1;
            }
            _ => runs.push((*node, 1)),
        }
    }
    runs
}
