//! The audit log over HTTP: JSON bodies.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

/// Most entries of one page.
pub const AUDIT_PAGE_MAX: u32 = 1000;

/// `GET /v1/requests/{id}/audit`: the entry that says a request was signed, and the proof that it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditProof {
    /// The entry, base64 of its CBOR.
    pub entry: String,
    /// Hashes from the entry to the root, base64, the lowest first (RFC 6962 section 2.1.1).
    #[cfg_attr(feature = "openapi", schema(max_items = 64))]
    pub proof: Vec<String>,
    /// The checkpoint they lead to, a signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
}

/// `GET /v1/audit/consistency`: the proof that the log continues an earlier state of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditConsistency {
    /// Hashes from the earlier root to this one, base64, in the order of RFC 6962 section 2.1.2.
    #[cfg_attr(feature = "openapi", schema(max_items = 65))]
    pub proof: Vec<String>,
    /// The checkpoint they lead to, a signed note.
    pub checkpoint: String,
}

/// `GET /admin/v1/audit/key`: what checkpoints are verified with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditKey {
    /// The verifier key (`vkey`) of signed notes.
    pub key: String,
}

/// `GET /admin/v1/audit/entries`: a part of the log, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// Entries, base64 of their CBOR, at most [`AUDIT_PAGE_MAX`].
    pub entries: Vec<String>,
    /// Entries in the whole log.
    pub size: u64,
}

/// One entry, for people: of `GET /admin/v1/audit/found`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// Its place in the log, from 0.
    pub index: u64,
    /// When, Unix seconds.
    pub at: u64,
    /// What: a stable name.
    pub act: String,
    /// The installation, as the log names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<crate::ids::AuditName>,
    /// The relying party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relying_party: Option<crate::ids::RelyingPartyId>,
    /// The request, or another thing with an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<crate::ids::AuditObject>,
    /// More about it: a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl AuditLine {
    /// An entry, for people.
    #[must_use]
    pub fn of(entry: &crate::audit::AuditEntry) -> Self {
        Self {
            index: entry.index,
            at: entry.at.0,
            act: entry.act.name().into(),
            subject: entry.subject,
            relying_party: entry.relying_party,
            object: entry.object,
            detail: entry.detail.as_ref().map(|detail| detail.as_str().into()),
        }
    }
}
