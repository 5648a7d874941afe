//! Document registers: where claims come from when a credential is issued. The server forgets them right after.

mod breaker;
mod file;
mod http;

use async_trait::async_trait;
use signer_core::credential::DocumentRecord;

pub use self::{
    file::FileRegister,
    http::{HttpRegister, HttpSettings},
};
use crate::store::Holder;

/// Why a register gave no document.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// It cannot be reached or answers nonsense. The text names no person and no claim.
    #[error("register not reached: {0}")]
    NotReached(String),
}

/// A register of documents.
#[async_trait]
pub trait Register: Send + Sync {
    /// The holder's document of this type, if there is one.
    async fn document(
        &self,
        holder: &Holder,
        document_type: u32,
    ) -> Result<Option<DocumentRecord>, RegisterError>;

    /// The portrait in the holder's document of this type, if there is one.
    async fn portrait(
        &self,
        _holder: &Holder,
        _document_type: u32,
    ) -> Result<Option<Portrait>, RegisterError> {
        Ok(None)
    }
}

/// A picture of a holder's face, PNG or JPEG.
#[derive(Clone, PartialEq, Eq)]
pub struct Portrait(Vec<u8>);

impl Portrait {
    /// Most bytes of one.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// The picture, or `None` if it is too long or begins like neither.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let known = [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff"].iter().any(|head| bytes.starts_with(head));
        (known && bytes.len() <= Self::BYTES_MAX).then_some(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Portrait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Portrait({} bytes)", self.0.len())
    }
}
