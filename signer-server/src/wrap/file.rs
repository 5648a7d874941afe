//! Key-encryption keys in files: for trying out. Whoever reads the files and the store has every server share.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use rand::CryptoRng;
use signer_core::{secret::SecretBytes, wrap::Kek};
use zeroize::Zeroizing;

use super::KekError;

/// Where the key of a generation lies.
pub(super) fn path(folder: &Path, generation: u32) -> PathBuf {
    if generation == 1 { folder.join("kek") } else { folder.join(format!("kek-{generation}")) }
}

/// Reads a key.
///
/// # Errors
/// [`KekError`].
pub(super) fn load(folder: &Path, generation: u32) -> Result<Kek, KekError> {
    let path = path(folder, generation);
    match fs::read(&path).map(Zeroizing::new) {
        Ok(bytes) => SecretBytes::from_slice(&bytes).map(Kek::new).ok_or(KekError::Form(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KekError::Missing(path)),
        Err(source) => Err(KekError::Io { path, source }),
    }
}

/// Makes the file of the first generation, unless it is there: a start that was cut short is taken up. Returns whether it was made.
///
/// # Errors
/// [`KekError::Io`].
pub(super) fn make_first(folder: &Path, rng: &mut dyn CryptoRng) -> Result<bool, KekError> {
    if path(folder, 1).exists() {
        return Ok(false);
    }
    make(folder, 1, rng).map(|()| true)
}

/// Makes the file of a generation. One that is there is never taken up: after a restore it may be a key that was rotated away.
///
/// # Errors
/// [`KekError::Exists`], [`KekError::Io`].
pub(super) fn make(folder: &Path, generation: u32, rng: &mut dyn CryptoRng) -> Result<(), KekError> {
    let (path, retired) = (path(folder, generation), retired(folder, generation));
    if let Some(there) = [&path, &retired].into_iter().find(|path| path.exists()) {
        return Err(KekError::Exists(there.clone()));
    }
    let secret = SecretBytes::<32>::random(rng);
    write_private(&path, secret.expose()).map_err(|source| KekError::Io { path, source })
}

/// Where the key of a retired generation is put away.
fn retired(folder: &Path, generation: u32) -> PathBuf {
    path(folder, generation).with_extension("retired")
}

/// Puts the key of a retired generation away, if it is here: backups from before still need it, this server does not.
///
/// # Errors
/// [`KekError::Exists`] if another key lies there, [`KekError::Io`].
pub(super) fn put_away(folder: &Path, generation: u32) -> Result<(), KekError> {
    let (from, to) = (path(folder, generation), retired(folder, generation));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| KekError::Io { path, source }
    };
    if !from.exists() {
        return Ok(());
    }
    if to.exists() {
        let there = fs::read(&to).map(Zeroizing::new).map_err(io(&to))?;
        if fs::read(&from).map(Zeroizing::new).map_err(io(&from))? != there {
            return Err(KekError::Exists(to));
        }
    }
    fs::rename(&from, &to).and_then(|()| fs::File::open(folder)?.sync_all()).map_err(io(&from))
}

/// Writes down, durably, that a generation in a token was retired: the list must not bring it back.
///
/// # Errors
/// [`KekError::Io`].
pub(super) fn note_retired(folder: &Path, generation: u32) -> Result<(), KekError> {
    let path = retired(folder, generation);
    if path.exists() {
        return Ok(());
    }
    write_private(&path, b"in a token\n").map_err(|source| KekError::Io { path, source })
}

/// Where it is written down that a generation in a token was retired, if it is.
pub(super) fn noted_retired(folder: &Path, generation: u32) -> Option<PathBuf> {
    Some(retired(folder, generation)).filter(|path| path.exists())
}

/// Where it is written which generation this node wraps under.
pub(super) fn mark_path(folder: &Path) -> PathBuf {
    folder.join("kek-current")
}

/// The newest generation this node ever wrapped under; 0 if it never did.
///
/// # Errors
/// [`KekError::Io`] also for a file that holds something else.
pub(super) fn mark(folder: &Path) -> Result<u32, KekError> {
    let path = mark_path(folder);
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "not the number of a generation");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim_end().parse().map_err(|error| KekError::Io { path, source: invalid(error) }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(KekError::Io { path, source }),
    }
}

/// Writes down, durably, that this node wraps under a generation from now on.
///
/// # Errors
/// [`KekError::Io`].
pub(super) fn set_mark(folder: &Path, generation: u32) -> Result<(), KekError> {
    let (path, new) = (mark_path(folder), folder.join("kek-current.new"));
    let replace = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        write_private(&new, format!("{generation}\n").as_bytes())?;
        fs::rename(&new, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    replace().map_err(|source| KekError::Io { path: path.clone(), source })
}

/// Writes a new file only its owner can read, durably: all of it or, after a crash, none.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A name of this process alone; one that is there is of a process that ended.
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let new = Path::new(&new);
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // Unlike renaming, this overwrites nothing.
    let linked = fs::hard_link(new, path);
    fs::remove_file(new)?;
    linked?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_whole_and_takes_no_others_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        // What a process of this number left when it crashed.
        fs::write(folder.path().join(format!("kek.{}", std::process::id())), "cut").unwrap();
        write_private(&path, &[7; 32]).unwrap();
        let again = write_private(&path, &[8; 32]).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), [7; 32]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
