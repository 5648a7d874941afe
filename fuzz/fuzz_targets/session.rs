//! A script of what a hostile phone does, which knows its PIN, shares and keys; see `signer_fuzz::session`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| signer_fuzz::session::run(data));
