//! What commands read: files, and the generator.

use std::{fs, path::Path};

use signer_client::desk::system_rng;
use signer_core::ids::RequestId;

use crate::output::{Failure, hex};

pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()), "Name a file that can be read.")
}

pub(crate) fn random_id() -> String {
    hex(RequestId::random(&mut *system_rng()).as_bytes())
}
