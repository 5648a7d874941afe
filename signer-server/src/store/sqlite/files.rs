//! Files and directories that only their owner may read, and the lock that keeps a second process out.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::OpenError;

/// How long a process that is just ending is waited for: a killed one, or a child that was forked and holds copies of its
/// parent's files until it becomes another program.
const LOCK_TIME: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Creates a new file of mode 0600, with its directory (0700) if that is missing.
pub(in crate::store) fn create_private(path: &Path) -> io::Result<File> {
    if let Some(parent) = parent(path) {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(parent)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the entry of `path` in its directory durable.
pub(in crate::store) fn sync_parent(path: &Path) -> io::Result<()> {
    match parent(path) {
        Some(parent) if cfg!(unix) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// Takes the lock file beside `database`, for as long as the returned file is open.
pub(super) fn lock(database: &Path) -> Result<File, OpenError> {
    let path = beside(database, ".lock");
    let file = match create_private(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().read(true).write(true).open(&path)?
        }
        other => other?,
    };
    let end = Instant::now() + LOCK_TIME;
    loop {
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(fs4::TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(LOCK_PAUSE),
            Err(fs4::TryLockError::WouldBlock) => return Err(OpenError::Locked(path)),
            Err(fs4::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}
