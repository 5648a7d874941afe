//! A device's nonce has no second copy.
use signer_core::suite::DeviceNonce;

fn copy(nonce: &DeviceNonce) -> DeviceNonce {
    Clone::clone(nonce)
}

fn main() {}
