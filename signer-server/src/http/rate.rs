//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10) on the answers to relying parties.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::Request,
    http::{Extensions, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use super::problem::ApiProblem;
use crate::{
    service::{Service, Standing},
    store::RelyingPartyRow,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Where the extractor of a caller leaves how that caller stands.
#[derive(Debug, Clone, Default)]
struct Slot(Arc<OnceLock<Standing>>);

/// Counts a call. An extractor of a relying party does, once it knows whose call it is.
pub(super) fn count(
    extensions: &Extensions,
    service: &Service,
    party: &RelyingPartyRow,
) -> Result<(), ApiProblem> {
    let standing = service.count_call(party);
    if let Some(Slot(slot)) = extensions.get() {
        slot.get_or_init(|| standing);
    }
    Ok(standing.check()?)
}

/// Tells a caller that was counted how it stands.
pub(super) async fn tell(mut request: Request, next: Next) -> Response {
    let Slot(slot) = Slot::default();
    request.extensions_mut().insert(Slot(Arc::clone(&slot)));
    let mut response = next.run(request).await;
    if let Some(Standing { rate, remaining, reset, .. }) = slot.get() {
        let (quota, window) = (rate.quota, rate.window);
        let fields = [
            (RATE_LIMIT, format!("\"calls\";r={remaining};t={reset}")),
            (RATE_LIMIT_POLICY, format!("\"calls\";q={quota};w={window}")),
        ];
        for (name, value) in fields {
            response.headers_mut().extend(HeaderValue::try_from(value).map(|value| (name, value)));
        }
    }
    response
}
