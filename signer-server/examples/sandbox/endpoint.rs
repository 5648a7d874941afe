//! The endpoint that plays the phones: what a person would do with the phone in hand, for a test that has no hands.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{
    people::{Act, Habit},
    setup::Phones,
};

/// `POST /phones/{person}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Play {
    act: Act,
}

pub(crate) fn router(phones: Phones) -> Router {
    Router::new()
        .route("/phones", get(people))
        .route("/phones/{person}", post(play))
        .with_state(Arc::new(phones))
}

async fn people() -> Json<Value> {
    let people = Habit::ALL.map(|habit| json!({ "person": habit.person(), "does": habit.describe() }));
    Json(json!({ "people": people }))
}

async fn play(
    State(phones): State<Arc<Phones>>,
    Path(person): Path<String>,
    body: Result<Json<Play>, JsonRejection>,
) -> Response {
    let refuse = |status: StatusCode, detail: String| {
        (status, Json(json!({ "title": "Not played", "status": status.as_u16(), "detail": detail })))
            .into_response()
    };
    let Json(Play { act }) = match body {
        Ok(body) => body,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let Some(phone) = phones.get(person.as_str()) else {
        return refuse(StatusCode::NOT_FOUND, "no such person: GET /phones".into());
    };
    let (tell, told) = oneshot::channel();
    let sent = phone.send((act, tell)).is_ok();
    match if sent { told.await.ok() } else { None } {
        Some(Ok(requests)) => Json(json!({ "requests": requests })).into_response(),
        Some(Err(error)) => refuse(StatusCode::CONFLICT, error),
        None => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the phone has stopped".into()),
    }
}
