//! Golden files.

use std::{fs, path::PathBuf};

/// Compares with a file under `signer-core`, or writes it if `UPDATE` is set.
pub(crate) fn golden(path: &str, content: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    for (old, new) in before.lines().zip(content.lines()) {
        assert_eq!(old, new, "{}: a change of the protocol; UPDATE=1 if it is meant", path.display());
    }
    assert!(before == content, "{}: lines added or removed", path.display());
}
