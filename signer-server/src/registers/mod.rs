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
}
