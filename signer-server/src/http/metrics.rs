//! Metrics, on a listener of their own: `GET /metrics` and nothing else.

use std::sync::Arc;

use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};

use crate::{
    metrics::{Metrics, OPEN_METRICS},
    service::Service,
};

type Measured = (Arc<Metrics>, Arc<Service>);

/// All that the listener of metrics serves.
pub(crate) fn router(metrics: Arc<Metrics>, service: Arc<Service>) -> Router {
    Router::new().route("/metrics", get(text)).with_state((metrics, service))
}

async fn text(State((metrics, service)): State<Measured>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.text(&service).await)
}
