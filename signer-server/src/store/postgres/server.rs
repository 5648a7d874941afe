//! What a server must promise, asked on every new connection: the one behind an address may change at any time.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_postgres::Client;

use super::{OpenError, witness::NodeWitness};
use crate::store::{StoreError, StoreResult};

/// Oldest version whose behaviour is tested.
const VERSION_MIN: i32 = 150_000;

/// Where a server stands: its cluster, and the line of its log, which a promotion or a restored backup leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cluster: i64,
    pub(super) timeline: i64,
    /// Whether a standby has every commit before it is answered.
    pub(super) synchronous: bool,
}

/// Where the store was last seen, for all connections of this node, and why it stopped.
#[derive(Debug)]
pub(super) struct Watched {
    place: Mutex<Place>,
    pub(super) witness: NodeWitness,
    stopped: OnceLock<String>,
}

impl Watched {
    pub(super) fn new(place: Place, witness: NodeWitness) -> Self {
        Self { place: Mutex::new(place), witness, stopped: OnceLock::new() }
    }

    pub(super) fn running(&self) -> StoreResult<()> {
        self.stopped.get().map_or(Ok(()), |reason| Err(StoreError::Stopped(reason.clone())))
    }

    /// Stops the store; the first reason stays.
    pub(super) fn stop(&self, reason: &str) {
        if self.stopped.set(reason.to_owned()).is_ok() && reason != super::CLOSED {
            tracing::error!(reason, "the store has stopped");
        }
    }

    /// Looks at a new connection, and stops the store if it leads to one that may have forgotten something. Where the store is
    /// now is written down, for the next start to compare.
    ///
    /// A server that died and came back shows at once what its synchronous standby may not have yet. Once a commit on this
    /// connection is answered the standby has all before it, and what is read may be told.
    pub(super) async fn look(&self, client: &Client) -> Result<(), OpenError> {
        let found = promises(client).await?;
        if let Err(error) = self.witness.held_by(client).await {
            if error.is_lost() {
                self.stop(&error.to_string());
            }
            return Err(error);
        }
        let before = *self.place();
        if let Err(error) = kept(before, found) {
            self.stop(&error.to_string());
            return Err(error);
        }
        if before != found {
            write_down(client, found).await?;
        } else if found.synchronous {
            client.execute("UPDATE meta SET latest_time = latest_time", &[]).await?;
        }
        *self.place() = found;
        Ok(())
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down where the store is.
pub(super) async fn write_down(client: &Client, place: Place) -> Result<(), OpenError> {
    let sql = "UPDATE meta SET cluster = $1, timeline = $2, synchronous = $3";
    let synchronous = i16::from(place.synchronous);
    client.execute(sql, &[&place.cluster, &place.timeline, &synchronous]).await?;
    Ok(())
}

/// Whether a store that was written at `before` has forgotten nothing at `found`.
pub(super) fn kept(before: Place, found: Place) -> Result<(), OpenError> {
    if before.cluster != found.cluster {
        return Err(OpenError::OtherCluster);
    }
    if before.timeline != found.timeline && !before.synchronous {
        return Err(OpenError::Promoted { before: before.timeline, found: found.timeline });
    }
    Ok(())
}

/// What the server says of itself; refused if it would not keep what it commits.
pub(super) async fn promises(client: &Client) -> Result<Place, OpenError> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('fsync'),
        current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
        current_setting('server_encoding'), pg_is_in_recovery(),
        (SELECT system_identifier FROM pg_control_system())";
    let row = client.query_one(sql, &[]).await?;
    let version: i32 = row.try_get(0)?;
    if version < VERSION_MIN {
        return Err(OpenError::TooOld(version));
    }
    let standbys: String = row.try_get(3)?;
    let synchronous = !standbys.trim().is_empty();
    for (place, setting, wanted) in [(1, "fsync", "on"), (4, "server_encoding", "UTF8")] {
        let found: String = row.try_get(place)?;
        if found != wanted {
            return Err(OpenError::NotDurable { setting, wanted, found });
        }
    }
    let found: String = row.try_get(2)?;
    // `local` and `remote_write` do not wait for a standby's disk.
    if found != "on" && found != "remote_apply" && (synchronous || found != "local") {
        return Err(OpenError::NotDurable { setting: "synchronous_commit", wanted: "on", found });
    }
    if row.try_get(5)? {
        return Err(OpenError::Standby);
    }
    let line = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint";
    let timeline = client.query_one(line, &[]).await?.try_get(0)?;
    Ok(Place { cluster: row.try_get(6)?, timeline, synchronous })
}
