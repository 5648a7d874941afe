//! A small file of fixed size with two slots, written in turn: a write that is cut short leaves the one before it readable.
//! Why so: `spec/decisions/witness-two-slots.md`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Where the two slots begin: far enough apart not to share a disk sector or page.
const SLOTS: [u64; 2] = [0, 4096];
/// Bytes beside the content: the file's mark, the number of the write, the checksum.
const FRAME: usize = 8 + 8 + 32;

/// The file.
#[derive(Debug)]
pub(super) struct Slots {
    path: PathBuf,
    magic: &'static [u8; 8],
    file: Option<File>,
    written: u64,
}

impl Slots {
    /// The file at `path`, which begins with `magic` and need not exist yet, and its newest content.
    pub(super) fn open(path: &Path, magic: &'static [u8; 8]) -> io::Result<(Self, Option<Vec<u8>>)> {
        let mut slots = Self { path: path.to_owned(), magic, file: None, written: 0 };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((slots, None)),
            Err(error) => return Err(error),
        };
        let slot = |at: u64| slots.decode(bytes.get(usize::try_from(at).ok()?..)?);
        let newest = SLOTS.into_iter().filter_map(slot).max_by_key(|(number, _)| *number);
        let (number, content) =
            newest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "both slots are damaged"))?;
        slots.written = number;
        slots.file = Some(OpenOptions::new().write(true).open(path)?);
        Ok((slots, Some(content)))
    }

    /// Makes `content` the newest, durably, before it returns. It has the same length each time.
    pub(super) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.written = self.written.saturating_add(1);
        let slot = self.encode(content);
        let at = SLOTS[usize::from(self.written % 2 == 1)];
        let Some(file) = &mut self.file else { return self.create(&slot, at) };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&slot)?;
        file.sync_data()
    }

    fn create(&mut self, slot: &[u8], at: u64) -> io::Result<()> {
        let draft = self.path.with_extension("new");
        let _none_left = fs::remove_file(&draft);
        let mut file = super::sqlite::create_private(&draft)?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(slot)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        super::sqlite::sync_parent(&self.path)?;
        self.file = Some(file);
        Ok(())
    }

    /// Mark, number, checksum of all, content.
    fn encode(&self, content: &[u8]) -> Vec<u8> {
        let mut slot = Vec::with_capacity(FRAME + 4 + content.len());
        slot.extend_from_slice(self.magic);
        slot.extend_from_slice(&self.written.to_be_bytes());
        slot.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
        slot.extend_from_slice(content);
        let sum = Sha256::digest(&slot);
        slot.extend_from_slice(&sum);
        slot
    }

    fn decode(&self, slot: &[u8]) -> Option<(u64, Vec<u8>)> {
        let number = u64::from_be_bytes(*slot.strip_prefix(self.magic)?.first_chunk()?);
        let length = u32::from_be_bytes(*slot.get(16..)?.first_chunk()?);
        let end = usize::try_from(length).ok()?.checked_add(20)?;
        let (told, sum) = slot.get(..end.checked_add(32)?)?.split_at_checked(end)?;
        (Sha256::digest(told).as_slice() == sum)
            .then(|| (number, told.get(20..).unwrap_or_default().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn res_022_a_torn_slot_falls_back_to_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own/witness");
        let read = || Slots::open(&path, b"TESTTEST").unwrap().1;
        assert_eq!(read(), None);
        for n in 0..6_u8 {
            let mut slots = Slots::open(&path, b"TESTTEST").unwrap().0;
            slots.write(&[n; 40]).unwrap();
            assert_eq!(read(), Some(vec![n; 40]));
        }
        let whole = fs::read(&path).unwrap();
        // Six writes: the newest is in the first slot.
        for at in 0..20 + 40 + 32 {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            fs::write(&path, &torn).unwrap();
            assert_eq!(read(), Some(vec![4; 40]), "byte {at}");
            torn[4096 + at] ^= 1;
            fs::write(&path, &torn).unwrap();
            assert!(Slots::open(&path, b"TESTTEST").is_err());
        }
        fs::write(&path, &whole).unwrap();
        assert!(Slots::open(&path, b"ANOTHER_").is_err());
    }
}
