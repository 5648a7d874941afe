//! The audit log: checkpoints, and proofs under them. Its entries are written by the store, with the acts they tell.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    audit::{
        AuditAct, AuditEntry, Checkpoint,
        tree::{self, Frontier, Node, TreeHash},
    },
    ids::{AuditName, AuditObject, DeviceId, RequestId},
    wire::{
        AUDIT_PAGE_MAX, AuditConsistency, AuditKey, AuditLine, AuditPage, AuditProof, ProblemCode,
        RequestStatus,
    },
};

use super::{Refusal, Service, ServiceError, ServiceResult, requests::status_of};
use crate::store::{AuditFilter, CheckpointRow, RelyingPartyRow, Store};

/// How often what waits for the log is chained, where that is not done with each commit.
const CHAIN_EVERY: Duration = Duration::from_secs(1);
/// Most leaves that are worked on at once, where nodes of the tree are made for the first time.
const LEAVES_AT_ONCE: u64 = 1 << 16;
/// Most entries about one request that are looked at.
const ABOUT_MAX: u32 = 64;

/// Signs checkpoints for ever, while the log grows. What waits for the log is chained more often: a witness has it then.
pub(crate) async fn sign_checkpoints(service: Arc<Service>, every: Duration) {
    let pause = every.min(CHAIN_EVERY);
    let (mut since, mut unsigned) = (Duration::ZERO, false);
    loop {
        tokio::time::sleep(pause).await;
        since += pause;
        let signing = since >= every;
        let done = if signing {
            since = Duration::ZERO;
            service.sign_checkpoint().await.map(|_| ())
        } else {
            service.store.chain_audit(service.now()).await.map_err(ServiceError::from)
        };
        if signing {
            unsigned = done.is_err();
        }
        service.checkpoint_failed.store(unsigned || done.is_err(), Ordering::Relaxed);
        if let Err(error) = done {
            service.metrics().checkpoint_failures.inc();
            tracing::error!(%error, "the audit log was not chained, or no checkpoint of it signed");
        }
    }
}

impl Service {
    /// Signs a checkpoint over the log as it is, unless that is done; the newest one. Who comes meanwhile waits for it.
    ///
    /// # Errors
    /// [`ServiceError`] if the store fails.
    pub async fn sign_checkpoint(&self) -> ServiceResult<CheckpointRow> {
        let _turn = self.checkpoint_turn.lock().await;
        self.store.chain_audit(self.now()).await?;
        let size = self.store.audit_size().await?;
        let before = self.store.audit_checkpoint().await?;
        let mut done = before.as_ref().map_or(0, |row| row.size);
        if let Some(row) = before {
            if row.size >= size {
                self.covered();
                return Ok(row);
            }
            self.check_continued(&row).await?;
        }
        loop {
            let next = size.min(done.saturating_add(LEAVES_AT_ONCE));
            let row = self.checkpoint_at(done, next).await?;
            done = next;
            if done == size {
                self.covered();
                return Ok(row);
            }
        }
    }

    /// That the log still begins as its newest checkpoint says: no other is signed over a log that was changed.
    ///
    /// # Errors
    /// [`ServiceError::Bug`] if it does not.
    pub(super) async fn check_audit(&self) -> ServiceResult<()> {
        match self.store.audit_checkpoint().await? {
            Some(row) => self.check_continued(&row).await,
            None => Ok(()),
        }
    }

    async fn check_continued(&self, row: &CheckpointRow) -> ServiceResult<()> {
        // The name is of the address the server had then.
        let origin = row.note.lines().next().unwrap_or_default();
        let checkpoint = self.keys.checkpoints(origin)?.verifier().open(&row.note);
        let checkpoint = checkpoint.map_err(|_| ServiceError::Bug("stored checkpoint of the audit log"))?;
        let root = Known::default().root_of_all(&*self.store, checkpoint.size).await?;
        if root == checkpoint.root { Ok(()) } else { Err(CHANGED) }
    }

    /// Makes the nodes that became whole between two sizes, and a checkpoint at the later one.
    async fn checkpoint_at(&self, from: u64, size: u64) -> ServiceResult<CheckpointRow> {
        let mut known = Known::default();
        let mut grown = Vec::new();
        for node in Node::grown(from, size) {
            let hash = known.root_of_children(&*self.store, node).await?;
            known.0.insert(node, hash);
            grown.push((node, hash));
        }
        let root = known.root_of_all(&*self.store, size).await?;
        let note = self.keys.checkpoints(&self.log_name())?.sign(&Checkpoint { size, root });
        let row = CheckpointRow { size, note };
        // Kept before it is shown: a store that forgot it would sign another over the same size.
        self.store.put_audit_checkpoint(row.clone(), grown, self.now()).await?;
        Ok(row)
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// [`ServiceError`] if the store fails.
    pub async fn audit_checkpoint(&self) -> ServiceResult<CheckpointRow> {
        match self.store.audit_checkpoint().await? {
            Some(row) => Ok(row),
            None => self.sign_checkpoint().await,
        }
    }

    /// That the log continues its first `from` entries.
    ///
    /// # Errors
    /// `invalid_value` if there were never so many.
    pub async fn audit_consistency(&self, from: u64) -> ServiceResult<AuditConsistency> {
        let row = self.audit_checkpoint().await?;
        let too_many =
            || Refusal::because(ProblemCode::InvalidValue, "from is more than the log has entries");
        let ranges = tree::consistency(from, row.size).ok_or_else(too_many)?;
        Ok(AuditConsistency { proof: self.proof(&ranges).await?, checkpoint: row.note })
    }

    /// The entry that says a request was signed, with its proof.
    ///
    /// # Errors
    /// `not_found` for others' requests, and for those that are not signed.
    pub async fn request_audit(&self, asker: &RelyingPartyRow, id: RequestId) -> ServiceResult<AuditProof> {
        if status_of(&self.own_request(asker, id).await?.state) != RequestStatus::Signed {
            return Err(Refusal::new(ProblemCode::NotFound).into());
        }
        self.store.chain_audit(self.now()).await?;
        let about = AuditFilter::Object(AuditObject::from_bytes(*id.as_bytes()));
        for bytes in self.store.audit_found(about, i64::MAX.unsigned_abs(), ABOUT_MAX).await? {
            let entry = decode(&bytes)?;
            if entry.act == AuditAct::Signed {
                return self.audit_proof(entry.index).await;
            }
        }
        Err(ServiceError::Bug("a signed request that is not in the audit log"))
    }

    /// An entry with its proof under a checkpoint, which is signed now if none reaches it yet.
    ///
    /// # Errors
    /// `not_found` if there is no such entry.
    pub async fn audit_proof(&self, index: u64) -> ServiceResult<AuditProof> {
        let entries = self.store.audit_entries(index.min(i64::MAX.unsigned_abs()), 1).await?;
        let entry = entries.first().ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        let mut row = self.audit_checkpoint().await?;
        if row.size <= index {
            row = self.sign_checkpoint().await?;
        }
        let ranges = tree::inclusion(index, row.size).ok_or(GAP)?;
        let proof = self.proof(&ranges).await?;
        Ok(AuditProof { entry: STANDARD.encode(entry), proof, checkpoint: row.note })
    }

    /// Name of the log: where the server is reached, without the scheme. After a restore another one, under which no watcher
    /// takes the log for the one that it forks from.
    fn log_name(&self) -> String {
        let url = self.public_url();
        let address = url.split_once("://").map_or(url, |(_, address)| address);
        match self.store.epoch() {
            0 => format!("{address}/audit"),
            epoch => format!("{address}/audit/{epoch}"),
        }
    }

    async fn proof(&self, ranges: &[Range<u64>]) -> ServiceResult<Vec<String>> {
        let mut known = Known::default();
        known.fetch(&*self.store, tree::needed(ranges)).await?;
        ranges.iter().map(|range| Ok(STANDARD.encode(known.root(range)?.0))).collect()
    }

    /// What checkpoints are verified with.
    ///
    /// # Errors
    /// [`ServiceError::Bug`] if the server's address is none.
    pub fn audit_key(&self) -> ServiceResult<AuditKey> {
        Ok(AuditKey { key: self.keys.checkpoints(&self.log_name())?.verifier().to_string() })
    }

    /// A part of the log, in order.
    ///
    /// # Errors
    /// [`ServiceError`] if the store fails.
    pub async fn audit_page(&self, from: u64) -> ServiceResult<AuditPage> {
        let from = from.min(i64::MAX.unsigned_abs());
        let entries = self.store.audit_entries(from, AUDIT_PAGE_MAX).await?;
        let entries = entries.iter().map(|entry| STANDARD.encode(entry)).collect();
        Ok(AuditPage { entries, size: self.store.audit_size().await? })
    }

    /// Entries before a place, newest first, for people: all, or those about an id: of a request or another thing, of an
    /// installation, or as the log names one.
    ///
    /// # Errors
    /// `invalid_value` for a limit that is not 1 to [`AUDIT_PAGE_MAX`].
    pub async fn audit_found(
        &self,
        about: Option<AuditObject>,
        before: u64,
        limit: u32,
    ) -> ServiceResult<Vec<AuditLine>> {
        if !(1..=AUDIT_PAGE_MAX).contains(&limit) {
            let text = format!("limit is from 1 to {AUDIT_PAGE_MAX}");
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let Some(about) = about else {
            return lines(&self.store.audit_found(AuditFilter::All, before, limit).await?);
        };
        let bytes = *about.as_bytes();
        let name = self.store.audit_name(DeviceId::from_bytes(bytes)).await?;
        let name = name.unwrap_or(AuditName::from_bytes(bytes));
        let found = self.store.audit_found(AuditFilter::Subject(name), before, limit).await?;
        if !found.is_empty() {
            return lines(&found);
        }
        lines(&self.store.audit_found(AuditFilter::Object(about), before, limit).await?)
    }

    /// Forgets how the log names a revoked installation: its entries stay, and lead to nobody.
    ///
    /// # Errors
    /// `not_found` if there is none, or it is not revoked.
    pub async fn forget_audit_name(&self, device: DeviceId) -> ServiceResult<()> {
        if self.store.forget_audit_name(device, self.now()).await? {
            Ok(())
        } else {
            Err(Refusal::because(ProblemCode::NotFound, "no such installation, or it is not revoked").into())
        }
    }
}

const CHANGED: ServiceError =
    ServiceError::Bug("the audit log was changed: it is not the one its checkpoint was signed over");
const GAP: ServiceError = ServiceError::Bug("the tree of the audit log has a gap");

fn decode(bytes: &[u8]) -> ServiceResult<AuditEntry> {
    AuditEntry::decode(bytes).map_err(|_| ServiceError::Bug("stored entry of the audit log"))
}

fn lines(entries: &[Vec<u8>]) -> ServiceResult<Vec<AuditLine>> {
    entries.iter().map(|bytes| Ok(AuditLine::of(&decode(bytes)?))).collect()
}

/// The kept nodes, or leaves, a node is made of.
fn children(node: Node) -> Vec<Node> {
    let level = node.level.saturating_sub(tree::KEPT_LEVELS);
    let first = node.index << tree::KEPT_LEVELS;
    (first..first.saturating_add(1 << tree::KEPT_LEVELS)).map(|index| Node { level, index }).collect()
}

/// Hashes of the tree that are known already.
#[derive(Default)]
struct Known(HashMap<Node, TreeHash>);

impl Known {
    async fn fetch(&mut self, store: &dyn Store, mut nodes: Vec<Node>) -> ServiceResult<()> {
        nodes.retain(|node| !self.0.contains_key(node));
        let hashes = store.audit_nodes(nodes.clone()).await?;
        self.0.extend(nodes.into_iter().zip(hashes));
        Ok(())
    }

    /// Root over the first `size` leaves.
    async fn root_of_all(&mut self, store: &dyn Store, size: u64) -> ServiceResult<TreeHash> {
        let all = 0..size;
        self.fetch(store, tree::needed(std::slice::from_ref(&all))).await?;
        self.root(&all)
    }

    /// Root over leaves whose nodes were fetched.
    fn root(&self, range: &Range<u64>) -> ServiceResult<TreeHash> {
        tree::subtree(range, &|node| self.0.get(&node).copied()).ok_or(GAP)
    }

    /// Root of a node that is not kept yet.
    async fn root_of_children(&mut self, store: &dyn Store, node: Node) -> ServiceResult<TreeHash> {
        let children = children(node);
        self.fetch(store, children.clone()).await?;
        let mut tree = Frontier::default();
        for child in children {
            tree.push(*self.0.get(&child).ok_or(GAP)?);
        }
        Ok(tree.root())
    }
}
