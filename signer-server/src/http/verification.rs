//! Online verification: a result at once, or a check that waits for the holder.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use signer_core::{
    ids::CheckId,
    wire::{OpenCheck, Verification, VerifyCode},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{PathId, StrictJson, Verifier},
    problem::ApiProblem,
    relying_party::{ViewQuery, query_refusal},
};
use crate::{
    service::{Service, Verifying, WaitMs},
    traces::{self, Part},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(verify))
}

/// Routes that wait for a person; they have limits of their own.
pub(super) fn long_poll_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(view))
}

/// Checks a code and uses it up.
///
/// Answers at once, or with a check that waits for the holder.
#[utoipa::path(
    post, path = "/v1/verifications", tag = "Verification", security(("relying_party" = ["verify"])),
    request_body = VerifyCode,
    responses((status = 200, body = Verification), (status = 202, body = OpenCheck)),
    extensions(("x-problems" = json!(["invalid_value", "too_many", "request_id_used"])))
)]
async fn verify(
    State(service): State<Arc<Service>>,
    Verifier(verifier): Verifier,
    StrictJson(asked, _turn): StrictJson<VerifyCode>,
) -> Result<Response, ApiProblem> {
    let verifying = service.verify_code(&verifier, &asked);
    Ok(told(traces::span(Part::Service, "verify_code", verifying).await?))
}

/// The result of a check that waited for the holder.
#[utoipa::path(
    get, path = "/v1/verifications/{id}", operation_id = "view_verification", tag = "Verification", security(("relying_party" = ["verify"])),
    params(("id" = CheckId, Path, description = "The check."), ViewQuery),
    responses((status = 200, body = Verification), (status = 202, body = OpenCheck)),
    extensions(("x-problems" = json!(["invalid_value", "too_many"])))
)]
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
