//! Document registers: where claims come from when a credential is issued. The server forgets them right after.

mod breaker;
mod file;
mod http;
mod vehicle;

use async_trait::async_trait;
use signer_core::credential::{DocumentRecord, Vehicle};

pub use self::{
    file::FileRegister,
    http::{HttpRegister, HttpSettings},
    vehicle::VehicleRecord,
};
use crate::{
    metrics::RegisterMetrics,
    store::{Holder, OrganisationDocument},
};

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

    /// The organisation's vehicle with this reference, if it has one. A register of persons alone has none.
    async fn vehicle(&self, document: &OrganisationDocument) -> Result<Option<Vehicle>, RegisterError> {
        let _ = document;
        Ok(None)
    }

    /// What is measured of it, if anything is.
    fn metrics(&self) -> Option<&RegisterMetrics> {
        None
    }

    /// Whether it is left alone at this moment, for it failed again and again.
    fn left_alone(&self) -> bool {
        false
    }
}
