//! Tells valgrind what is secret. Memcheck then reports every branch and every address that depends on it.

use std::ffi::{c_int, c_void};

unsafe extern "C" {
    fn signer_mark_undefined(start: *mut c_void, bytes: usize);
    fn signer_mark_defined(start: *mut c_void, bytes: usize);
    fn signer_under_valgrind() -> c_int;
}

/// From here on these bytes, and everything computed from them, are secret. Borrowed mutably, so that the compiler forgets
/// what they were.
pub fn secret(bytes: &mut [u8]) {
    // SAFETY: valgrind only notes the range; nothing is written, and the range is borrowed memory.
    unsafe { signer_mark_undefined(bytes.as_mut_ptr().cast(), bytes.len()) };
}

/// From here on these bytes are public, as what is sent is.
pub fn public(bytes: &[u8]) {
    // SAFETY: as above.
    unsafe { signer_mark_defined(bytes.as_ptr().cast_mut().cast(), bytes.len()) };
}

/// Whether anybody is watching.
pub fn is_watched() -> bool {
    // SAFETY: no arguments, no effect.
    unsafe { signer_under_valgrind() != 0 }
}
