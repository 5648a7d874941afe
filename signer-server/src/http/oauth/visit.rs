//! The authorisation endpoint (RFC 6749 §3.1), pushed requests (RFC 9126), and what the page of a visit asks for.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, RawQuery, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use signer_core::ids::VisitId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::form::{Form, once};
use crate::{
    http::{
        auth::{PathId, StrictJson},
        oauth_error::OauthProblem,
        openapi::{PushForm, PushReply},
        relying_party::ViewQuery,
        web,
    },
    service::{Begun, NoVisit, OauthRefusal, Service, WaitMs},
};

/// How long a browser keeps its cookie, seconds: as long as a visit lives.
const COOKIE_SECONDS: u64 = 900;
/// Longest wait of the page, milliseconds.
const WAIT_MS_MAX: u64 = 25_000;

/// What browsers call is not in the API's description: the page does.
pub(super) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(push))
        .route("/oauth2/authorize", get(authorize))
        .route("/oauth2/visits/{id}/start", post(start))
        .route("/oauth2/visits/{id}/cancel", post(cancel))
        .route("/oauth2/visits/{id}/return", get(leave))
}

/// Routes that wait for a person; they have limits of their own.
pub(in crate::http) fn long_poll_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().route("/oauth2/visits/{id}", get(view))
}

/// Leaves the parameters of an authorization request here; a browser brings their name.
#[utoipa::path(
    post, path = "/oauth2/pushed_authorize", operation_id = "push_authorization", tag = "OAuth 2",
    security(("client_basic" = []), ()),
    request_body(content = PushForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = PushReply)),
    extensions(("x-errors" = json!(["401 invalid_client", "400 unauthorized_client", "400 unsupported_response_type", "400 invalid_scope", "400 invalid_authorization_details", "400 request_not_supported", "429 temporarily_unavailable"])))
)]
async fn push(
    State(service): State<Arc<Service>>,
    form: Form,
) -> Result<(StatusCode, Json<Value>), OauthProblem> {
    let _turn = service.admit()?;
    let pushed = service.push(form.client()?, &form.others()).await?;
    let answer = json!({ "request_uri": pushed.request_uri, "expires_in": pushed.expires_in });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Takes a browser to the page, or back to its client with what is wrong. One of which it is not proven whose it is stays.
async fn authorize(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let begun = begin(&service, query.as_deref().unwrap_or_default(), &headers).await;
    let html = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let html = html.into_iter().any(|value| value.contains("text/html"));
    match begun {
        Ok((begun, language)) => {
            let to = format!("/authorize/?visit={}{language}", begun.visit);
            ([(header::SET_COOKIE, cookie(&service, &begun))], see(&to)).into_response()
        }
        Err(NoVisit::Back(to)) => see(&to),
        Err(NoVisit::Here(error)) => {
            let problem = OauthProblem::from(error).into_response();
            if html { web::authorize_page(problem.status()) } else { problem }
        }
    }
}

async fn begin(
    service: &Service,
    query: &str,
    headers: &HeaderMap,
) -> Result<(Begun, &'static str), NoVisit> {
    let _turn = service.admit().map_err(|error| NoVisit::Here(error.into()))?;
    let fields = once(query.as_bytes()).map_err(|refusal| NoVisit::Here(refusal.into()))?;
    let begun = service.begin_visit(&fields, browser(service, headers).as_deref()).await?;
    let language = match fields.get("lang").map(|tag| tag.get(..2)) {
        Some(Some("uk")) => "&lang=uk",
        Some(Some("en")) => "&lang=en",
        _ => "",
    };
    Ok((begun, language))
}

async fn view(
    State(service): State<Arc<Service>>,
    PathId(id): PathId<VisitId>,
    query: Result<Query<ViewQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Value>, OauthProblem> {
    let text = "the query is timeout_ms, in milliseconds";
    let Query(query) = query.map_err(|_| OauthRefusal::request(text))?;
    let wait = WaitMs::new(query.timeout_ms.min(WAIT_MS_MAX))?;
    let browser = browser(&service, &headers);
    let browser = browser.as_deref();
    let _place = service.admit_visit_poll(service.visited(id, browser).await?)?;
    let view = service.visit_view(id, browser, wait).await?;
    Ok(Json(json!({
        "relying_party": view.relying_party,
        "scope": view.scope,
        "text": view.text,
        "documents": view.documents,
        "verification_code": view.verification_code,
        "state": view.state.name(),
        "asks_who": view.asks_who,
        "seconds": view.seconds,
    })))
}

/// Who the person at the browser says to be, where the client did not say it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    person: Option<String>,
}

async fn start(
    State(service): State<Arc<Service>>,
    PathId(id): PathId<VisitId>,
    headers: HeaderMap,
    StrictJson(asked, _turn): StrictJson<Start>,
) -> Result<StatusCode, OauthProblem> {
    let browser = browser(&service, &headers);
    service.start_visit(id, browser.as_deref(), asked.person.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {}

async fn cancel(
    State(service): State<Arc<Service>>,
    PathId(id): PathId<VisitId>,
    headers: HeaderMap,
    StrictJson(Cancel {}, _turn): StrictJson<Cancel>,
) -> Result<StatusCode, OauthProblem> {
    service.cancel_visit(id, browser(&service, &headers).as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Back to the client once the phone has decided; to the page before.
async fn leave(
    State(service): State<Arc<Service>>,
    PathId(id): PathId<VisitId>,
    headers: HeaderMap,
) -> Result<Response, OauthProblem> {
    let _turn = service.admit()?;
    let to = service.leave_visit(id, browser(&service, &headers).as_deref()).await?;
    Ok(see(&to.unwrap_or_else(|| format!("/authorize/?visit={id}"))))
}

/// RFC 9700 §4.12: a redirect after which nothing is sent again.
fn see(to: &str) -> Response {
    match HeaderValue::try_from(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to), NO_REFERRER]).into_response(),
        Err(_) => OauthProblem::from(OauthRefusal::request("the address is malformed")).into_response(),
    }
}

const NO_REFERRER: (header::HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// Over plain HTTP, which is for this machine only, browsers do not take the prefix.
fn cookie_name(service: &Service) -> &'static str {
    if service.oauth_issuer().starts_with("https://") { "__Host-signer-visit" } else { "signer-visit" }
}

fn cookie(service: &Service, begun: &Begun) -> String {
    let name = cookie_name(service);
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    format!("{name}={}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}", begun.browser)
}

/// The browser's cookie.
fn browser(service: &Service, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(service);
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}
