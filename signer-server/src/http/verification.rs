//! Online verification: a result at once, or a check that waits for the holder.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use signer_core::{ids::CheckId, wire::VerifyCode};

use super::{
    auth::{PathId, StrictJson, Verifier},
    problem::ApiProblem,
    relying_party::{ViewQuery, query_refusal},
};
use crate::service::{Service, Verifying, WaitMs};

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/verifications", post(verify))
}

/// Routes that wait for a person; they have limits of their own.
pub(super) fn long_poll_routes() -> Router<Arc<Service>> {
    Router::new().route("/v1/verifications/{id}", get(view))
}

async fn verify(
    State(service): State<Arc<Service>>,
    Verifier(verifier): Verifier,
    StrictJson(asked, _turn): StrictJson<VerifyCode>,
) -> Result<Response, ApiProblem> {
    Ok(told(service.verify_code(&verifier, &asked).await?))
}

async fn view(
    State(service): State<Arc<Service>>,
    Verifier(verifier): Verifier,
    PathId(id): PathId<CheckId>,
    query: Result<Query<ViewQuery>, QueryRejection>,
) -> Result<Response, ApiProblem> {
    let Query(query) = query.map_err(query_refusal)?;
    let wait = WaitMs::new(query.timeout_ms)?;
    let _place = service.admit_check_poll(&verifier)?;
    Ok(told(service.check_view(&verifier, id, wait).await?))
}

fn told(verifying: Verifying) -> Response {
    match verifying {
        Verifying::Done(verification) => Json(verification).into_response(),
        Verifying::Asked(check) => (StatusCode::ACCEPTED, Json(check)).into_response(),
    }
}
