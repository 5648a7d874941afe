//! A share is masked exactly once: what a PIN has unlocked cannot be masked again.
use signer_core::pin::{MaskedKey, PinCost, PinMask, Salt, UnlockedKey};

fn change_pin(unlocked: UnlockedKey, mask: PinMask, salt: Salt) {
    let _ = MaskedKey::new(unlocked, mask, salt, PinCost::FLOOR);
}

fn main() {}
