//! The figures of this node, for the operator's page.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::auth::Admin;
use crate::{
    metrics::{Figures, Metrics},
    service::Service,
};

pub(super) fn admin_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(figures))
}

/// The figures of the node that answers.
///
/// Counts are since its start. Behind a balancer each call may find another node: `node` says which.
#[utoipa::path(
    get, path = "/figures", tag = "Operator", security(("admin" = [])),
    responses((status = 200, body = Figures))
)]
async fn figures(
    State(service): State<Arc<Service>>,
    Extension(metrics): Extension<Arc<Metrics>>,
    _: Admin,
) -> Json<Figures> {
    Json(metrics.figures(&service).await)
}
