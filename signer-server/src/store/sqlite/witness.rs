//! A number kept outside the database, which a restored backup cannot turn back.
//!
//! After every commit, and before any answer, the store's sequence number is written here. A store that is found behind
//! its witness has forgotten something it once answered (a counted attempt, a burnt code, a revocation) and must not run.
//! With it stands what the audit log ends with: one that was cut or rewritten while no server ran is found out.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use signer_core::audit::tree::TreeHash;

use super::files;
use crate::store::AuditMark;

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which store.
    pub store: [u8; 16],
    /// Its transactions so far.
    pub seq: u64,
    /// What its audit log ends with.
    pub audit: AuditMark,
}

/// A memory outside the database.
pub trait Witness: Send {
    /// The latest mark; `None` if there never was one.
    ///
    /// # Errors
    /// If it cannot be read or is damaged: the store then does not start.
    fn read(&self) -> io::Result<Option<Mark>>;

    /// Makes `mark` the latest, durably, before it returns.
    ///
    /// # Errors
    /// If that is not certain: the store then stops.
    fn advance(&mut self, mark: Mark) -> io::Result<()>;
}

/// Where the two slots begin: far enough apart not to share a disk sector or page.
const SLOTS: [u64; 2] = [0, 4096];
const SLOT_BYTES: usize = 104;
const MAGIC: &[u8; 8] = b"SGNWIT02";
/// Before there was an audit log.
const OLD_SLOT_BYTES: usize = 64;
const OLD_MAGIC: &[u8; 8] = b"SGNWIT01";

/// A witness in a small file, best on another disk than the database.
///
/// Two slots are written in turn, each with a checksum, so that a write cut short leaves the mark before it readable.
#[derive(Debug)]
pub struct FileWitness {
    path: PathBuf,
    file: Option<File>,
}

impl FileWitness {
    /// The witness at `path`, which need not exist yet; its directory is made when it is first written.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None }
    }

    fn create(&self, mark: Mark) -> io::Result<File> {
        let draft = self.path.with_extension("new");
        let _ = std::fs::remove_file(&draft);
        let mut file = files::create_private(&draft)?;
        write_slot(&mut file, mark)?;
        std::fs::rename(&draft, &self.path)?;
        files::sync_parent(&self.path)?;
        Ok(file)
    }
}

impl Witness for FileWitness {
    fn read(&self) -> io::Result<Option<Mark>> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let slot = |at: u64| {
            let at = usize::try_from(at).ok()?;
            decode(bytes.get(at..)?)
        };
        match SLOTS.into_iter().filter_map(slot).max_by_key(|mark| mark.seq) {
            Some(mark) => Ok(Some(mark)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "both slots of the witness are damaged")),
        }
    }

    fn advance(&mut self, mark: Mark) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(match open_existing(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(mark)?,
                other => other?,
            });
        }
        match &mut self.file {
            Some(file) => write_slot(file, mark),
            None => Err(io::Error::other("the witness is not open")),
        }
    }
}

fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn write_slot(file: &mut File, mark: Mark) -> io::Result<()> {
    let slot = SLOTS[usize::from(mark.seq % 2 == 1)];
    file.seek(SeekFrom::Start(slot))?;
    file.write_all(&encode(mark))?;
    file.sync_data()
}

fn encode(mark: Mark) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..24].copy_from_slice(&mark.store);
    bytes[24..32].copy_from_slice(&mark.seq.to_be_bytes());
    bytes[32..40].copy_from_slice(&mark.audit.size.to_be_bytes());
    bytes[40..72].copy_from_slice(&mark.audit.last.0);
    let sum = Sha256::digest(&bytes[..72]);
    bytes[72..].copy_from_slice(&sum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Mark> {
    let store = *bytes.get(8..)?.first_chunk::<16>()?;
    let seq = u64::from_be_bytes(*bytes.get(24..)?.first_chunk::<8>()?);
    if let Some(bytes) = bytes.get(..SLOT_BYTES).filter(|bytes| bytes.starts_with(MAGIC)) {
        let size = u64::from_be_bytes(*bytes.get(32..)?.first_chunk::<8>()?);
        let last = TreeHash(*bytes.get(40..)?.first_chunk::<32>()?);
        let mark = Mark { store, seq, audit: AuditMark { size, last } };
        return (bytes == encode(mark)).then_some(mark);
    }
    let old = bytes.get(..OLD_SLOT_BYTES).filter(|bytes| bytes.starts_with(OLD_MAGIC))?;
    let (told, sum) = old.split_at_checked(32)?;
    (Sha256::digest(told).as_slice() == sum).then_some(Mark { store, seq, audit: AuditMark::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: [u8; 16] = [7; 16];

    fn mark(seq: u64) -> Mark {
        Mark { store: STORE, seq, audit: AuditMark { size: seq * 3, last: TreeHash([5; 32]) } }
    }

    #[test]
    fn sto_006_a_torn_slot_falls_back_to_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own/witness");
        let mut witness = FileWitness::new(&path);
        assert_eq!(witness.read().unwrap(), None);
        for seq in 0..6 {
            witness.advance(mark(seq)).unwrap();
            assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark(seq)));
        }
        let whole = std::fs::read(&path).unwrap();
        for at in 0..SLOT_BYTES {
            let mut torn = whole.clone();
            torn[4096 + at] ^= 1; // slot of seq 5
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark(4)));
            torn[at] ^= 1;
            std::fs::write(&path, &torn).unwrap();
            assert!(FileWitness::new(&path).read().is_err());
        }
        std::fs::write(&path, &whole[..4096 + 10]).unwrap();
        assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark(4)));
        std::fs::write(&path, b"").unwrap();
        assert!(FileWitness::new(&path).read().is_err());
    }

    #[test]
    fn sto_006_a_reopened_witness_goes_on_in_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        FileWitness::new(&path).advance(mark(8)).unwrap();
        FileWitness::new(&path).advance(mark(9)).unwrap();
        let torn = {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[4096] ^= 1;
            bytes
        };
        std::fs::write(&path, torn).unwrap();
        assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark(8)));
    }

    #[test]
    fn aud_012_a_witness_from_before_the_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        let mut slot = [&OLD_MAGIC[..], &STORE, &8_u64.to_be_bytes()].concat();
        slot.extend_from_slice(&Sha256::digest(&slot));
        std::fs::write(&path, slot).unwrap();
        let old = Mark { store: STORE, seq: 8, audit: AuditMark::default() };
        assert_eq!(FileWitness::new(&path).read().unwrap(), Some(old));
        FileWitness::new(&path).advance(mark(9)).unwrap();
        assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark(9)));
    }
}
