//! A secret is not copied in passing; `duplicate` is the only way.
use signer_core::secret::SecretBytes;

fn copy(secret: &SecretBytes<32>) -> SecretBytes<32> {
    Clone::clone(secret)
}

fn main() {}
