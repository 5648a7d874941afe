//! The audit log. Acts wait in `audit_waiting`, where triggers put them in their own transactions. Here they are chained: by
//! SQLite's one writer before each commit, by PostgreSQL's nodes a moment after.

use async_trait::async_trait;
use signer_core::{
    audit::{
        AuditAct, AuditDetail, AuditEntry,
        tree::{Node, TreeHash, leaf_hash},
    },
    ids::{AuditName, AuditObject, DeviceId, RelyingPartyId},
    time::UnixSeconds,
};

use super::{
    Engine,
    columns::{REVOKED, corrupt, get_u64, int},
    db::{Db, Params, Row, all, execute, first, params},
};
use crate::store::{AuditFilter, AuditLog, AuditMark, CheckpointRow, StoreResult, audit::runs};

#[async_trait]
impl<E: Engine> AuditLog for E {
    async fn chain_audit(&self, now: UnixSeconds) -> StoreResult<()> {
        self.chain(now).await
    }

    async fn audit_size(&self) -> StoreResult<u64> {
        self.read(|db| Ok(head(db)?.size)).await
    }

    async fn audit_entries(&self, from: u64, limit: u32) -> StoreResult<Vec<Vec<u8>>> {
        let sql = "SELECT entry FROM audit WHERE idx >= ?1 ORDER BY idx LIMIT ?2";
        self.read(move |db| entries(db, sql, (int(from)?, limit))).await
    }

    async fn audit_found(&self, filter: AuditFilter, before: u64, limit: u32) -> StoreResult<Vec<Vec<u8>>> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let of = |column: &str| {
            format!("SELECT entry FROM audit WHERE {column} = ?3 AND idx < ?1 ORDER BY idx DESC LIMIT ?2")
        };
        let all = "SELECT entry FROM audit WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2";
        self.read(move |db| match filter {
            AuditFilter::All => entries(db, all, (before, limit)),
            AuditFilter::Subject(name) => entries(db, &of("subject"), (before, limit, name.as_bytes())),
            AuditFilter::Object(id) => entries(db, &of("object"), (before, limit, id.as_bytes())),
        })
        .await
    }

    async fn audit_nodes(&self, nodes: Vec<Node>) -> StoreResult<Vec<TreeHash>> {
        self.read(move |db| hashes(db, &nodes)).await
    }

    async fn audit_checkpoint(&self) -> StoreResult<Option<CheckpointRow>> {
        let sql = "SELECT size, note FROM audit_checkpoint";
        let read = |row: &Row<'_>| Ok(CheckpointRow { size: get_u64(row, 0)?, note: row.get(1)? });
        self.read(move |db| first(db, sql, [], read)).await
    }

    async fn put_audit_checkpoint(
        &self,
        checkpoint: CheckpointRow,
        nodes: Vec<(Node, TreeHash)>,
        now: UnixSeconds,
    ) -> StoreResult<()> {
        self.write(now, move |db| {
            let sql = "INSERT INTO audit_node (level, idx, hash) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            for (node, hash) in &nodes {
                execute(db, sql, (node.level, int(node.index)?, hash.0))?;
            }
            let sql = "INSERT INTO audit_checkpoint (only_row, size, note) VALUES (1, ?1, ?2)
                ON CONFLICT (only_row) DO UPDATE SET size = ?1, note = ?2 WHERE audit_checkpoint.size < ?1";
            execute(db, sql, (int(checkpoint.size)?, &checkpoint.note)).map(|_| ())
        })
        .await
    }

    async fn audit_name(&self, device: DeviceId) -> StoreResult<Option<AuditName>> {
        let sql = "SELECT audit_name FROM installation WHERE device = ?1";
        let read = |row: &Row<'_>| Ok(row.get::<Option<_>>(0)?.map(AuditName::from_bytes));
        self.read(move |db| Ok(first(db, sql, [device.as_bytes()], read)?.flatten())).await
    }

    async fn forget_audit_name(&self, device: DeviceId, now: UnixSeconds) -> StoreResult<bool> {
        let sql = "UPDATE installation SET audit_name = NULL WHERE device = ?1 AND standing = ?2";
        self.write(now, move |db| Ok(execute(db, sql, (device.as_bytes(), REVOKED))? == 1)).await
    }
}

/// What was added to the chain.
#[derive(Debug, Default)]
pub(in crate::store) struct Chained {
    /// What the chain ends with, if anything was.
    pub(in crate::store) mark: Option<AuditMark>,
    /// The entries, each with its place.
    pub(in crate::store) entries: Vec<(u64, Vec<u8>)>,
}

/// Moves what waits into the chain.
pub(in crate::store) fn chain(db: &Db<'_>, now: UnixSeconds) -> StoreResult<Chained> {
    let sql = "SELECT act, subject, relying_party, object, detail FROM audit_waiting ORDER BY number";
    let waiting = all(db, sql, [], waiting)?;
    let mut chained = Chained::default();
    for entry in waiting {
        let before = chained.mark.map_or_else(|| head(db), Ok)?;
        let entry = AuditEntry { index: before.size, previous: before.last, at: now, ..entry };
        let bytes = entry.encode();
        let sql = "INSERT INTO audit (idx, entry, subject, object) VALUES (?1, ?2, ?3, ?4)";
        let (subject, object) = (entry.subject.as_ref(), entry.object.as_ref());
        let params = params![
            int(before.size)?,
            bytes,
            subject.map(AuditName::as_bytes),
            object.map(AuditObject::as_bytes)
        ];
        execute(db, sql, params)?;
        chained.mark = Some(AuditMark { size: before.size.saturating_add(1), last: leaf_hash(&bytes) });
        chained.entries.push((before.size, bytes));
    }
    if chained.mark.is_some() {
        execute(db, "DELETE FROM audit_waiting", [])?;
    }
    Ok(chained)
}

/// An entry that has no place in the chain yet.
fn waiting(row: &Row<'_>) -> StoreResult<AuditEntry> {
    let number: u8 = row.get(0)?;
    let detail: Option<String> = row.get(4)?;
    Ok(AuditEntry {
        index: 0,
        previous: TreeHash::default(),
        at: UnixSeconds(0),
        act: AuditAct::ALL
            .get(usize::from(number))
            .copied()
            .ok_or_else(|| corrupt("an act for the audit log"))?,
        subject: row.get::<Option<_>>(1)?.map(AuditName::from_bytes),
        relying_party: row.get::<Option<_>>(2)?.map(RelyingPartyId::from_bytes),
        object: row.get::<Option<_>>(3)?.map(AuditObject::from_bytes),
        detail: detail.and_then(AuditDetail::new),
    })
}

/// What the chain ends with.
pub(in crate::store) fn head(db: &Db<'_>) -> StoreResult<AuditMark> {
    let sql = "SELECT idx, entry FROM audit ORDER BY idx DESC LIMIT 1";
    let newest = first(db, sql, [], |row| {
        let last = leaf_hash(row.bytes(1)?);
        Ok(AuditMark { size: get_u64(row, 0)?.saturating_add(1), last })
    })?;
    Ok(newest.unwrap_or_default())
}

/// Hash of one entry.
pub(in crate::store) fn leaf(db: &Db<'_>, index: u64) -> StoreResult<Option<TreeHash>> {
    Ok(hashes_of_run(db, Node { level: 0, index }, 1)?.first().copied())
}

fn entries(db: &Db<'_>, sql: &str, params: impl Params) -> StoreResult<Vec<Vec<u8>>> {
    all(db, sql, params, |row| row.get(0))
}

fn hashes(db: &Db<'_>, nodes: &[Node]) -> StoreResult<Vec<TreeHash>> {
    let mut found = Vec::with_capacity(nodes.len());
    for (first, count) in runs(nodes) {
        found.extend(hashes_of_run(db, first, count)?);
    }
    if found.len() == nodes.len() { Ok(found) } else { Err(corrupt("the tree of the audit log has a gap")) }
}

fn hashes_of_run(db: &Db<'_>, start: Node, count: u64) -> StoreResult<Vec<TreeHash>> {
    let sql = match start.level {
        0 => "SELECT entry FROM audit WHERE idx BETWEEN ?1 AND ?2 AND ?3 = 0 ORDER BY idx",
        _ => "SELECT hash FROM audit_node WHERE idx BETWEEN ?1 AND ?2 AND level = ?3 ORDER BY idx",
    };
    let last = start.index.saturating_add(count).saturating_sub(1);
    all(db, sql, (int(start.index)?, int(last)?, start.level), |row| {
        Ok(match start.level {
            0 => leaf_hash(row.bytes(0)?),
            _ => TreeHash(row.get(0)?),
        })
    })
}
