//! First byte: which message. What decodes is the one encoding of what it decodes to; nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signer_fuzz::wire::MESSAGES;

fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else { return };
    let (_, again) = MESSAGES[usize::from(*which) % MESSAGES.len()];
    if let Some(encoded) = again(bytes) {
        assert_eq!(encoded, bytes, "two encodings of one value");
    }
});
