//! Constant-time smoke test: the secret paths of `es256` with every secret marked as undefined memory, under valgrind.
//!
//! Memcheck reports each branch and each address that depends on undefined memory, which is what leaks by time. What is
//! checked and which reports are expected: `spec/constant-time.md`. Run by `.ci/constant-time`.
//!
//! With `branch` or `index` as argument it leaks a byte of a share on purpose: that run must fail.

mod cases;
mod generator;
mod mark;

fn main() {
    assert!(mark::is_watched(), "run under valgrind: see .ci/constant-time");
    match std::env::args().nth(1).as_deref() {
        None => cases::all(),
        Some("branch") => cases::leaking_branch(),
        Some("index") => cases::leaking_index(),
        Some(other) => panic!("unknown argument {other}"),
    }
}
