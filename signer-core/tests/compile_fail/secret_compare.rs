//! Secrets are compared in constant time or not at all.
use signer_core::secret::SecretBytes;

fn same(one: &SecretBytes<32>, other: &SecretBytes<32>) -> bool {
    one == other
}

fn main() {}
