//! Signing requests as the operator sees them: how many, whose and how they ended, nothing of what was in them.

use signer_core::{
    ids::RelyingPartyId,
    wire::{ProblemCode, RequestSummary, SUMMARIES_MAX},
};

use super::{Refusal, Service, ServiceError, ServiceResult, requests::status_of, sign::decode_object};
use crate::store::RequestRow;

impl Service {
    /// The newest requests, of one relying party or of all.
    ///
    /// # Errors
    /// `invalid_value` for a limit that is not 1 to [`SUMMARIES_MAX`].
    pub async fn request_summaries(
        &self,
        relying_party: Option<RelyingPartyId>,
        limit: u32,
    ) -> ServiceResult<Vec<RequestSummary>> {
        if !(1..=SUMMARIES_MAX).contains(&limit) {
            let text = format!("limit is from 1 to {SUMMARIES_MAX}");
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let rows = self.store.newest_requests(relying_party, self.now(), limit).await?;
        rows.iter().map(summary).collect()
    }
}

fn summary(row: &RequestRow) -> ServiceResult<RequestSummary> {
    let object = decode_object(row)?;
    let documents = u32::try_from(object.documents.as_slice().len());
    Ok(RequestSummary {
        id: row.id,
        relying_party: row.relying_party,
        status: status_of(&row.state),
        documents: documents.map_err(|_| ServiceError::Bug("number of documents"))?,
        created: object.created.0,
        expires: row.expires.0,
    })
}
