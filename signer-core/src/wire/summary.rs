//! JSON bodies of the operator's view of signing requests.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

use super::RequestStatus;
use crate::ids::{RelyingPartyId, RequestId};

/// Most requests of one answer.
pub const SUMMARIES_MAX: u32 = 200;

/// One of `GET /admin/v1/requests?relying_party=&limit=`, newest first: that it was made and how it ended. Who was asked, for
/// what and with which text is between the relying party and the holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestSummary {
    /// The request.
    pub id: RequestId,
    /// Who asked.
    pub relying_party: RelyingPartyId,
    /// Its state.
    pub status: RequestStatus,
    /// Number of documents.
    pub documents: u32,
    /// When it was made, Unix seconds.
    pub created: u64,
    /// When it ends or would have, Unix seconds.
    pub expires: u64,
}
