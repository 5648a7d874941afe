//! The database as an act sees it: one transaction of either engine. Statements are written once, in SQL that both read;
//! parameters are `?1`, `?2`, …, which PostgreSQL gets as `$1`, `$2`, ….

use rusqlite::StatementStatus;

use crate::store::{
    StoreError, StoreResult,
    postgres::{PgRow, PgTransaction},
};

/// Rows that a statement may look at one by one without a remark in the log.
const SCANNED_MAX: i32 = 250;

/// A transaction.
#[derive(Clone, Copy)]
pub(in crate::store) enum Db<'c> {
    /// Of SQLite, in the run of the store with this number.
    Sqlite(&'c rusqlite::Connection, i64),
    /// Of PostgreSQL.
    Postgres(&'c PgTransaction),
}

/// A value of a parameter or a column. Flags are the numbers 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Value<'v> {
    Null,
    Int(i64),
    Text(&'v str),
    Bytes(&'v [u8]),
}

/// A row of an answer.
pub(in crate::store) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r PgRow),
}

impl Db<'_> {
    /// Number of this opening of the store: a reservation names it.
    pub(super) fn run(&self) -> i64 {
        match self {
            Self::Sqlite(_, run) => *run,
            Self::Postgres(db) => db.run(),
        }
    }

    /// For an act that reads and then changes what other installations share: it goes on only in a transaction of its own, in
    /// which nothing happens in between.
    ///
    /// # Errors
    /// The act is run again by itself.
    pub(super) fn alone(&self) -> StoreResult<()> {
        match self {
            // Its one writer runs one act after the other.
            Self::Sqlite(..) => Ok(()),
            Self::Postgres(db) => db.alone(),
        }
    }

    /// Whether the server process with this run may still be at work.
    pub(super) fn runs(&self, run: i64) -> StoreResult<bool> {
        match self {
            // One process at a time has the file.
            Self::Sqlite(_, own) => Ok(*own == run),
            Self::Postgres(db) => db.runs(run),
        }
    }
}

/// Runs a statement and says how many rows it touched.
pub(in crate::store) fn execute(db: &Db<'_>, sql: &str, params: impl Params) -> StoreResult<usize> {
    params.with(|values| match db {
        Db::Sqlite(db, _) => {
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.execute(rusqlite::params_from_iter(values))?;
            remark(&statement, sql);
            Ok(rows)
        }
        Db::Postgres(db) => db.execute(sql, values),
    })
}

/// Runs a statement that must touch exactly one row.
pub(in crate::store) fn execute_one(db: &Db<'_>, sql: &str, params: impl Params) -> StoreResult<()> {
    match execute(db, sql, params)? {
        1 => Ok(()),
        rows => Err(StoreError::Corrupt(format!("one row expected, {rows} touched by: {sql}"))),
    }
}

/// The first row of a query, if any.
pub(in crate::store) fn first<T>(
    db: &Db<'_>,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> StoreResult<T>,
) -> StoreResult<Option<T>> {
    params.with(|values| match db {
        Db::Sqlite(db, _) => {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let found = rows.next()?.map(|row| read(&Row::Sqlite(row))).transpose();
            drop(rows);
            remark(&statement, sql);
            found
        }
        Db::Postgres(db) => db.query(sql, values)?.first().map(|row| read(&Row::Postgres(row))).transpose(),
    })
}

/// Every row of a query.
pub(super) fn all<T>(
    db: &Db<'_>,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    params.with(|values| match db {
        Db::Sqlite(db, _) => {
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(&Row::Sqlite(row))?);
            }
            drop(rows);
            remark(&statement, sql);
            Ok(found)
        }
        Db::Postgres(db) => db.query(sql, values)?.iter().map(|row| read(&Row::Postgres(row))).collect(),
    })
}

/// Says which statement looked at many rows one by one: with more people it takes longer.
fn remark(statement: &rusqlite::Statement<'_>, sql: &str) {
    let rows = statement.reset_status(StatementStatus::FullscanStep);
    if rows > SCANNED_MAX {
        tracing::debug!(rows, sql, "rows were looked at one by one");
    }
}

impl Row<'_> {
    /// The column in this place, from 0.
    pub(in crate::store) fn get<T: Column>(&self, place: usize) -> StoreResult<T> {
        T::read(self.value(place)?).ok_or_else(|| StoreError::Corrupt(format!("the form of column {place}")))
    }

    /// The text in this place, not copied.
    pub(super) fn text(&self, place: usize) -> StoreResult<&str> {
        match self.value(place)? {
            Value::Text(text) => Ok(text),
            _ => Err(StoreError::Corrupt(format!("the form of column {place}"))),
        }
    }

    /// The bytes in this place, not copied.
    pub(super) fn bytes(&self, place: usize) -> StoreResult<&[u8]> {
        match self.value(place)? {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(StoreError::Corrupt(format!("the form of column {place}"))),
        }
    }

    fn value(&self, place: usize) -> StoreResult<Value<'_>> {
        use rusqlite::types::ValueRef as V;
        match self {
            Self::Sqlite(row) => Ok(match row.get_ref(place)? {
                V::Null => Value::Null,
                V::Integer(number) => Value::Int(number),
                V::Text(text) => {
                    Value::Text(std::str::from_utf8(text).map_err(|_| StoreError::Corrupt("a text".into()))?)
                }
                V::Blob(bytes) => Value::Bytes(bytes),
                V::Real(_) => return Err(StoreError::Corrupt("a fraction".into())),
            }),
            Self::Postgres(row) => row.value(place),
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput::Borrowed, ValueRef as V};
        Ok(Borrowed(match self {
            Self::Null => V::Null,
            Self::Int(number) => V::Integer(*number),
            Self::Text(text) => V::Text(text.as_bytes()),
            Self::Bytes(bytes) => V::Blob(bytes),
        }))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Unavailable("the disk is full".to_owned()),
            _ => Self::Engine(error.to_string()),
        }
    }
}

/// What a column is read as; `None` if it does not fit.
pub(in crate::store) trait Column: Sized {
    fn read(value: Value<'_>) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn read(value: Value<'_>) -> Option<Self> {
                if let Value::Int(number) = value { number.try_into().ok() } else { None }
            }
        }
        impl Param for $type {
            fn value(&self) -> Value<'_> {
                Value::Int(i64::from(*self))
            }
        }
    )*};
}
integers!(u8, u16, u32, i32, i64);

impl Column for bool {
    fn read(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Bytes(bytes) = value { Some(bytes.to_vec()) } else { None }
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Bytes(bytes) = value { bytes.try_into().ok() } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
}

/// A value of a parameter.
pub(in crate::store) trait Param {
    fn value(&self) -> Value<'_>;
}

impl Param for bool {
    fn value(&self) -> Value<'_> {
        Value::Int(i64::from(*self))
    }
}

impl Param for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Param for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Param for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl Param for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<const N: usize> Param for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: Param + ?Sized> Param for &T {
    fn value(&self) -> Value<'_> {
        T::value(self)
    }
}

impl<T: Param> Param for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::value)
    }
}

/// The parameters of a statement: a tuple, an array of one type, or [`params!`].
pub(in crate::store) trait Params {
    fn with<T>(self, run: impl FnOnce(&[Value<'_>]) -> T) -> T;
}

/// Without any.
impl Params for [(); 0] {
    fn with<T>(self, run: impl FnOnce(&[Value<'_>]) -> T) -> T {
        run(&[])
    }
}

impl<P: Param> Params for [P; 1] {
    fn with<T>(self, run: impl FnOnce(&[Value<'_>]) -> T) -> T {
        run(&self.each_ref().map(Param::value))
    }
}

impl Params for &[&dyn Param] {
    fn with<T>(self, run: impl FnOnce(&[Value<'_>]) -> T) -> T {
        let values: Vec<Value<'_>> = self.iter().map(|param| param.value()).collect();
        run(&values)
    }
}

macro_rules! tuples {
    ($(($($name:ident $place:tt),*))*) => {$(
        impl<$($name: Param),*> Params for ($($name,)*) {
            fn with<T>(self, run: impl FnOnce(&[Value<'_>]) -> T) -> T {
                run(&[$(self.$place.value()),*])
            }
        }
    )*};
}
tuples! {
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

/// Many parameters of different types.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn crate::store::sql::db::Param),*] as &[&dyn crate::store::sql::db::Param]
    };
}
pub(in crate::store) use params;
