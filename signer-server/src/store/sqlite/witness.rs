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
use signer_core::{
    audit::{AUDIT_ENTRY_BYTES_MAX, tree::TreeHash},
    time::UnixSeconds,
};

use super::files;
use crate::store::AuditMark;

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which store.
    pub store: [u8; 16],
    /// Its transactions so far.
    pub seq: u64,
    /// Its epoch, which each restore raises. A backup from before one does not know of it.
    pub epoch: u32,
    /// What its audit log ends with.
    pub audit: AuditMark,
    /// The latest time of its server: what was said then or before is of before a restore.
    pub latest: UnixSeconds,
}

/// A memory outside the database.
pub trait Witness: Send {
    /// The latest mark; `None` if there never was one.
    ///
    /// # Errors
    /// If it cannot be read or is damaged: the store then does not start.
    fn read(&self) -> io::Result<Option<Mark>>;

    /// Keeps entries of the audit log, each with its place, until others take their room. They are durable with the next mark.
    ///
    /// # Errors
    /// If they cannot be written: the store then stops.
    fn keep(&mut self, _entries: &[(u64, Vec<u8>)]) -> io::Result<()> {
        Ok(())
    }

    /// Makes `mark` the latest, durably, before it returns.
    ///
    /// # Errors
    /// If that is not certain: the store then stops.
    fn advance(&mut self, mark: Mark) -> io::Result<()>;
}

/// Where the two slots begin: far enough apart not to share a disk sector or page.
const SLOTS: [u64; 2] = [0, 4096];
const SLOT_BYTES: usize = 116;
const MAGIC: &[u8; 8] = b"SGNWIT04";
/// Where kept entries begin, how much room each has, and for how many there is room.
const ENTRIES: u64 = 8192;
const ENTRY_BYTES: usize = 2 + AUDIT_ENTRY_BYTES_MAX;
const ENTRIES_MAX: u64 = 1 << 16;
/// Before it knew the time.
const THIRD_SLOT_BYTES: usize = 108;
const THIRD_MAGIC: &[u8; 8] = b"SGNWIT03";
/// Before there were restores.
const SECOND_SLOT_BYTES: usize = 104;
const SECOND_MAGIC: &[u8; 8] = b"SGNWIT02";
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

    /// Entries of the audit log that are kept, from a place up to another, as far as they are: what follows one that is gone or
    /// torn is left out. They are what was witnessed only if their chain ends in the mark.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn kept(&self, from: u64, to: u64) -> io::Result<Vec<Vec<u8>>> {
        let (mut found, mut slot) = (Vec::new(), [0; ENTRY_BYTES]);
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            other => other?,
        };
        for index in from.max(to.saturating_sub(ENTRIES_MAX))..to {
            file.seek(SeekFrom::Start(place_of(index)))?;
            let count = read_up_to(&mut file, &mut slot)?;
            let length = usize::from(u16::from_be_bytes([slot[0], slot[1]]));
            match slot.get(2..2 + length).filter(|_| length > 0 && 2 + length <= count) {
                Some(entry) => found.push(entry.to_vec()),
                None => break,
            }
        }
        Ok(found)
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
            Ok(file) => file.take(ENTRIES).read_to_end(&mut bytes)?,
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

    fn keep(&mut self, entries: &[(u64, Vec<u8>)]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = match open_existing(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => Some(other?),
            };
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        for (index, entry) in entries {
            let length = u16::try_from(entry.len()).map_err(io::Error::other)?;
            file.seek(SeekFrom::Start(place_of(*index)))?;
            file.write_all(&[&length.to_be_bytes()[..], entry].concat())?;
        }
        Ok(())
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

fn place_of(index: u64) -> u64 {
    ENTRIES + index % ENTRIES_MAX * ENTRY_BYTES as u64
}

/// Fills `bytes`, or as much as there is.
fn read_up_to(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < bytes.len() {
        match file.read(&mut bytes[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
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
    bytes[72..76].copy_from_slice(&mark.epoch.to_be_bytes());
    bytes[76..84].copy_from_slice(&mark.latest.0.to_be_bytes());
    let sum = Sha256::digest(&bytes[..84]);
    bytes[84..].copy_from_slice(&sum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Mark> {
    let store = *bytes.get(8..)?.first_chunk::<16>()?;
    let seq = u64::from_be_bytes(*bytes.get(24..)?.first_chunk::<8>()?);
    let length = match bytes.first_chunk::<8>()? {
        MAGIC => SLOT_BYTES,
        THIRD_MAGIC => THIRD_SLOT_BYTES,
        SECOND_MAGIC => SECOND_SLOT_BYTES,
        OLD_MAGIC => OLD_SLOT_BYTES,
        _ => return None,
    };
    let (told, sum) = bytes.get(..length)?.split_at_checked(length - 32)?;
    if Sha256::digest(told).as_slice() != sum {
        return None;
    }
    // What an older form does not have is 0.
    let mut fields = [0; SLOT_BYTES - 32];
    fields.get_mut(..told.len())?.copy_from_slice(told);
    let size = u64::from_be_bytes(*fields.get(32..)?.first_chunk::<8>()?);
    let last = TreeHash(*fields.get(40..)?.first_chunk::<32>()?);
    let epoch = u32::from_be_bytes(*fields.get(72..)?.first_chunk::<4>()?);
    let latest = UnixSeconds(u64::from_be_bytes(*fields.get(76..)?.first_chunk()?));
    Some(Mark { store, seq, epoch, audit: AuditMark { size, last }, latest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: [u8; 16] = [7; 16];

    fn mark(seq: u64) -> Mark {
        let audit = AuditMark { size: seq * 3, last: TreeHash([5; 32]) };
        Mark { store: STORE, seq, epoch: 4, audit, latest: UnixSeconds(1_800_000_000 + seq) }
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
    fn res_025_the_last_entries_are_kept_and_what_has_no_room_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut witness = FileWitness::new(dir.path().join("witness"));
        let entry = |index: u64| (index, vec![u8::try_from(index % 250).unwrap() + 1; 200]);
        witness.keep(&[entry(0)]).unwrap();
        assert!(witness.kept(0, 1).unwrap().is_empty(), "there is no witness yet");
        witness.advance(mark(1)).unwrap();
        witness.keep(&[entry(0), entry(1), entry(2)]).unwrap();
        witness.advance(mark(2)).unwrap();
        let bytes = |indexes: std::ops::Range<u64>| indexes.map(|index| entry(index).1).collect::<Vec<_>>();
        assert_eq!(witness.kept(1, 3).unwrap(), bytes(1..3));
        assert_eq!(witness.kept(1, 9).unwrap(), bytes(1..3));
        let later = ENTRIES_MAX + 1;
        witness.keep(&[entry(later)]).unwrap();
        assert_eq!(witness.kept(later, later + 1).unwrap(), bytes(later..later + 1));
        assert_eq!(witness.kept(0, 2).unwrap(), [entry(0).1, entry(later).1], "a chain does not lead there");
        assert_eq!(FileWitness::new(dir.path().join("witness")).read().unwrap(), Some(mark(2)));
    }

    #[test]
    fn aud_012_a_witness_of_an_older_form_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness");
        let audit = AuditMark { size: 24, last: TreeHash([5; 32]) };
        let first =
            Mark { store: STORE, seq: 8, epoch: 0, audit: AuditMark::default(), latest: UnixSeconds(0) };
        for (magic, bytes, mark) in [
            (OLD_MAGIC, 32, first),
            (SECOND_MAGIC, 72, Mark { audit, ..first }),
            (THIRD_MAGIC, 76, Mark { audit, epoch: 4, ..first }),
        ] {
            let mut slot = encode(mark)[..bytes].to_vec();
            slot[..8].copy_from_slice(magic);
            slot.extend_from_slice(&Sha256::digest(&slot));
            std::fs::write(&path, slot).unwrap();
            assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark));
        }
        FileWitness::new(&path).advance(mark(9)).unwrap();
        assert_eq!(FileWitness::new(&path).read().unwrap(), Some(mark(9)));
    }
}
