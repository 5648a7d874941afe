//! What every act does to the tables, once for both engines: SQL that SQLite and PostgreSQL both read, run in one transaction
//! as if no other ran beside it. SQLite has one writer; PostgreSQL runs them serializable, again if need be. So an act may
//! read and then write without locks of its own, and must not touch anything but the database.
//!
//! | file | what |
//! |---|---|
//! | `db` | a transaction of either engine, parameters, columns |
//! | `columns` | domain types in columns |
//! | `installations`, `attempts`, `requests`, … | the traits, one file each |
//!
//! Numbers of enums in columns are final, like the schema.

mod attempts;
pub(super) mod audit;
mod ceremonies;
mod certificates;
mod checks;
mod codes;
pub(super) mod columns;
mod credentials;
mod csc;
pub(super) mod db;
mod displays;
pub(super) mod expire;
mod fleets;
mod history;
mod installations;
mod keks;
mod links;
mod misses;
mod oauth;
mod questions;
mod relying_parties;
mod reports;
mod requests;
pub(super) mod restore;
mod server_keys;
mod visits;
mod webhooks;

use signer_core::{ids::DeviceId, time::UnixSeconds};

use self::db::Db;
use super::StoreResult;

/// An engine that runs acts.
pub(super) trait Engine: Send + Sync + 'static {
    /// Runs a write and answers once it is durable. `work` may be run more than once; all but the last is taken back.
    fn write<T: Send + 'static>(
        &self,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> impl Future<Output = StoreResult<T>> + Send;

    /// A write that may share its transaction with those of other installations. It touches nothing but what is this
    /// installation's, and what triggers change in one statement, unless it says [`Db::alone`] first.
    fn write_of<T: Send + 'static>(
        &self,
        _device: DeviceId,
        now: UnixSeconds,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> impl Future<Output = StoreResult<T>> + Send {
        self.write(now, work)
    }

    /// Moves what waits for the audit log into its chain, if that is not done before each commit.
    fn chain(&self, now: UnixSeconds) -> impl Future<Output = StoreResult<()>> + Send;

    /// Reads from one snapshot of what is durable.
    fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> impl Future<Output = StoreResult<T>> + Send;

    /// The same for a row by its key, which is not worth another thread.
    fn read_row<T: Send + 'static>(
        &self,
        work: impl Fn(&Db<'_>) -> StoreResult<T> + Send + 'static,
    ) -> impl Future<Output = StoreResult<T>> + Send {
        self.read(work)
    }
}
