//! The operator's API. Needs the admin token, which lies in the data folder.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use signer_core::{
    ids::{DeviceId, RelyingPartyId},
    wire::{
        CreateEnrolmentCode, CreateRelyingParty, CreatedEnrolmentCode, CreatedRelyingParty, RelyingPartyView,
    },
};

use super::{
    auth::{Admin, PathId, StrictJson},
    problem::ApiProblem,
};
use crate::service::Service;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/enrolment-codes", post(create_enrolment_code))
        .route("/relying-parties", get(relying_parties).post(create_relying_party))
        .route("/relying-parties/{id}", delete(revoke_relying_party))
        .route("/devices/{id}/revoke", post(revoke_device))
}

async fn create_enrolment_code(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateEnrolmentCode>,
) -> Result<(StatusCode, Json<CreatedEnrolmentCode>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_enrolment_code(asked).await?)))
}

async fn create_relying_party(
    State(service): State<Arc<Service>>,
    _: Admin,
    StrictJson(asked, _turn): StrictJson<CreateRelyingParty>,
) -> Result<(StatusCode, Json<CreatedRelyingParty>), ApiProblem> {
    Ok((StatusCode::CREATED, Json(service.create_relying_party(asked).await?)))
}

async fn relying_parties(
    State(service): State<Arc<Service>>,
    _: Admin,
) -> Result<Json<Vec<RelyingPartyView>>, ApiProblem> {
    Ok(Json(service.relying_parties().await?))
}

async fn revoke_relying_party(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<RelyingPartyId>,
) -> Result<StatusCode, ApiProblem> {
    service.revoke_relying_party(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn revoke_device(
    State(service): State<Arc<Service>>,
    _: Admin,
    PathId(id): PathId<DeviceId>,
) -> Result<StatusCode, ApiProblem> {
    service.revoke_device(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
