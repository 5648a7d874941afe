//! One transaction on one connection, driven from a blocking thread: an act is plain code that reads and writes in turn.

use std::{cell::Cell, error::Error, sync::Arc, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::Object;
use futures_util::{FutureExt as _, future::join};
use tokio::runtime::Handle;
use tokio_postgres::{
    error::SqlState,
    types::{FromSql, IsNull, ToSql, Type},
};

use crate::store::{StoreError, StoreResult, sql::db::Value};

/// A row of an answer.
#[derive(Debug)]
pub(in crate::store) struct PgRow(tokio_postgres::Row);

/// How the transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// As if no other transaction ran beside it.
    Write,
    /// To the end of a chain, whose numbers are given out once: beside others, against a second of its kind.
    Append,
    /// One snapshot.
    Read,
}

/// Why a statement failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It met another transaction: again.
    Conflict,
    /// A row that must exist once is there; perhaps only since this transaction began to read.
    Duplicate,
    /// The connection is of no more use.
    Gone,
    /// The statement is wrong, or breaks a rule of the schema.
    Refused,
}

/// Time for one statement and for a commit. A connection that exceeds it is given up, so that its server process, not this
/// one, decides what became of it.
pub(super) const STATEMENT_TIME: Duration = Duration::from_secs(20);

/// A transaction. It begins with its first statement, unless it is one act's part of a shared one.
pub(in crate::store) struct PgTransaction {
    /// None once it has been given back.
    connection: Option<Arc<Object>>,
    /// Whether other acts run in it too; who began it ends it.
    shared: bool,
    handle: Handle,
    run: i64,
    kind: Kind,
    begun: Cell<bool>,
    failure: Cell<Option<Failure>>,
}

impl PgTransaction {
    pub(super) fn new(connection: Object, handle: Handle, run: i64, kind: Kind) -> Self {
        Self {
            connection: Some(Arc::new(connection)),
            shared: false,
            handle,
            run,
            kind,
            begun: Cell::new(false),
            failure: Cell::new(None),
        }
    }

    /// One act's part of a shared transaction.
    pub(super) fn within(shared: &Shared, handle: Handle, run: i64) -> Self {
        Self {
            connection: Some(Arc::clone(&shared.0)),
            shared: true,
            handle,
            run,
            kind: Kind::Write,
            begun: Cell::new(true),
            failure: Cell::new(None),
        }
    }

    /// Why a statement failed, if one did.
    pub(super) const fn failed(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// Refuses to go on beside other acts in one transaction.
    ///
    /// # Errors
    /// The group is taken back, and this act run by itself.
    pub(in crate::store) fn alone(&self) -> StoreResult<()> {
        if self.shared {
            Err(StoreError::Engine("an act that others must not share".to_owned()))
        } else {
            Ok(())
        }
    }

    /// Number of this node's opening of the store.
    pub(in crate::store) const fn run(&self) -> i64 {
        self.run
    }

    /// Whether the node with this run is connected: it holds a lock as long as it is.
    pub(in crate::store) fn runs(&self, run: i64) -> StoreResult<bool> {
        if run == self.run {
            return Ok(true);
        }
        let sql = "SELECT CASE WHEN pg_try_advisory_xact_lock_shared(?1, ?2) THEN 0 ELSE 1 END";
        let rows = self.query(sql, &[Value::Int(i64::from(super::LOCKS)), Value::Int(run)])?;
        let value = rows.first().map(|row| row.value(0)).transpose()?;
        Ok(value == Some(Value::Int(1)))
    }

    /// Runs a statement and says how many rows it touched.
    pub(in crate::store) fn execute(&self, sql: &str, values: &[Value<'_>]) -> StoreResult<usize> {
        let rows = self.send(sql, async |connection, statement| {
            connection.execute_raw(statement, values.iter()).await
        })?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// Runs a query.
    pub(in crate::store) fn query(&self, sql: &str, values: &[Value<'_>]) -> StoreResult<Vec<PgRow>> {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows =
            self.send(sql, async |connection, statement| connection.query(statement, &parameters).await)?;
        Ok(rows.into_iter().map(PgRow).collect())
    }

    /// Prepares a statement, once for each connection, and runs it; together with BEGIN if it is the first.
    fn send<T>(
        &self,
        sql: &str,
        run: impl AsyncFnOnce(&Object, &tokio_postgres::Statement) -> Result<T, tokio_postgres::Error>,
    ) -> StoreResult<T> {
        let Some(connection) = &self.connection else { return Err(gone("given back")) };
        let work = async {
            let statement = connection.prepare_cached(&numbered(sql)).await?;
            if self.begun.replace(true) {
                return run(connection, &statement).await;
            }
            let begin = match self.kind {
                Kind::Write => "BEGIN ISOLATION LEVEL SERIALIZABLE",
                Kind::Append => "BEGIN ISOLATION LEVEL REPEATABLE READ",
                Kind::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            };
            // In this order on the connection, without a round trip between them.
            let (begun, answer) = join(connection.batch_execute(begin), run(connection, &statement)).await;
            begun?;
            answer
        };
        let answer = self.handle.block_on(async { tokio::time::timeout(STATEMENT_TIME, work).await });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.failure.set(Some(failure(&error)));
                Err(store_error(&error))
            }
            Err(_elapsed) => {
                self.failure.set(Some(Failure::Gone));
                Err(gone("no answer in time"))
            }
        }
    }

    /// Ends the transaction and makes it durable.
    pub(super) fn commit(mut self) -> Result<(), (StoreError, Option<Failure>)> {
        if let Some(failure) = self.failure.get() {
            // The act went on after a failed statement: the server would roll back, and call that a commit.
            self.roll_back();
            return Err((StoreError::Engine("a statement failed".to_owned()), Some(failure)));
        }
        let Some(connection) = self.connection.take().and_then(Arc::into_inner) else { return Ok(()) };
        if !self.begun.get() {
            return Ok(());
        }
        if matches!(self.kind, Kind::Read) {
            // Sent; there is nothing in the answer.
            let _ = connection.batch_execute("COMMIT").now_or_never();
            return Ok(());
        }
        self.handle.block_on(commit(connection))
    }

    /// Takes everything back; why a statement failed, if one did.
    pub(super) fn roll_back(&mut self) -> Option<Failure> {
        let failure = self.failure.get();
        let Some(connection) = self.connection.take().and_then(Arc::into_inner) else { return failure };
        if failure == Some(Failure::Gone) {
            drop(Object::take(connection));
        } else if self.begun.get() {
            self.handle.block_on(roll_back(connection));
        }
        failure
    }
}

impl Drop for PgTransaction {
    /// After a panic: what was begun must not go on under another act.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.shared).and_then(Arc::into_inner) {
            drop(Object::take(connection));
        }
    }
}

/// A transaction of many acts. It is not committed unless it is said.
pub(super) struct Shared(Arc<Object>);

impl Shared {
    /// Begins one.
    pub(super) async fn begin(connection: Object) -> StoreResult<Self> {
        let begin = connection.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE");
        match tokio::time::timeout(STATEMENT_TIME, begin).await {
            Ok(Ok(())) => Ok(Self(Arc::new(connection))),
            Ok(Err(error)) => {
                drop(Object::take(connection));
                Err(store_error(&error))
            }
            Err(_elapsed) => {
                drop(Object::take(connection));
                Err(gone("no answer in time"))
            }
        }
    }

    /// Makes it durable. No act runs in it any more.
    pub(super) async fn commit(self) -> Result<(), (StoreError, Option<Failure>)> {
        match Arc::into_inner(self.0) {
            Some(connection) => commit(connection).await,
            // An act that panicked left its part behind: the connection is dropped with it.
            None => Err((StoreError::Engine("an act is still running".to_owned()), Some(Failure::Refused))),
        }
    }

    /// Takes it back.
    pub(super) async fn roll_back(self) {
        if let Some(connection) = Arc::into_inner(self.0) {
            roll_back(connection).await;
        }
    }
}

/// Makes what was done on a connection durable.
async fn commit(connection: Object) -> Result<(), (StoreError, Option<Failure>)> {
    match tokio::time::timeout(STATEMENT_TIME, connection.batch_execute("COMMIT")).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.as_db_error().is_some() && !connection.is_closed() => {
            // The server's own word that it did not.
            match failure(&error) {
                Failure::Gone => Err(unknown(connection, &error.to_string())),
                failure => Err((store_error(&error), Some(failure))),
            }
        }
        Ok(Err(error)) => Err(unknown(connection, &error.to_string())),
        Err(_elapsed) => Err(unknown(connection, "no answer in time")),
    }
}

/// Takes back what was done on a connection.
async fn roll_back(connection: Object) {
    let end = tokio::time::timeout(STATEMENT_TIME, connection.batch_execute("ROLLBACK")).await;
    if !matches!(end, Ok(Ok(()))) {
        drop(Object::take(connection));
    }
}

fn unknown(connection: Object, reason: &str) -> (StoreError, Option<Failure>) {
    drop(Object::take(connection));
    (StoreError::Unknown(reason.to_owned()), None)
}

fn gone(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.to_owned())
}

/// Parameters as PostgreSQL writes them.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    let Some(code) = error.code() else {
        return if error.is_closed() || is_io(error) { Failure::Gone } else { Failure::Refused };
    };
    if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        Failure::Conflict
    } else if *code == SqlState::UNIQUE_VIOLATION {
        Failure::Duplicate
    } else if is_gone(code) {
        Failure::Gone
    } else {
        Failure::Refused
    }
}

/// Whether a connection with this error leads to a server that is of no use now: shutting down, starting, out of something, or
/// no longer the one that may write.
fn is_gone(code: &SqlState) -> bool {
    let class = code.code().get(..2);
    matches!(class, Some("08" | "53" | "57" | "58")) || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.is::<std::io::Error>())
}

/// The error without the values that PostgreSQL puts into its details.
pub(super) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    let text = error.as_db_error().map_or_else(
        || error.to_string(),
        |found| {
            let constraint = found.constraint().map(|name| format!(" ({name})")).unwrap_or_default();
            format!("{} {}{constraint}", found.code().code(), found.message())
        },
    );
    if failure(error) == Failure::Gone { StoreError::Unavailable(text) } else { StoreError::Engine(text) }
}

impl PgRow {
    /// The column in this place.
    pub(in crate::store) fn value(&self, place: usize) -> StoreResult<Value<'_>> {
        let Read(value) = self.0.try_get(place).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(value)
    }
}

/// A column of a type that the schema has.
struct Read<'r>(Value<'r>);

impl<'r> FromSql<'r> for Read<'r> {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT2 => Value::Int(i64::from(i16::from_sql(ty, raw)?)),
            Type::INT4 => Value::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::BYTEA => Value::Bytes(raw),
            _ => Value::Text(<&str>::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT2 | Type::INT4 | Type::INT8 | Type::BYTEA | Type::TEXT)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(number), &Type::INT2) => i16::try_from(*number)?.to_sql(ty, out),
            (Self::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(ty, out),
            (Self::Int(number), &Type::INT8) => number.to_sql(ty, out),
            (Self::Text(text), &Type::TEXT) => text.to_sql(ty, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            _ => Err(format!("a parameter of type {ty} is another in the statement").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}
