//! Key-encryption keys: where the key comes from that wraps everything else.

mod file;

pub use self::file::KekError;
pub(crate) use self::file::{load_or_create, write_private};
