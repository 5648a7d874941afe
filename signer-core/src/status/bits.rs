//! Two bits for each credential, lowest first in each byte, under zlib (RFC 1950).

use alloc::{vec, vec::Vec};
use core::fmt;

use miniz_oxide::{
    deflate::compress_to_vec_zlib,
    inflate::{
        TINFLStatus,
        core::{DecompressorOxide, decompress, inflate_flags},
    },
};

use super::ENTRIES;

/// Bytes of a list when inflated: 256 KiB.
const BYTES: usize = (ENTRIES as usize) / 4;
/// Of 1 to 10: the size hardly shrinks beyond.
const LEVEL: u8 = 6;

/// What an issuer says of one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0
    Valid,
    /// 1: withdrawn for good. So is 3, which the draft leaves to applications and no issuer of ours writes.
    Revoked,
    /// 2: withdrawn for now.
    Suspended,
}

impl Status {
    const fn of(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Valid,
            2 => Self::Suspended,
            _ => Self::Revoked,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Revoked => 1,
            Self::Suspended => 2,
        }
    }
}

/// The statuses of one list, as its issuer writes them. `Debug` says nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Statuses(Vec<u8>);

impl Default for Statuses {
    /// All valid.
    fn default() -> Self {
        Self(vec![0; BYTES])
    }
}

impl Statuses {
    /// Sets the status at `index`; `false` if there is no such place.
    pub fn set(&mut self, index: u32, status: Status) -> bool {
        let (byte, shift) = place(index);
        let Some(byte) = self.0.get_mut(byte) else { return false };
        *byte = (*byte & !3_u8.wrapping_shl(shift)) | status.bits().wrapping_shl(shift);
        true
    }

    /// The status at `index`, or `None` beyond the end.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Status> {
        let (byte, shift) = place(index);
        self.0.get(byte).map(|byte| Status::of(byte.wrapping_shr(shift)))
    }

    /// Every index that is not valid, ascending.
    pub(super) fn withdrawn(&self) -> impl Iterator<Item = (u32, Status)> {
        let bytes = (0_u32..).step_by(4).zip(&self.0).filter(|(_, byte)| **byte != 0);
        let entries = bytes.flat_map(|(first, byte)| {
            (0..4_u32).map(move |slot| {
                (first.saturating_add(slot), Status::of(byte.wrapping_shr(slot.wrapping_mul(2))))
            })
        });
        entries.filter(|(_, status)| *status != Status::Valid)
    }

    /// The zlib form.
    pub(super) fn deflate(&self) -> Vec<u8> {
        compress_to_vec_zlib(&self.0, LEVEL)
    }

    /// Reads the zlib form of exactly one list. Nothing beyond its size is ever written.
    pub(super) fn inflate(zlib: &[u8]) -> Option<Self> {
        use inflate_flags::{
            TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER,
            TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        };
        let mut out = vec![0; BYTES];
        let flags = TINFL_FLAG_PARSE_ZLIB_HEADER
            | TINFL_FLAG_COMPUTE_ADLER32
            | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) = decompress(&mut DecompressorOxide::new(), zlib, &mut out, 0, flags);
        (status == TINFLStatus::Done && read == zlib.len() && written == BYTES).then_some(Self(out))
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statuses({} entries)", ENTRIES)
    }
}

/// Byte and shift of an index.
fn place(index: u32) -> (usize, u32) {
    (usize::try_from(index / 4).unwrap_or(usize::MAX), (index % 4).wrapping_mul(2))
}
