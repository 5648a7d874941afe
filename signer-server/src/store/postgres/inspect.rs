//! Looking at a store in PostgreSQL beside the nodes that work on it.

use signer_core::time::UnixSeconds;

use super::{OpenError, PostgresOptions, PostgresStore, migrate, open::connect, server::promises};
use crate::store::Inspection;

impl PostgresStore {
    /// Reads what the server and the schema say. Nothing if there is no store in the database.
    ///
    /// # Errors
    /// [`OpenError`]: it is not reached, or would not keep what it commits.
    pub async fn inspect(options: &PostgresOptions) -> Result<Option<Inspection>, OpenError> {
        let client = connect(&options.config()?, &options.tls()?).await?;
        let place = promises(&client).await?;
        let sql = "SELECT current_setting('server_version'), current_setting('max_connections')::bigint,
            extract(epoch FROM clock_timestamp())::bigint, to_regclass('meta') IS NOT NULL";
        let row = client.query_one(sql, &[]).await?;
        if !row.try_get::<_, bool>(3)? {
            return Ok(None);
        }
        let sql = "SELECT (SELECT version FROM schema_version),
            (SELECT coalesce(max(latest_time), 0) FROM meta)";
        let ours = client.query_one(sql, &[]).await?;
        let count = |value: i64| u64::try_from(value).unwrap_or_default();
        let schema = u32::try_from(ours.try_get::<_, i32>(0)?).unwrap_or_default();
        // And one that listens.
        let wanted = u64::try_from(options.connections).unwrap_or(u64::MAX).saturating_add(1);
        Ok(Some(Inspection {
            about: format!("PostgreSQL {}", row.try_get::<_, String>(0)?),
            schema: (schema, migrate::newest()),
            damage: None,
            latest_time: UnixSeconds(count(ours.try_get(1)?)),
            server_time: Some(UnixSeconds(count(row.try_get(2)?))),
            synchronous: Some(place.synchronous),
            connections: Some((count(row.try_get(1)?), wanted)),
        }))
    }
}
