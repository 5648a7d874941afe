//! Unwrapping never panics, and only the true bytes open, to the true secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signer_core::wrap::{Wrapped, unwrap};
use signer_fuzz::wrapped::{HERE, SECRET, kek, truth};

fuzz_target!(|data: &[u8]| {
    let Ok(wrapped) = Wrapped::from_bytes(data.to_vec()) else { return };
    assert_eq!(wrapped.as_bytes(), data);
    if let Ok(secret) = unwrap(kek(), &HERE, &wrapped) {
        assert_eq!(data, truth(), "other bytes opened");
        assert_eq!(secret.as_slice(), SECRET);
    }
});
