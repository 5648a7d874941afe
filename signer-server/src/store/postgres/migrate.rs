//! The schema's versions. The list only grows: a migration that was released is never edited.

use tokio_postgres::Client;

use super::{LOCKS, OpenError};

const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/postgres/0001_store.sql"),
    include_str!("../../../migrations/postgres/0002_ceremonies.sql"),
    include_str!("../../../migrations/postgres/0003_restore.sql"),
    include_str!("../../../migrations/postgres/0004_kek.sql"),
    include_str!("../../../migrations/postgres/0005_token_given.sql"),
    include_str!("../../../migrations/postgres/0006_lookups.sql"),
    include_str!("../../../migrations/postgres/0007_token_unheard.sql"),
];

/// The schema version this binary works with.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Applies what is missing, all or nothing, and returns the version found before. Of nodes that start together one does it.
pub(super) async fn apply(client: &mut Client) -> Result<u32, OpenError> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1, 0)", &[&LOCKS]).await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_version (
                only_row SMALLINT PRIMARY KEY CHECK (only_row = 1), version INTEGER NOT NULL);
             INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING",
        )
        .await?;
    let found: i32 = transaction.query_one("SELECT version FROM schema_version", &[]).await?.try_get(0)?;
    let before = u32::try_from(found).map_err(|_| OpenError::Engine("schema_version".to_owned()))?;
    if before > newest() {
        return Err(OpenError::SchemaNewer { found: before, supported: newest() });
    }
    for (number, sql) in (1_i32..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        transaction.batch_execute(sql).await?;
        transaction.execute("UPDATE schema_version SET version = $1", &[&number]).await?;
    }
    transaction.commit().await?;
    Ok(before)
}
