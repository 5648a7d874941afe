//! A share is masked exactly once: a fresh key is consumed by masking.
use signer_core::pin::{FreshKey, MaskedKey, PinCost, PinMask, Salt};

fn two_pins(fresh: FreshKey, one: PinMask, other: PinMask, salt: Salt) {
    let _ = MaskedKey::new(fresh, one, salt, PinCost::FLOOR);
    let _ = MaskedKey::new(fresh, other, salt, PinCost::FLOOR);
}

fn main() {}
