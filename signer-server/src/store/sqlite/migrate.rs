//! The schema's versions. The list only grows: a migration that was released is never edited.

use std::collections::BTreeSet;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../../migrations/sqlite/0002_certificates.sql"),
    include_str!("../../../migrations/sqlite/0003_displays.sql"),
    include_str!("../../../migrations/sqlite/0004_registers.sql"),
    include_str!("../../../migrations/sqlite/0005_history.sql"),
    include_str!("../../../migrations/sqlite/0006_fleets.sql"),
    include_str!("../../../migrations/sqlite/0007_bound_answers.sql"),
    include_str!("../../../migrations/sqlite/0008_known_credentials.sql"),
    include_str!("../../../migrations/sqlite/0009_oauth.sql"),
    include_str!("../../../migrations/sqlite/0010_csc.sql"),
    include_str!("../../../migrations/sqlite/0011_sessions.sql"),
    include_str!("../../../migrations/sqlite/0012_authorisation_code.sql"),
    include_str!("../../../migrations/sqlite/0013_webhooks.sql"),
    include_str!("../../../migrations/sqlite/0014_enrolment_proof.sql"),
    include_str!("../../../migrations/sqlite/0015_question_once.sql"),
    include_str!("../../../migrations/sqlite/0016_audit.sql"),
    include_str!("../../../migrations/sqlite/0017_ceremonies.sql"),
    include_str!("../../../migrations/sqlite/0018_restore.sql"),
    include_str!("../../../migrations/sqlite/0019_kek.sql"),
    include_str!("../../../migrations/sqlite/0020_token_given.sql"),
    include_str!("../../../migrations/sqlite/0021_lookups.sql"),
    include_str!("../../../migrations/sqlite/0022_token_unheard.sql"),
];

/// The schema version this binary works with.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The schema version of a database; 0 if it is empty.
pub(super) fn version(db: &Connection) -> Result<u32, OpenError> {
    Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// What of the schema is not as the migrations make it: somebody dropped a trigger, or added one.
pub(super) fn altered(db: &Connection) -> Result<Option<String>, OpenError> {
    let mut fresh = Connection::open_in_memory()?;
    apply(&mut fresh)?;
    let (found, made) = (schema(db)?, schema(&fresh)?);
    let names = |one: &BTreeSet<Item>, other: &BTreeSet<Item>| {
        one.difference(other).next().map(|item| item.0.clone())
    };
    Ok(names(&made, &found).or_else(|| names(&found, &made)))
}

/// Name and definition.
type Item = (String, Option<String>);

fn schema(db: &Connection) -> Result<BTreeSet<Item>, OpenError> {
    let mut all =
        db.prepare("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'")?;
    let items = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(items.collect::<Result<_, _>>()?)
}

/// Applies what is missing, each migration in a transaction of its own, and returns the version found before.
pub(super) fn apply(db: &mut Connection) -> Result<u32, OpenError> {
    let before = version(db)?;
    if before > newest() {
        return Err(OpenError::SchemaNewer { found: before, supported: newest() });
    }
    for (number, sql) in (1..=newest()).zip(MIGRATIONS).filter(|(number, _)| *number > before) {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(before)
}
