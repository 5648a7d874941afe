//! Between domain types and columns.

use signer_core::{suite::SuiteId, time::UnixSeconds, wire::Standing};

use super::db::Row;
use crate::store::{Counter, Holder, StoreError, StoreResult};

pub(in crate::store) const GOOD: i64 = 0;
pub(in crate::store) const FROZEN: i64 = 1;
pub(in crate::store) const REVOKED: i64 = 2;
pub(in crate::store) const SUSPENDED: i64 = 3;

/// The standing of a row of `installation`, for [`standing`]: a suspension shows where nothing graver does.
macro_rules! standing_column {
    () => {
        "CASE WHEN standing = 0 AND suspended = 1 THEN 3 ELSE standing END"
    };
}
pub(in crate::store) use standing_column;

/// What a row of the wrong form is reported as.
pub(in crate::store) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// A time as a column. Times past the number range are "never", and stay that.
pub(in crate::store) fn time(at: UnixSeconds) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A number as a column.
pub(in crate::store) fn int(value: u64) -> StoreResult<i64> {
    i64::try_from(value).map_err(|_| StoreError::Engine("a number is too large to be stored".to_owned()))
}

/// A number from a column.
pub(in crate::store) fn get_u64(row: &Row<'_>, column: usize) -> StoreResult<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| corrupt("a negative number"))
}

/// A time from a column.
pub(in crate::store) fn get_time(row: &Row<'_>, column: usize) -> StoreResult<UnixSeconds> {
    get_u64(row, column).map(UnixSeconds)
}

/// A counter from four columns in a row.
pub(in crate::store) fn get_counter(row: &Row<'_>, first: usize) -> StoreResult<Counter> {
    Ok(Counter {
        level: row.get(first)?,
        wrong: row.get(first + 1)?,
        locked_until: get_time(row, first + 2)?,
        stepped_down_at: get_time(row, first + 3)?,
    })
}

/// A holder from a column.
pub(in crate::store) fn holder(text: &str) -> StoreResult<Holder> {
    let nobody = Holder::nobody();
    if text == nobody.as_str() {
        return Ok(nobody);
    }
    Holder::new(text).ok_or_else(|| corrupt("a holder's reference"))
}

/// A standing from [`standing_column`].
pub(in crate::store) fn standing(number: i64) -> StoreResult<Standing> {
    match number {
        GOOD => Ok(Standing::Good),
        FROZEN => Ok(Standing::Frozen),
        REVOKED => Ok(Standing::Revoked),
        SUSPENDED => Ok(Standing::Suspended),
        _ => Err(corrupt("the standing of an installation")),
    }
}

/// A suite from a column.
pub(in crate::store) fn suite(number: u8) -> StoreResult<SuiteId> {
    SuiteId::ALL
        .into_iter()
        .find(|suite| suite.number() == number)
        .ok_or_else(|| corrupt("the suite of a key"))
}

/// Byte strings in one column: each after its length in four bytes, big endian.
pub(in crate::store) fn join(parts: &[Vec<u8>]) -> StoreResult<Vec<u8>> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        let length = u32::try_from(part.len()).map_err(|_| corrupt("a byte string is too long"))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}

/// What [`join`] joined.
pub(in crate::store) fn split(mut bytes: &[u8]) -> StoreResult<Vec<Vec<u8>>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (part, rest) = rest.split_at_checked(length).ok_or_else(|| corrupt("joined byte strings"))?;
        parts.push(part.to_vec());
        bytes = rest;
    }
    if bytes.is_empty() { Ok(parts) } else { Err(corrupt("joined byte strings")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_byte_strings_split_again_and_damage_is_seen() {
        for parts in [vec![], vec![vec![]], vec![vec![1, 2, 3], vec![], vec![0; 300]]] {
            assert_eq!(split(&join(&parts).unwrap()).unwrap(), parts);
        }
        let bytes = join(&[vec![1, 2, 3]]).unwrap();
        for cut in 1..bytes.len() {
            assert!(split(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
