//! The register's database. A change and the event about it are one transaction, so that none is forgotten.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use signer_core::credential::DocumentRecord;
use signer_server::registers::VehicleRecord;

use super::{
    fleet::vehicles,
    people::{PEOPLE, PORTRAIT_EVERY},
    portrait,
};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS document (
        person TEXT NOT NULL,
        kind TEXT NOT NULL,
        family TEXT NOT NULL,
        given TEXT NOT NULL,
        birth TEXT NOT NULL,
        number TEXT NOT NULL,
        expires TEXT NOT NULL,
        rights TEXT NOT NULL,
        portrait BLOB,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (person, kind)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS vehicle (
        organisation TEXT NOT NULL,
        reference TEXT NOT NULL,
        plate TEXT NOT NULL,
        model TEXT NOT NULL,
        number TEXT NOT NULL,
        expires TEXT NOT NULL,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (organisation, reference)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS event (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        person TEXT NOT NULL,
        kind TEXT NOT NULL,
        what TEXT NOT NULL,
        reported INTEGER NOT NULL DEFAULT 0
    ) STRICT;";

/// What happens to a document.
pub(crate) enum Change {
    /// It is no longer valid.
    Withdrawn,
    /// It says something else from now on.
    Changed {
        /// Family name, if that changes.
        family: Option<String>,
        /// Rights, if they change.
        rights: Option<String>,
    },
    /// Its holder has died: all documents are withdrawn.
    Deceased,
}

/// An event to report.
pub(crate) struct EventRow {
    /// Rises with every event.
    pub(crate) number: i64,
    /// Whom it is about.
    pub(crate) person: String,
    /// Kind of document; empty where all are meant.
    pub(crate) kind: String,
    /// `withdrawn`, `changed` or `deceased`.
    pub(crate) what: String,
}

/// The register's documents and events; clones share them.
#[derive(Clone)]
pub(crate) struct Records(Arc<Mutex<Connection>>);

type Result<T> = rusqlite::Result<T>;

impl Records {
    /// Opens the database; a new one is filled with the made-up people.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut db = Connection::open(path)?;
        db.execute_batch(SCHEMA)?;
        let transaction = db.transaction()?;
        if transaction.query_row("SELECT count(*) FROM document", [], |row| row.get::<_, u32>(0))? == 0 {
            fill(&transaction)?;
        }
        transaction.commit()?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// A person's document as JSON, if it is there and valid.
    pub(crate) fn document(&self, person: &str, kind: &str) -> Result<Option<DocumentRecord>> {
        let sql = "SELECT family, given, birth, number, expires, rights, portrait FROM document
            WHERE person = ?1 AND kind = ?2 AND withdrawn = 0";
        let read = |row: &rusqlite::Row<'_>| {
            let text = |column: usize| row.get::<_, String>(column);
            let portrait = row.get::<_, Option<Vec<u8>>>(6)?.map(|picture| BASE64_STANDARD.encode(picture));
            Ok(serde_json::json!({
                "document_type": kind, "family": text(0)?, "given": text(1)?, "birth": text(2)?,
                "number": text(3)?, "expires": text(4)?, "rights": text(5)?,
                "portrait": portrait,
            }))
        };
        let found = self.lock().query_row(sql, (person, kind), read).optional()?;
        Ok(found.and_then(|found| serde_json::from_value(found).ok()))
    }

    /// An organisation's vehicle, if it is there and valid.
    pub(crate) fn vehicle(&self, organisation: &str, reference: &str) -> Result<Option<VehicleRecord>> {
        let sql = "SELECT plate, model, number, expires FROM vehicle
            WHERE organisation = ?1 AND reference = ?2 AND withdrawn = 0";
        let read = |row: &rusqlite::Row<'_>| {
            let text = |column: usize| row.get::<_, String>(column);
            Ok(serde_json::json!({
                "document_type": "vehicle_registration", "organisation": organisation,
                "plate": text(0)?, "model": text(1)?, "number": text(2)?, "expires": text(3)?,
            }))
        };
        let found = self.lock().query_row(sql, (organisation, reference), read).optional()?;
        Ok(found.and_then(|found| serde_json::from_value(found).ok()))
    }

    /// Makes a change and writes its event down.
    pub(crate) fn apply(&self, person: &str, kind: &str, change: &Change) -> Result<()> {
        let mut db = self.lock();
        let transaction = db.transaction()?;
        let (rows, what) = match person.split_once('/').filter(|_| kind == "vehicle_registration") {
            Some(vehicle) => change_vehicle(&transaction, vehicle, change)?,
            None => change_document(&transaction, person, kind, change)?,
        };
        if rows == 0 {
            return Err(rusqlite::Error::QueryReturnedNoRows);
        }
        let sql = "INSERT INTO event (person, kind, what) VALUES (?1, ?2, ?3)";
        transaction.execute(sql, (person, kind, what))?;
        transaction.commit()
    }

    /// Events that nobody has acknowledged yet, oldest first.
    pub(crate) fn unreported(&self) -> Result<Vec<EventRow>> {
        let db = self.lock();
        let mut rows =
            db.prepare("SELECT number, person, kind, what FROM event WHERE reported = 0 ORDER BY number")?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(EventRow { number: row.get(0)?, person: row.get(1)?, kind: row.get(2)?, what: row.get(3)? })
        };
        rows.query_map([], read)?.collect()
    }

    /// An event was acknowledged.
    pub(crate) fn reported(&self, number: i64) -> Result<()> {
        self.lock().execute("UPDATE event SET reported = 1 WHERE number = ?1", [number]).map(|_| ())
    }

    /// One line for each document.
    pub(crate) fn list(&self) -> Result<Vec<String>> {
        let db = self.lock();
        let sql = "SELECT person || '  ' || kind || '  ' || family || ' ' || given ||
            iif(withdrawn, '  WITHDRAWN', '') AS line FROM document
            UNION ALL SELECT organisation || '/' || reference || '  vehicle_registration  ' || plate || ' ' || model ||
            iif(withdrawn, '  WITHDRAWN', '') FROM vehicle ORDER BY line";
        let mut rows = db.prepare(sql)?;
        rows.query_map([], |row| row.get(0))?.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many rows a change touches, and what it is called.
fn change_document(
    db: &Transaction<'_>,
    person: &str,
    kind: &str,
    change: &Change,
) -> Result<(usize, &'static str)> {
    Ok(match change {
        Change::Withdrawn => {
            let sql = "UPDATE document SET withdrawn = 1 WHERE person = ?1 AND kind = ?2";
            (db.execute(sql, (person, kind))?, "withdrawn")
        }
        Change::Changed { family, rights } => {
            let sql = "UPDATE document SET family = coalesce(?3, family), rights = coalesce(?4, rights)
                WHERE person = ?1 AND kind = ?2";
            (db.execute(sql, (person, kind, family, rights))?, "changed")
        }
        Change::Deceased => {
            (db.execute("UPDATE document SET withdrawn = 1 WHERE person = ?1", [person])?, "deceased")
        }
    })
}

/// The same of a vehicle, whose model takes the place of a name.
fn change_vehicle(
    db: &Transaction<'_>,
    (organisation, reference): (&str, &str),
    change: &Change,
) -> Result<(usize, &'static str)> {
    let place = "WHERE organisation = ?1 AND reference = ?2";
    Ok(match change {
        Change::Withdrawn => {
            let sql = format!("UPDATE vehicle SET withdrawn = 1 {place}");
            (db.execute(&sql, (organisation, reference))?, "withdrawn")
        }
        Change::Changed { family, .. } => {
            let sql = format!("UPDATE vehicle SET model = coalesce(?3, model) {place}");
            (db.execute(&sql, (organisation, reference, family))?, "changed")
        }
        Change::Deceased => (0, "deceased"),
    })
}

fn fill(db: &Transaction<'_>) -> Result<()> {
    for (number, (person, family, given, birth, card, licence)) in PEOPLE.into_iter().enumerate() {
        let picture = (number % PORTRAIT_EVERY == 0).then(|| portrait::draw(number));
        let card = Some(("identity_card", card, "2031-05-20", ""));
        let licence = licence.map(|(licence, rights)| ("driving_licence", licence, "2046-08-01", rights));
        for (kind, document, expires, rights) in card.into_iter().chain(licence) {
            db.execute(
                "INSERT INTO document (person, kind, family, given, birth, number, expires, rights, portrait)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![person, kind, family, given, birth, document, expires, rights, picture],
            )?;
        }
    }
    for (organisation, reference, plate, model, number) in vehicles() {
        db.execute(
            "INSERT INTO vehicle (organisation, reference, plate, model, number, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, '2031-03-31')",
            params![organisation, reference, plate, model, number],
        )?;
    }
    Ok(())
}
