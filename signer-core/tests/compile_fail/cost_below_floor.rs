//! A cost below the floor cannot be written down.
use signer_core::pin::PinCost;

fn main() {
    let _ = PinCost { memory_kib: 8, passes: 1 };
}
