//! The pages: the verifier under `/verify/`, the operator's under `/admin/`, the API's own under `/docs/`, the one where browsers
//! of clients wait for the phone under `/authorize/`, and what a camera finds behind a device link, `/link`. They are files of
//! `signer-server/web`, embedded, with the headers that keep them to themselves.
//!
//! A file's path is its path below `signer-server/web`. What a service worker keeps is named in `/verify/files.json`. The larger
//! files are there as gzip too, for whoever accepts that.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, LazyLock, OnceLock},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Audience;
use crate::service::Service;

/// Nothing inline, nothing from elsewhere; scripts reach the page only as these files.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types signer";
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// The folder of a vendored package has its version in its name.
const CACHE_VENDORED: &str = "public, max-age=31536000, immutable";
const CACHE_OURS: &str = "no-cache";
/// A smaller file fits into a packet or two as it is, bytes.
const PACKED_FROM: usize = 2048;
/// Starts of the pages.
const INDEX: &str = "/verify/index.html";
const ADMIN_INDEX: &str = "/admin/index.html";
const AUTHORIZE_INDEX: &str = "/authorize/index.html";
const DOCS_INDEX: &str = "/docs/index.html";
const LINK_INDEX: &str = "/link/index.html";

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web", $path)))),*]
    };
}

/// Every file that is served, by its path.
const FILES: &[(&str, &[u8])] = files![
    "/admin/api.js"
    "/admin/app.js"
    "/admin/audit.js"
    "/admin/figures.js"
    "/admin/index.html"
    "/admin/style.css"
    "/admin/texts.js"
    "/authorize/app.js"
    "/authorize/index.html"
    "/authorize/style.css"
    "/authorize/words.js"
    "/docs/app.js"
    "/docs/index.html"
    "/docs/schema.js"
    "/docs/style.css"
    "/link/index.html"
    "/link/style.css"
    "/verify/app.js"
    "/verify/check.js"
    "/verify/colours.css"
    "/verify/dom.js"
    "/verify/i18n.js"
    "/verify/icon.svg"
    "/verify/index.html"
    "/verify/language.js"
    "/verify/manifest.webmanifest"
    "/verify/online.js"
    "/verify/request.js"
    "/verify/result.js"
    "/verify/scanner.js"
    "/verify/settings.js"
    "/verify/store.js"
    "/verify/style.css"
    "/verify/sw.js"
    "/verify/trust.js"
    "/verify/wedge.js"
    "/verify/worker.js"
    "/verifier/src/answer.js"
    "/verifier/src/base45.js"
    "/verifier/src/bytes.js"
    "/verifier/src/cbor.js"
    "/verifier/src/check.js"
    "/verifier/src/cose.js"
    "/verifier/src/date.js"
    "/verifier/src/document.js"
    "/verifier/src/fields.js"
    "/verifier/src/index.js"
    "/verifier/src/p256.js"
    "/verifier/src/refusal.js"
    "/verifier/src/request.js"
    "/verifier/src/status-list.js"
    "/verifier/src/step.js"
    "/verifier/src/token.js"
    "/verifier/src/trust-list.js"
    "/verifier/src/verify.js"
    "/verifier/src/words.js"
    "/vendor/zxing-wasm/3.1.4/LICENSE"
    "/vendor/zxing-wasm/3.1.4/share.js"
    "/vendor/zxing-wasm/3.1.4/reader/index.js"
    "/vendor/zxing-wasm/3.1.4/reader/zxing_reader.wasm"
    "/vendor/zxing-wasm/3.1.4/writer/index.js"
    "/vendor/zxing-wasm/3.1.4/writer/zxing_writer.wasm"
];

/// SHA-256 of each file, hexadecimal, by path.
static DIGESTS: LazyLock<BTreeMap<&'static str, String>> =
    LazyLock::new(|| FILES.iter().map(|(path, bytes)| (*path, hex(&Sha256::digest(bytes)))).collect());

/// Each larger file as gzip (RFC 1952), by path: made when it is first asked for, so that no start waits for it and no later
/// request costs a compression.
static PACKED: LazyLock<BTreeMap<&'static str, OnceLock<Vec<u8>>>> = LazyLock::new(|| {
    let large = FILES.iter().filter(|(_, bytes)| bytes.len() >= PACKED_FROM);
    large.map(|(path, _)| (*path, OnceLock::new())).collect()
});

pub(super) fn routes(audience: Audience) -> Router<Arc<Service>> {
    let mut router = Router::new()
        .route("/verify/", get(async |headers: HeaderMap| file(INDEX, &headers)))
        .route("/authorize/", get(async |headers: HeaderMap| file(AUTHORIZE_INDEX, &headers)))
        .route("/docs/", get(async |headers: HeaderMap| file(DOCS_INDEX, &headers)))
        // Whatever link it is: the page says what to do with all of them, and nothing about one.
        .route("/link", get(async || passing_page(LINK_INDEX, StatusCode::OK)))
        .route("/verify/config.json", get(config))
        .route("/verify/files.json", get(files));
    let slash = "/verify";
    router = router.route(slash, get(async || Redirect::permanent("/verify/")));
    if audience == Audience::Operator {
        router = router.route("/admin/", get(async |headers: HeaderMap| file(ADMIN_INDEX, &headers)));
    }
    for (path, _) in FILES {
        if audience == Audience::Public && path.starts_with("/admin/") {
            continue;
        }
        router = router.route(path, get(async |headers: HeaderMap| file(path, &headers)));
    }
    router.layer(map_response(with_headers))
}

/// Whether this is the path of a file.
pub(super) fn is_file(path: &str) -> bool {
    DIGESTS.contains_key(path)
}

/// The authorisation page in place of an error of this status, which it tells.
pub(super) fn authorize_page(status: StatusCode) -> Response {
    passing_page(AUTHORIZE_INDEX, status)
}

/// A page at an address that says more than its path: no browser keeps it.
fn passing_page(path: &'static str, status: StatusCode) -> Response {
    let mut response = file(path, &HeaderMap::new());
    *response.status_mut() = status;
    response.headers_mut().remove(header::ETAG);
    response.headers_mut().insert(header::CACHE_CONTROL, super::header_value("no-store"));
    add_headers(&mut response);
    response
}

/// What the page knows before it trusts anybody. It pins the first root it is told.
async fn config(State(service): State<Arc<Service>>) -> Response {
    no_cache(&json!({
        "server": service.public_url(),
        "root": service.trust_root(),
        "languages": ["en", "uk"],
        "step_seconds": service.step_seconds(),
    }))
}

/// The version of the verifier page and its files.
async fn files() -> Response {
    let files: BTreeMap<_, _> = DIGESTS.iter().filter(|(path, _)| is_kept(path)).collect();
    let all: Vec<u8> =
        files.iter().flat_map(|(path, digest)| [path.as_bytes(), digest.as_bytes()].concat()).collect();
    let version = hex(&Sha256::digest(&all)[..8]);
    no_cache(&json!({ "version": version, "files": files }))
}

/// Whether the verifier's worker keeps a file. Itself it does not: the browser fetches it.
fn is_kept(path: &str) -> bool {
    path != "/verify/sw.js"
        && !["/admin/", "/authorize/", "/docs/", "/link/"].iter().any(|page| path.starts_with(page))
}

fn file(path: &'static str, headers: &HeaderMap) -> Response {
    let Some((_, bytes)) = FILES.iter().find(|(name, _)| *name == path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let digest = DIGESTS.get(path).map_or("", String::as_str);
    let place = PACKED.get(path);
    let packed = place.filter(|_| accepts_gzip(headers)).map(|packed| packed.get_or_init(|| gzip(bytes)));
    let chosen = packed.filter(|packed| !packed.is_empty());
    // Other bytes have another tag (RFC 9110 section 8.8.3).
    let etag = if chosen.is_some() { format!("\"{digest}-gzip\"") } else { format!("\"{digest}\"") };
    let cache = if path.starts_with("/vendor/") { CACHE_VENDORED } else { CACHE_OURS };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
    let mut head = HeaderMap::new();
    head.extend(HeaderValue::try_from(etag).map(|etag| (header::ETAG, etag)));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if place.is_some() {
        head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    let Some(packed) = chosen else { return (head, *bytes).into_response() };
    head.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    (head, packed.as_slice()).into_response()
}

/// The gzip form; empty if it is no smaller.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.ok().filter(|packed| packed.len() < bytes.len()).unwrap_or_default()
}

/// Whether `Accept-Encoding` (RFC 9110 section 12.5.3) names gzip, and not with weight 0.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q', '=']);
        let refused = !weight.is_empty() && weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        Some("webmanifest") => "application/manifest+json",
        _ => "text/plain; charset=utf-8",
    }
}

fn no_cache(body: &Value) -> Response {
    ([(header::CACHE_CONTROL, CACHE_OURS)], Json(body)).into_response()
}

async fn with_headers(mut response: Response) -> Response {
    add_headers(&mut response);
    response
}

fn add_headers(response: &mut Response) {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, super::header_value(value));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn paths_below(folder: &Path, prefix: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .flat_map(|entry| {
                let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
                if entry.path().is_dir() { paths_below(&entry.path(), &path) } else { BTreeSet::from([path]) }
            })
            .collect()
    }

    #[test]
    fn web_041_every_file_of_the_page_is_served_and_no_other() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut there = BTreeSet::new();
        for folder in ["/admin", "/authorize", "/docs", "/link", "/verify", "/verifier/src", "/vendor"] {
            there.extend(paths_below(&web.join(&folder[1..]), folder));
        }
        there.retain(|path| !path.ends_with("/SHA256SUMS"));
        let served: BTreeSet<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn web_042_vendored_files_are_the_ones_that_were_checked() {
        let folder = "/vendor/zxing-wasm/3.1.4";
        let sums = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("web{folder}/SHA256SUMS"));
        let sums = fs::read_to_string(sums).unwrap();
        assert_eq!(sums.lines().count(), FILES.iter().filter(|(path, _)| path.starts_with(folder)).count());
        for line in sums.lines() {
            let (digest, path) = line.split_once("  .").unwrap();
            assert_eq!(DIGESTS.get(format!("{folder}{path}").as_str()).unwrap(), digest, "{path}");
        }
    }
}
