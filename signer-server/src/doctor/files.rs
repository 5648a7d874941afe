//! Folders and files: who can read them, on which disk they lie, and whether that disk does what it says.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::Finding;
use crate::{
    app::{ADMIN_TOKEN_FILE, TRUST_ROOT_FILE},
    config::Config,
};

/// Least free space, bytes: some weeks of a large town.
const FREE_MIN: u64 = 5 << 30;
/// How often the disk is asked.
const SYNCS: usize = 32;
/// Faster than this no disk or protected cache answers; slower than that each group of signatures waits noticeably.
const SYNC_RANGE: std::ops::Range<Duration> = Duration::from_micros(15)..Duration::from_millis(20);

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let data = &config.data_dir;
    let mut findings = vec![folder(data)];
    if !data.is_dir() {
        return findings;
    }
    for name in [ADMIN_TOKEN_FILE, TRUST_ROOT_FILE] {
        findings.extend(private(&data.join(name)));
    }
    let keks = kek_files(data);
    findings.extend(keks.iter().filter_map(|path| private(path)));
    findings.extend(
        [
            &config.tls.key_file,
            &config.register.token_file,
            &config.store.password_file,
            &config.hsm.pin_file,
        ]
        .into_iter()
        .flatten()
        .filter_map(|path| private(path)),
    );
    if !keks.is_empty() {
        let found = "the key-encryption key is a file: with the store it gives away every server share";
        findings.push(Finding::warning(
            "kek",
            found,
            "keep the key in a token (hsm in the configuration, then kek rotate and kek retire), or backups of store and file apart and \
             the disk encrypted",
        ));
    }
    findings.extend([witness(config), space(data), disk(data)]);
    findings
}

/// The files of key-encryption keys, of every generation.
fn kek_files(folder: &Path) -> Vec<PathBuf> {
    let is_kek = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == "kek" || name.starts_with("kek-") || name.starts_with("kek.")
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_kek).collect()
}

fn folder(path: &Path) -> Finding {
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let found = format!("{} is open to others of this machine", path.display());
            Finding::bad("folder", found, format!("chmod 700 {}", path.display()))
        }
        Ok(_) => Finding::good("folder", format!("{} is its owner's alone", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::warning(
            "folder",
            format!("{} does not exist yet", path.display()),
            "start the server once, as its own user: it makes what is missing",
        ),
        Err(error) => Finding::bad(
            "folder",
            format!("{}: {error}", path.display()),
            "run this as the user of the server",
        ),
    }
}

/// A secret in a file. Nothing is said of one that does not exist or is as it should be.
fn private(path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let found = format!("{} can be read by others of this machine", path.display());
        Finding::bad("secrets", found, format!("chmod 600 {}, and replace what is in it", path.display()))
    })
}

/// Whether a backup of the store, put back, would be noticed.
fn witness(config: &Config) -> Finding {
    let witness = config.witness_dir();
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    match (device(&config.data_dir), device(&witness)) {
        (Ok(store), Ok(own)) if store != own => Finding::good("witness", "on another disk than the store"),
        (_, Err(error)) if config.witness_dir.is_some() => Finding::bad(
            "witness",
            format!("{}: {error}", witness.display()),
            "make the folder, or start the server once",
        ),
        _ => Finding::warning(
            "witness",
            format!(
                "{} is on the store's disk: the disk put back to yesterday would not be noticed",
                witness.display()
            ),
            "set witness_dir to another disk, which is not restored together with the store",
        ),
    }
}

fn space(folder: &Path) -> Finding {
    match fs4::available_space(folder) {
        Ok(free) if free < FREE_MIN => Finding::bad(
            "space",
            format!("{} MiB free", free >> 20),
            "a full disk stops every signature: make room, or move data_dir",
        ),
        Ok(free) => Finding::good("space", format!("{} GiB free", free >> 30)),
        Err(error) => Finding::bad("space", error.to_string(), "run this as the user of the server"),
    }
}

/// Writes and syncs as the store does, and tells the median.
fn disk(folder: &Path) -> Finding {
    match sync_time(folder) {
        Ok(time) if time < SYNC_RANGE.start => Finding::warning(
            "disk",
            format!("a write is said to be durable after {} µs: that is memory", time.as_micros()),
            "no tmpfs, no unsafe write-back cache under data_dir: a power cut would lose answered signatures",
        ),
        Ok(time) if time > SYNC_RANGE.end => Finding::warning(
            "disk",
            format!("a durable write takes {} ms", time.as_millis()),
            "signatures wait for it: a disk with a protected write cache, or group_window_ms of that size",
        ),
        Ok(time) => Finding::good("disk", format!("a durable write takes {} µs", time.as_micros())),
        Err(error) => Finding::bad(
            "disk",
            format!("{}: {error}", folder.display()),
            "the server must be able to write there",
        ),
    }
}

fn sync_time(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!("doctor-{}", std::process::id()));
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    let measured = (0..SYNCS)
        .map(|_| {
            let start = Instant::now();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4096], 0)?;
            file.sync_data().map(|()| start.elapsed())
        })
        .collect::<io::Result<Vec<_>>>();
    fs::remove_file(&path)?;
    let mut times = measured?;
    times.sort_unstable();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}
