//! A key-encryption key in a file: for trying out. Whoever reads the file and the store has every server share.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use rand::CryptoRng;
use signer_core::{secret::SecretBytes, wrap::Kek};
use zeroize::Zeroizing;

/// Why there is no key-encryption key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The file cannot be read or written.
    #[error("key-encryption key {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold 32 bytes.
    #[error(
        "key-encryption key {0}: not 32 bytes; restore the right file, the store cannot be read without it"
    )]
    Form(PathBuf),
    /// A store exists and the file does not: a new key would not open it.
    #[error(
        "key-encryption key {0}: missing, but the store exists; restore the file, the store cannot be read without it"
    )]
    Missing(PathBuf),
}

/// Reads the key, or makes it if `store_exists` is false. Returns whether it was made.
///
/// # Errors
/// [`KekError`].
pub(crate) fn load_or_create(
    path: &Path,
    store_exists: bool,
    rng: &mut dyn CryptoRng,
) -> Result<(Kek, bool), KekError> {
    let io = |source| KekError::Io { path: path.to_owned(), source };
    match fs::read(path).map(Zeroizing::new) {
        Ok(bytes) => {
            let secret = SecretBytes::from_slice(&bytes).ok_or_else(|| KekError::Form(path.to_owned()))?;
            Ok((Kek::new(secret), false))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && store_exists => {
            Err(KekError::Missing(path.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = SecretBytes::random(rng);
            write_private(path, secret.expose()).map_err(io)?;
            Ok((Kek::new(secret), true))
        }
        Err(error) => Err(io(error)),
    }
}

/// Writes a new file only its owner can read, durably.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}
