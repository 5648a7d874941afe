//! Any text under fixed issuer keys: no panic, and what is accepted is, character by character, a code that was signed: no
//! second form of one, no new signature over one. First byte odd: the rest are the bytes behind the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signer_core::credential::{VerifyOptions, verify};
use signer_fuzz::qr::{NOW, base45, issuers, known};

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let text = if kind % 2 == 1 { base45(rest) } else { String::from_utf8_lossy(rest).into_owned() };
    let first = verify(&text, issuers(), &VerifyOptions::at(NOW));
    assert_eq!(first, verify(&text, issuers(), &VerifyOptions::at(NOW)), "not a function of its input");
    assert!(first.is_err() || known().contains(&text), "a code nobody signed, or a second form of one");
});
