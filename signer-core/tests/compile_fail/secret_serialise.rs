//! A secret does not end up in JSON.
use signer_core::secret::SecretBytes;

fn serialise<T: serde::Serialize>(_: &T) {}

fn main() {
    serialise(&SecretBytes::new([0; 32]));
}
