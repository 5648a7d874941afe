//! Key-encryption keys: where the key comes from that wraps everything else.

mod file;

pub(crate) use self::file::{load_or_create, write_private};
pub use self::file::KekError;
