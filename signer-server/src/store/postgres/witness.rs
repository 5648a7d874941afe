//! What this node has seen of the database, kept outside of it: a database that was put back to an earlier state lacks it.
//!
//! After every commit, and before its answer, the place in the server's log and the end of the audit log are written to a small
//! file of the node. The place in the log is exact on one timeline; the audit log, which is chained a moment after the acts, tells one
//! history from another. Commits that are answered at the same time share one look and one sync.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use deadpool_postgres::Object;
use signer_core::{
    audit::tree::{TreeHash, leaf_hash},
    time::UnixSeconds,
};
use tokio_postgres::{Client, Row};

use super::OpenError;
use crate::store::{AuditMark, StoreError, StoreResult, slots::Slots};

const MAGIC: &[u8; 8] = b"SGNPGW01";
const BYTES: usize = 16 + 4 + 8 + 8 + 8 + 32 + 8;
/// Before it knew the time.
const FIRST_BYTES: usize = BYTES - 8;

/// How far a database had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) store: [u8; 16],
    pub(super) epoch: u32,
    pub(super) timeline: i64,
    /// Place in the server's log, up to which it was on disk.
    pub(super) lsn: i64,
    pub(super) audit: AuditMark,
    /// The latest time of all nodes: what was said then or before is of before a restore.
    pub(super) latest: UnixSeconds,
}

/// The node's memory of its database.
#[derive(Debug)]
pub(super) struct NodeWitness {
    slots: Option<Arc<Mutex<Slots>>>,
    seen: Mutex<Option<Seen>>,
    /// Commits that asked to be witnessed, and how many of them are.
    asked: AtomicU64,
    missed: AtomicBool,
    done: tokio::sync::Mutex<u64>,
}

impl NodeWitness {
    /// The one in this file; without a file it remembers as long as the process runs.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, OpenError> {
        let (slots, content) = match path {
            Some(path) => {
                let (slots, content) = Slots::open(path, MAGIC).map_err(OpenError::Witness)?;
                (Some(Arc::new(Mutex::new(slots))), content)
            }
            None => (None, None),
        };
        let damaged = || OpenError::Witness(io::Error::new(io::ErrorKind::InvalidData, "not a witness"));
        let seen = content.map(|bytes| decode(&bytes).ok_or_else(damaged)).transpose()?;
        Ok(Self {
            slots,
            seen: Mutex::new(seen),
            asked: AtomicU64::new(0),
            missed: AtomicBool::new(false),
            done: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database behind `client` holds what was seen.
    pub(super) async fn held_by(&self, client: &Client) -> Result<(), OpenError> {
        let Some(seen) = self.seen() else { return Ok(()) };
        let Some(found) = look(client).await? else { return Err(OpenError::Behind) };
        if found.store != seen.store {
            return Err(OpenError::WitnessOfAnother);
        }
        if found.epoch > seen.epoch {
            return restored_with(client, seen).await;
        }
        if found.epoch < seen.epoch || (found.timeline == seen.timeline && found.lsn < seen.lsn) {
            return Err(OpenError::Behind);
        }
        let Some(last) = seen.audit.size.checked_sub(1) else { return Ok(()) };
        match leaf(client, last).await? {
            None => Err(OpenError::Behind),
            Some(hash) if hash != seen.audit.last => Err(OpenError::AuditChanged),
            Some(_) => Ok(()),
        }
    }

    /// Whether something was committed, or may have been, and could not be witnessed. Waits for who is at it.
    pub(super) async fn missed(&self) -> bool {
        if !self.missed.load(Ordering::Acquire) {
            return false;
        }
        let _at_it = self.done.lock().await;
        self.missed.load(Ordering::Acquire)
    }

    /// After a commit that nobody answered: it may be in the database.
    pub(super) fn may_have_missed(&self, error: &StoreError) {
        if matches!(error, StoreError::Unknown(_)) {
            self.missed.store(true, Ordering::Release);
        }
    }

    /// Witnesses all that was committed before the call: returns when that is on disk. `client` leads to the database.
    pub(super) async fn witness(&self, client: impl Future<Output = StoreResult<Object>>) -> StoreResult<()> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // Until the end of this, whichever it is.
        self.missed.store(true, Ordering::SeqCst);
        let mut done = self.done.lock().await;
        if *done >= ticket {
            return Ok(());
        }
        let upto = self.asked.load(Ordering::SeqCst);
        let client = client.await?;
        let looked = tokio::time::timeout(super::transaction::STATEMENT_TIME, look(&client)).await;
        let found = match looked {
            Ok(Ok(Some(found))) => found,
            Ok(Ok(None)) => return Err(StoreError::Corrupt("no row in meta".to_owned())),
            Ok(Err(error)) => return Err(StoreError::Unknown(format!("witness: {error}"))),
            Err(_elapsed) => {
                drop(Object::take(client));
                return Err(StoreError::Unknown("witness: no answer in time".to_owned()));
            }
        };
        self.write(found).await.map_err(|error| StoreError::Stopped(format!("witness: {error}")))?;
        *done = upto;
        self.missed.store(false, Ordering::SeqCst);
        if self.asked.load(Ordering::SeqCst) > upto {
            self.missed.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Writes down what was seen.
    pub(super) async fn write(&self, found: Seen) -> io::Result<()> {
        if let Some(slots) = self.slots.clone() {
            let write = move || slots.lock().unwrap_or_else(PoisonError::into_inner).write(&encode(found));
            tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(())
    }
}

/// A restore that knew all that this node had seen, or suspended every key, is followed. It is the first after that: later ones
/// follow from it.
async fn restored_with(client: &Client, seen: Seen) -> Result<(), OpenError> {
    let epoch = i32::try_from(seen.epoch).unwrap_or(i32::MAX);
    let sql = "SELECT epoch, whole, had FROM restored WHERE epoch > $1 ORDER BY epoch LIMIT 1";
    let Some(row) = client.query_opt(sql, &[&epoch]).await? else { return Err(OpenError::Behind) };
    let (epoch, whole, had): (i32, i16, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let Some(last) = seen.audit.size.checked_sub(1).filter(|_| whole == 1) else { return Ok(()) };
    let index = i64::try_from(last).unwrap_or(i64::MAX);
    let hash = if index < had {
        leaf(client, last).await?
    } else {
        let sql = "SELECT hash FROM restored_entry WHERE epoch = $1 AND idx = $2";
        let row = client.query_opt(sql, &[&epoch, &index]).await?;
        let hash: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?;
        hash.and_then(|hash| <[u8; 32]>::try_from(hash).ok()).map(TreeHash)
    };
    if hash == Some(seen.audit.last) { Ok(()) } else { Err(OpenError::RestoredWithout) }
}

/// The hash of the entry of the audit log in this place.
pub(super) async fn leaf(client: &Client, index: u64) -> Result<Option<TreeHash>, OpenError> {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    let row = client.query_opt("SELECT entry FROM audit WHERE idx = $1", &[&index]).await?;
    Ok(row.map(|row| row.try_get::<_, &[u8]>(0).map(leaf_hash)).transpose()?)
}

/// How far the database behind `client` has come; none if it is empty.
pub(super) async fn look(client: &Client) -> Result<Option<Seen>, OpenError> {
    let sql = "SELECT store_id, (SELECT coalesce(max(epoch), 0) FROM restored),
        ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint,
        (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint, idx, entry, latest_time
        FROM meta LEFT JOIN (SELECT idx, entry FROM audit ORDER BY idx DESC LIMIT 1) newest ON true";
    client.query_opt(sql, &[]).await?.map(|row| read(&row)).transpose()
}

fn read(row: &Row) -> Result<Seen, OpenError> {
    let form = || OpenError::Engine("the form of meta".to_owned());
    let audit = match (row.try_get::<_, Option<i64>>(4)?, row.try_get::<_, Option<&[u8]>>(5)?) {
        (Some(index), Some(entry)) => {
            AuditMark { size: u64::try_from(index).map_err(|_| form())? + 1, last: leaf_hash(entry) }
        }
        _ => AuditMark::default(),
    };
    Ok(Seen {
        store: row.try_get::<_, &[u8]>(0)?.try_into().map_err(|_| form())?,
        epoch: u32::try_from(row.try_get::<_, i32>(1)?).map_err(|_| form())?,
        timeline: row.try_get(2)?,
        lsn: row.try_get(3)?,
        audit,
        latest: UnixSeconds(u64::try_from(row.try_get::<_, i64>(6)?).map_err(|_| form())?),
    })
}

fn encode(seen: Seen) -> Vec<u8> {
    let Seen { store, epoch, timeline, lsn, audit, latest } = seen;
    [
        &store[..],
        &epoch.to_be_bytes(),
        &timeline.to_be_bytes(),
        &lsn.to_be_bytes(),
        &audit.size.to_be_bytes(),
        &audit.last.0,
        &latest.0.to_be_bytes(),
    ]
    .concat()
}

fn decode(bytes: &[u8]) -> Option<Seen> {
    let latest = match bytes.len() {
        BYTES => u64::from_be_bytes(*bytes.last_chunk()?),
        FIRST_BYTES => 0,
        _ => return None,
    };
    Some(Seen {
        store: *bytes.first_chunk()?,
        epoch: u32::from_be_bytes(*bytes.get(16..)?.first_chunk()?),
        timeline: i64::from_be_bytes(*bytes.get(20..)?.first_chunk()?),
        lsn: i64::from_be_bytes(*bytes.get(28..)?.first_chunk()?),
        audit: AuditMark {
            size: u64::from_be_bytes(*bytes.get(36..)?.first_chunk()?),
            last: TreeHash(*bytes.get(44..)?.first_chunk()?),
        },
        latest: UnixSeconds(latest),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn res_022_a_witness_of_the_older_form_is_read() {
        let seen = Seen {
            store: [7; 16],
            epoch: 2,
            timeline: 3,
            lsn: 4711,
            audit: AuditMark { size: 9, last: TreeHash([5; 32]) },
            latest: UnixSeconds(1_800_000_000),
        };
        let bytes = encode(seen);
        assert_eq!(decode(&bytes), Some(seen));
        assert_eq!(decode(&bytes[..FIRST_BYTES]), Some(Seen { latest: UnixSeconds(0), ..seen }));
        assert_eq!(decode(&bytes[..BYTES - 1]), None);
    }

    #[test]
    fn res_031_a_commit_without_an_answer_is_witnessed_before_it_is_shown() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let witness = NodeWitness::open(None).unwrap();
            witness.may_have_missed(&StoreError::Overloaded);
            assert!(!witness.missed().await);
            witness.may_have_missed(&StoreError::Unknown("no answer".to_owned()));
            assert!(witness.missed().await);
            // While somebody is at it a read waits, and does not go on.
            let done = witness.done.lock().await;
            assert!(witness.missed().now_or_never().is_none());
            drop(done);
            let never = async { Err(StoreError::Unavailable("away".to_owned())) };
            assert!(witness.witness(never).await.is_err());
            assert!(witness.missed().await);
        });
    }
}
