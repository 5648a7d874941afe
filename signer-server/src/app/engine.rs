//! Which engine keeps the store, and whether there was a store before.

use std::sync::Arc;

use super::{QUEUE_MAX, StartError, create_private_folder};
use crate::{
    config::Config,
    ports::Random,
    store::{
        Inspection, Store,
        postgres::{PostgresOptions, PostgresStore},
        sqlite::{SqliteOptions, SqliteStore},
    },
};

const STORE_FILE: &str = "store.db";
const WITNESS_FILE: &str = "witness";
const NODE_WITNESS_FILE: &str = "witness-postgres";

/// Whether a store is there already, whose secrets are wrapped.
pub(super) async fn exists(config: &Config) -> Result<bool, StartError> {
    match postgres(config) {
        Some(options) => Ok(PostgresStore::has_keys(&options).await?),
        None => Ok(config.data_dir.join(STORE_FILE).exists()),
    }
}

pub(super) async fn open(config: &Config, random: &dyn Random) -> Result<Arc<dyn Store>, StartError> {
    if let Some(options) = postgres(config) {
        return Ok(PostgresStore::open(&options, &mut random.rng()).await?);
    }
    let witness = config.witness_dir();
    create_private_folder(&witness)?;
    if config.witness_dir.is_none() {
        tracing::warn!(
            path = %witness.display(),
            "THE WITNESS LIES IN THE DATA FOLDER: a backup of the whole folder, put back, would not be noticed. \
             Set witness_dir to another disk."
        );
    }
    Ok(SqliteStore::open(&sqlite(config), &mut random.rng())?)
}

/// Where the store is, if it is a file.
pub(crate) fn files(config: &Config) -> Option<SqliteOptions> {
    config.store.url.is_none().then(|| sqlite(config))
}

fn sqlite(config: &Config) -> SqliteOptions {
    SqliteOptions {
        path: config.data_dir.join(STORE_FILE),
        witness_path: config.witness_dir().join(WITNESS_FILE),
        group_window: config.group_window(),
        queue_max: QUEUE_MAX,
    }
}

/// Brings the store's schema up to date without serving. Returns its version before and after.
pub(super) async fn migrate(config: &Config) -> Result<(u32, u32), StartError> {
    match postgres(config) {
        Some(options) => Ok(PostgresStore::migrate(&options).await?),
        None => Ok(SqliteStore::migrate(&config.data_dir.join(STORE_FILE))?),
    }
}

/// Looks at the store without opening it for work. Nothing if there is none.
pub(super) async fn inspect(config: &Config) -> Result<Option<Inspection>, StartError> {
    if let Some(options) = postgres(config) {
        return Ok(PostgresStore::inspect(&options).await?);
    }
    let path = config.data_dir.join(STORE_FILE);
    Ok(if path.exists() { Some(SqliteStore::inspect(&path)?) } else { None })
}

/// Where the store is, if it is a database.
pub(crate) fn postgres(config: &Config) -> Option<PostgresOptions> {
    let store = &config.store;
    Some(PostgresOptions {
        url: store.url.clone()?,
        password_file: store.password_file.clone(),
        ca_file: store.ca_file.clone(),
        connections: store.connections_max,
        group_window: config.group_window(),
        insecure: config.insecure,
        witness_path: Some(config.witness_dir().join(NODE_WITNESS_FILE)),
    })
}
