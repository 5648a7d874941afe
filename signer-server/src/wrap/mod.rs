//! Key-encryption keys: where the key comes from that wraps everything else.

mod file;

pub(crate) use self::file::write_private;
pub use self::file::{KekError, load_or_create};
