//! A signing key in a file that only its owner can read: the offline root, the key of a business.

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::{ecdsa::SigningKey, elliptic_curve::Generate as _};
use serde::{Deserialize, Serialize};
use signer_client::{
    ClientError,
    desk::{FileStorage, system_rng},
    ports::Storage as _,
};
use zeroize::Zeroizing;

use crate::output::Failure;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    warning: String,
    key: String,
}

/// Makes a key in a new file. One that is there is never written over.
pub(crate) fn make(path: &Path, warning: &str) -> Result<SigningKey, Failure> {
    if path.exists() {
        return Err(Failure::usage(format!("{} is there already", path.display()), "Name another file."));
    }
    let key = SigningKey::generate_from_rng(&mut *system_rng());
    let text = Zeroizing::new(BASE64_STANDARD.encode(Zeroizing::new(key.to_bytes())));
    let file = KeyFile { warning: warning.into(), key: text.to_string() };
    let json = Zeroizing::new(serde_json::to_vec_pretty(&file).unwrap_or_default());
    FileStorage::new(path).store(&json).map_err(ClientError::from)?;
    Ok(key)
}

/// Reads a key, if nobody else can.
pub(crate) fn read(path: &Path) -> Result<SigningKey, Failure> {
    let unusable = |why: String| {
        Failure::usage(
            format!("{}: {why}", path.display()),
            "Name a key file of mode 0600 that signer has made.",
        )
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map_err(|error| unusable(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(unusable("others may read it".into()));
        }
    }
    let json = fs::read(path).map(Zeroizing::new).map_err(|error| unusable(error.to_string()))?;
    let parse = || {
        let file: KeyFile = serde_json::from_slice(&json).ok()?;
        let text = Zeroizing::new(file.key);
        let bytes = BASE64_STANDARD.decode(text.as_bytes()).map(Zeroizing::new).ok()?;
        SigningKey::from_slice(&bytes).ok()
    };
    parse().ok_or_else(|| unusable("no key".into()))
}
