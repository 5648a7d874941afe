//! Which refusals an operation can answer, by status and code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use signer_core::{
    ids::DeviceId,
    wire::{PROBLEM_TYPE_PREFIX, Problem, ProblemCode, Retry},
};
use utoipa::PartialSchema as _;

/// Problem codes, or errors of OAuth, by status.
type ByStatus = BTreeMap<u16, BTreeSet<String>>;

/// What an operation is made of, as far as refusals follow from it.
struct Parts {
    /// Needs a token.
    secured: bool,
    /// Needs the token of a relying party, which has rights.
    party: bool,
    body: bool,
    path: bool,
    query: bool,
}

impl Parts {
    fn of(operation: &Value) -> Self {
        let security = operation["security"].as_array();
        let named = |name: &str| security.is_some_and(|all| all.iter().any(|one| one.get(name).is_some()));
        let parameter = |place: &str| {
            operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["in"] == place))
        };
        let party = named("relying_party") || named("oauth2");
        Self {
            secured: party || named("admin"),
            party,
            body: !operation["requestBody"].is_null(),
            path: parameter("path"),
            query: parameter("query"),
        }
    }
}

/// Adds the refusals to an operation, and to `responses` those that were not there yet.
pub(super) fn complete(path: &str, operation: &mut Value, responses: &mut Map<String, Value>) {
    let parts = Parts::of(operation);
    let take = |operation: &mut Value, name: &str| -> Vec<String> {
        let taken = operation.as_object_mut().and_then(|operation| operation.remove(name));
        let taken = taken.and_then(|names| serde_json::from_value(names).ok());
        taken.unwrap_or_default()
    };
    // A parameter is there or not; it is never null.
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if let Some([Value::String(kind), _]) = parameter["schema"]["type"].as_array().map(Vec::as_slice) {
            parameter["schema"]["type"] = kind.clone().into();
        }
    }
    let own = take(operation, "x-problems");
    let errors = take(operation, "x-errors");
    let oauth = path.starts_with("/oauth2/") || path.starts_with("/csc/");
    let mut refused = Map::new();
    if oauth {
        for (status, errors) in oauth_errors(&parts, &errors) {
            let name = name(&format!("oauth-{status}"), &errors);
            responses.entry(name.clone()).or_insert_with(|| oauth_response(status, &errors));
            refused.insert(status.to_string(), reference(&name));
        }
        // The path before the version is looked at.
        if parts.path {
            let codes = BTreeSet::from([ProblemCode::NoSuchPath.code().to_owned()]);
            let name = name("problem", &codes);
            responses.entry(name.clone()).or_insert_with(|| problem_response(&codes));
            refused.insert("404".into(), reference(&name));
        }
    } else {
        for (status, codes) in problems(&parts, &own) {
            let name = name("problem", &codes);
            responses.entry(name.clone()).or_insert_with(|| problem_response(&codes));
            refused.insert(status.to_string(), reference(&name));
        }
    }
    if let Some(Value::Object(all)) = operation.get_mut("responses") {
        for (status, response) in all.iter_mut() {
            if response["description"].as_str().is_none_or(str::is_empty) {
                response["description"] = reason(status).into();
            }
            if parts.party {
                response["headers"] = rate_headers();
            }
        }
        all.extend(refused);
    }
}

fn problems(parts: &Parts, own: &[String]) -> ByStatus {
    use ProblemCode as Code;
    let following = [
        (true, Code::Internal),
        (true, Code::Overloaded),
        (true, Code::Timeout),
        (true, Code::HsmUnavailable),
        (parts.secured, Code::Unauthenticated),
        (parts.party, Code::Forbidden),
        (parts.party, Code::TooMany),
        (parts.body || parts.query, Code::Malformed),
        (parts.body, Code::UnsupportedMediaType),
        (parts.body, Code::TooLarge),
        (parts.path, Code::NotFound),
    ];
    let mut by_status = ByStatus::new();
    let following = following.into_iter().filter_map(|(holds, code)| holds.then_some(code));
    for code in following.chain(own.iter().filter_map(|name| named(name))) {
        by_status.entry(code.status()).or_default().insert(code.code().into());
    }
    by_status
}

/// `own` are a status and an error each: `400 access_denied`.
fn oauth_errors(parts: &Parts, own: &[String]) -> ByStatus {
    let following = [
        (true, 500, "server_error"),
        (true, 503, "temporarily_unavailable"),
        (parts.party, 401, "invalid_token"),
        (parts.party, 400, "unauthorized_client"),
        (parts.party, 429, "temporarily_unavailable"),
        (parts.party || parts.body, 400, "invalid_request"),
        (parts.body, 413, "invalid_request"),
    ];
    let mut by_status = ByStatus::new();
    for (_, status, error) in following.into_iter().filter(|(holds, ..)| *holds) {
        by_status.entry(status).or_default().insert(error.into());
    }
    for (status, error) in own.iter().filter_map(|own| own.split_once(' ')) {
        let Ok(status) = status.parse() else { continue };
        by_status.entry(status).or_default().insert(error.into());
    }
    by_status
}

fn named(name: &str) -> Option<ProblemCode> {
    ProblemCode::ALL.iter().copied().find(|code| code.code() == name)
}

fn name(kind: &str, codes: &BTreeSet<String>) -> String {
    codes.iter().fold(kind.to_owned(), |name, code| format!("{name}.{code}"))
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn problem_response(names: &BTreeSet<String>) -> Value {
    let codes: Vec<_> = names.iter().filter_map(|name| named(name)).collect();
    let titles: BTreeSet<_> = codes.iter().map(|code| code.title()).collect();
    let example =
        |code: &ProblemCode| (code.code().to_owned(), json!({ "value": Problem::new(*code, None, None) }));
    let status = codes.first().map(|code| code.status());
    let types: Vec<_> = names.iter().map(|name| format!("{PROBLEM_TYPE_PREFIX}{name}")).collect();
    let mut headers = Map::new();
    if codes.iter().any(|code| code.retry() == Retry::SameRequest && matches!(code.status(), 409 | 429 | 503))
    {
        headers.insert("Retry-After".into(), retry_after());
    }
    if codes.contains(&ProblemCode::Unauthenticated) {
        headers.insert("WWW-Authenticate".into(), text_header("`Bearer`."));
    }
    let mut response = json!({
        "description": titles.into_iter().collect::<Vec<_>>().join(" "),
        "content": { "application/problem+json": {
            "schema": { "allOf": [
                { "$ref": "#/components/schemas/Problem" },
                { "properties": {
                    "type": { "enum": types }, "code": { "enum": names }, "status": { "const": status },
                } },
            ] },
            "examples": codes.iter().map(example).collect::<Map<_, _>>(),
        } },
    });
    if !headers.is_empty() {
        response["headers"] = headers.into();
    }
    response
}

fn oauth_response(status: u16, errors: &BTreeSet<String>) -> Value {
    let mut content = json!({ "application/json": {
        "schema": { "allOf": [
            { "$ref": "#/components/schemas/OauthError" },
            { "properties": { "error": { "enum": errors }, "status": { "const": status } } },
        ] },
    } });
    let mut headers = Map::new();
    if matches!(status, 429 | 503) {
        headers.insert("Retry-After".into(), retry_after());
    }
    if status == 401 {
        headers.insert("WWW-Authenticate".into(), text_header("The scheme to use (RFC 6750, RFC 6749)."));
    }
    // Time runs out before it is known what shape the caller reads.
    if status == 503 {
        content["application/problem+json"] = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    }
    let mut response = json!({ "description": reason(&status.to_string()), "content": content });
    if !headers.is_empty() {
        response["headers"] = headers.into();
    }
    response
}

/// On every answer to a relying party that was let in.
fn rate_headers() -> Value {
    json!({
        "RateLimit": { "$ref": "#/components/headers/RateLimit" },
        "RateLimit-Policy": { "$ref": "#/components/headers/RateLimit-Policy" },
    })
}

/// What those headers say.
pub(super) fn headers() -> Value {
    let draft = "draft-ietf-httpapi-ratelimit-headers-10";
    json!({
        "RateLimit": text_header(&format!("Calls left, and seconds until all are there again ({draft}).")),
        "RateLimit-Policy": text_header(&format!("Calls at once, and the seconds in which they come again ({draft}).")),
    })
}

fn retry_after() -> Value {
    json!({ "description": "Seconds to wait before the same call.", "schema": { "type": "integer", "minimum": 1 } })
}

fn text_header(text: &str) -> Value {
    json!({ "description": text, "schema": { "type": "string" } })
}

/// The phrase of a status, for responses that say no more.
fn reason(status: &str) -> &'static str {
    let status = status.parse().ok().and_then(|status| axum::http::StatusCode::from_u16(status).ok());
    status.and_then(|status| status.canonical_reason()).unwrap_or("Answer")
}

/// The schemas of refusals, and of ids that stand in paths only.
pub(super) fn add_schemas(schemas: &mut Map<String, Value>) {
    for (name, schema) in [
        ("Problem", Problem::schema()),
        ("ProblemCode", ProblemCode::schema()),
        ("DeviceId", DeviceId::schema()),
    ] {
        schemas.insert(name.into(), serde_json::to_value(schema).unwrap_or_default());
    }
    schemas.insert(
        "OauthError".into(),
        json!({
            "type": "object",
            "description": "A refusal as OAuth has it (RFC 6749 §5.2), with the members of RFC 9457 beside.",
            "required": ["error", "error_description", "type", "title", "status", "detail"],
            "properties": {
                "error": { "type": "string", "description": "The code of the standard." },
                "error_description": { "type": "string", "description": "What exactly." },
                "type": { "const": "about:blank" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string", "description": "As `error_description`." },
                "reason": {
                    "type": "string",
                    "enum": ["USER_REFUSED", "TIMEOUT", "WRONG_VC", "KEY_ENDED", "CANCELLED"],
                    "description": "Why a person's signature did not come.",
                },
            },
        }),
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn oap_002_every_refusal_that_a_route_names_is_one_of_the_closed_lists() {
        let document = serde_json::to_value(
            crate::http::api(Duration::ZERO, crate::http::Audience::Operator, 0).into_openapi(),
        )
        .unwrap();
        let items =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
        let mut seen = 0;
        for (method, operation) in items {
            for name in operation["x-problems"].as_array().into_iter().flatten() {
                assert!(named(name.as_str().unwrap()).is_some(), "{method}: {name}");
                seen += 1;
            }
            for error in operation["x-errors"].as_array().into_iter().flatten() {
                let (status, _) = error.as_str().unwrap().split_once(' ').unwrap();
                assert!(status.parse::<u16>().is_ok_and(|status| status >= 400), "{method}: {error}");
                seen += 1;
            }
        }
        assert!(seen > 10);
    }
}
