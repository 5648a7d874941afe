//! The page's files, and its few requests to the phone.

use std::{convert::Infallible, sync::mpsc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{StatusCode, header},
    middleware::from_fn_with_state,
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::{
    guard::{Hosts, guard},
    holder::{Act, Message},
    view::Screen,
};

const BODY_BYTES_MAX: usize = 4096;

/// What the routes reach: the holder's thread and what is on the screen.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) holder: mpsc::Sender<Message>,
    pub(super) screen: watch::Receiver<Screen>,
}

pub(super) fn router(pages: Pages, port: u16) -> Router {
    let mut router = Router::new()
        .route("/", get(async || Redirect::temporary("/wallet/")))
        .route("/wallet", get(async || Redirect::temporary("/wallet/")))
        .route(
            "/wallet/",
            get(async || file("text/html; charset=utf-8", include_bytes!("../../../web/wallet/index.html"))),
        )
        .route("/wallet/state", get(state))
        .route(
            "/wallet/qr.svg",
            get(async |State(pages): State<Pages>| svg(pages.screen.borrow().qr.clone())),
        )
        .route(
            "/wallet/bar.svg",
            get(async |State(pages): State<Pages>| svg(pages.screen.borrow().bar.clone())),
        )
        .route("/wallet/events", get(events))
        .route("/wallet/history", get(async |State(pages): State<Pages>| act(&pages, Act::History).await))
        .route("/wallet/show", post(show))
        .route(
            "/wallet/hide",
            post(async |State(pages): State<Pages>, Json(Nothing {})| act(&pages, Act::Hide).await),
        )
        .route("/wallet/request", post(request))
        .route("/wallet/checks/{id}", post(answer))
        .route("/wallet/link", post(link))
        .route("/wallet/requests/{id}/code", post(choose))
        .route("/wallet/requests/{id}/sign", post(sign))
        .route("/wallet/requests/{id}/decline", post(decline));
    for (path, media_type, bytes) in FILES {
        router = router.route(path, get(async move || file(media_type, bytes)));
    }
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Hosts::new(port), guard))
        .with_state(pages)
}

macro_rules! files {
    ($($path:literal $media_type:literal,)*) => {
        &[$(($path, $media_type, include_bytes!(concat!("../../../web", $path)))),*]
    };
}

/// A file's address is its path below `signer-server/web`; the shop's page lends two.
const FILES: &[(&str, &str, &[u8])] = files![
    "/wallet/api.js" "text/javascript",
    "/wallet/app.js" "text/javascript",
    "/wallet/ask.js" "text/javascript",
    "/wallet/choose.js" "text/javascript",
    "/wallet/code.js" "text/javascript",
    "/wallet/documents.js" "text/javascript",
    "/wallet/history.js" "text/javascript",
    "/wallet/i18n.js" "text/javascript",
    "/wallet/icon.svg" "image/svg+xml",
    "/wallet/requests.js" "text/javascript",
    "/wallet/style.css" "text/css",
    "/wallet/texts.js" "text/javascript",
    "/wallet/waves.svg" "image/svg+xml",
    "/verify/colours.css" "text/css",
    "/verify/dom.js" "text/javascript",
    "/verify/language.js" "text/javascript",
];

fn file(media_type: &'static str, bytes: &'static [u8]) -> Response {
    ([(header::CONTENT_TYPE, media_type)], bytes).into_response()
}

fn svg(text: String) -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], text).into_response()
}

/// A problem as in RFC 9457, with the code that the page has words for.
pub(super) fn problem(status: StatusCode, code: &'static str) -> impl IntoResponse {
    let body = json!({ "title": code, "status": status.as_u16(), "code": code });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string())
}

async fn state(State(pages): State<Pages>) -> Response {
    let screen = pages.screen.borrow().clone();
    match serde_json::to_value(&screen.state) {
        Ok(Value::Object(mut state)) if screen.clock.is_some() => {
            state.insert("now".into(), screen.now().into());
            Json(state).into_response()
        }
        _ => problem(StatusCode::SERVICE_UNAVAILABLE, "starting").into_response(),
    }
}

/// Says that something changed, never what.
async fn events(State(pages): State<Pages>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut screen = pages.screen;
    screen.mark_unchanged();
    let changes = stream::unfold(screen, async |mut screen| {
        screen.changed().await.ok()?;
        screen.mark_unchanged();
        Some((Ok(Event::default().event("changed").data("")), screen))
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What the holder chose to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowBody {
    pub(super) document_type: String,
    pub(super) profile: String,
    pub(super) to_whoever_scans: bool,
    #[serde(default)]
    pub(super) request: Option<String>,
}

async fn show(State(pages): State<Pages>, Json(body): Json<ShowBody>) -> Response {
    act(&pages, Act::Show(body)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    request: String,
}

async fn request(State(pages): State<Pages>, Json(body): Json<RequestBody>) -> Response {
    act(&pages, Act::Read(body.request)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    allow: bool,
}

async fn answer(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Json(body): Json<AnswerBody>,
) -> Response {
    act(&pages, Act::Answer { id, allow: body.allow }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    link: String,
}

async fn link(State(pages): State<Pages>, Json(body): Json<LinkBody>) -> Response {
    act(&pages, Act::Link(body.link)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    code: String,
}

async fn choose(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Json(CodeBody { code }): Json<CodeBody>,
) -> Response {
    act(&pages, Act::Choose { id, code }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PinBody {
    pin: String,
}

async fn sign(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Json(PinBody { pin }): Json<PinBody>,
) -> Response {
    act(&pages, Act::Sign { id, pin }).await
}

async fn decline(
    State(pages): State<Pages>,
    Path(id): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Response {
    act(&pages, Act::Decline(id)).await
}

/// Lets the holder's thread do it.
async fn act(pages: &Pages, act: Act) -> Response {
    let (reply, done) = oneshot::channel();
    let sent = pages.holder.send(Message::Act(act, reply));
    match (sent, done.await) {
        (Ok(()), Ok(Ok(Value::Null))) => StatusCode::NO_CONTENT.into_response(),
        (Ok(()), Ok(Ok(body))) => Json(body).into_response(),
        (Ok(()), Ok(Err(code))) => problem(StatusCode::CONFLICT, code).into_response(),
        _ => problem(StatusCode::SERVICE_UNAVAILABLE, "failed").into_response(),
    }
}
