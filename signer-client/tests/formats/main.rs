//! Signature containers, made with an ordinary key and read by other implementations: the openssl command line, another CBOR
//! reader, and a few lines by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod all;
mod ask;
mod cli;
mod cms;
mod cose;
mod jws;
mod pdf;
mod raw;
mod support;
mod trust;
