//! What the whole-application tests share: a clock that is set by hand, a phone whose network fails on demand, HTTP without
//! a client library in the way.

pub(crate) mod clock;
#[cfg(unix)]
pub(crate) mod cluster;
pub(crate) mod http;
pub(crate) mod phone;
pub(crate) mod postgres;
pub(crate) mod process;
#[cfg(unix)]
pub(crate) mod token;
