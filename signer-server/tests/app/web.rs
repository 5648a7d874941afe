//! The files of the verifier page, as they are served.

use std::io::Read as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{harness::TestApp, support::http::Answer};

fn served(app: &TestApp) -> Vec<String> {
    let files: Value = app.http.send("GET", "/verify/files.json", &[], b"").json();
    files["files"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn web_040_every_file_has_its_type_its_tag_and_the_headers_that_keep_it_in() {
    let app = TestApp::spawn();
    let mut paths = served(&app);
    assert!(paths.len() > 30, "{paths:?}");
    paths
        .extend(["/verify/", "/verify/sw.js", "/verify/config.json", "/verify/files.json"].map(String::from));
    for path in &paths {
        let answer = app.http.send("GET", path, &[], b"");
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{path} has no {name}"));
        let media_type = match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("wasm") => "application/wasm",
            Some("json") => "application/json",
            Some("webmanifest") => "application/manifest+json",
            Some("html") => "text/html; charset=utf-8",
            _ if path.ends_with('/') => "text/html; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(header("content-type"), media_type, "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
        for part in ["frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(part), "{policy}");
        }
        for never in ["unsafe-inline", "'unsafe-eval'", "http:", "https:", "*"] {
            assert!(!policy.contains(never), "{policy}");
        }
        assert!(header("permissions-policy").starts_with("camera=(self), microphone=()"));
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        let immutable = header("cache-control").contains("immutable");
        assert_eq!(immutable, path.starts_with("/vendor/"), "{path}");
        if let Some(tag) = answer.header("etag") {
            let again = app.http.send("GET", path, &[("if-none-match", tag)], b"");
            assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
            let other = app.http.send("GET", path, &[("if-none-match", "\"x\"")], b"");
            assert_eq!(other.body, answer.body, "{path}");
        } else {
            assert!(path.ends_with(".json"), "{path} has no tag");
        }
    }
}

#[test]
fn web_091_larger_files_come_as_gzip_to_who_accepts_it_and_are_the_same() {
    let app = TestApp::spawn();
    let get = |path: &str, headers: &[(&str, &str)]| app.http.send("GET", path, headers, b"");
    let digests: Value = get("/verify/files.json", &[]).json();
    let (mut plain, mut sent) = (0, 0);
    for (path, digest) in digests["files"].as_object().unwrap() {
        let identity = get(path, &[("accept-encoding", "identity")]);
        let packed = get(path, &[("accept-encoding", "deflate, gzip;q=0.5, br")]);
        (plain, sent) = (plain + identity.body.len(), sent + packed.body.len());
        assert_eq!(identity.header("content-encoding"), None, "{path}");
        if packed.header("content-encoding").is_none() {
            assert!(identity.body.len() < 4096, "{path} is {} bytes long", identity.body.len());
            assert_eq!(packed, Answer { headers: packed.headers.clone(), ..identity }, "{path}");
            continue;
        }
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, identity.body, "{path}");
        let sha256: String = Sha256::digest(&unpacked).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(&Value::from(sha256), digest, "{path}");
        for header in ["content-type", "content-security-policy", "cache-control", "vary"] {
            assert_eq!(packed.header(header), identity.header(header), "{path} {header}");
        }
        assert_eq!(packed.header("vary"), Some("accept-encoding"));
        // Each form has its tag, and is known by it alone.
        let (tag, other) = (packed.header("etag").unwrap(), identity.header("etag").unwrap());
        assert_ne!(tag, other);
        for (tag, status) in [(tag, 304), (other, 200)] {
            assert_eq!(
                get(path, &[("accept-encoding", "gzip"), ("if-none-match", tag)]).status,
                status,
                "{path}"
            );
        }
    }
    assert!(sent * 2 < plain, "{sent} of {plain} bytes are sent");
    for (accepted, is_packed) in [
        ("gzip", true),
        ("GZIP ; Q=1", true),
        ("br,gzip;q=0.001", true),
        ("gzip;q=0", false),
        ("gzip; q=0.000", false),
        ("gzipped", false),
        ("", false),
        ("identity;q=1, br", false),
    ] {
        let answer = get("/verifier/src/request.js", &[("accept-encoding", accepted)]);
        assert_eq!(answer.header("content-encoding").is_some(), is_packed, "{accepted}");
    }
}

#[test]
fn web_043_what_is_not_of_the_page_is_not_served() {
    let app = TestApp::spawn();
    for path in [
        "/verify/../../Cargo.toml",
        "/verify/%2e%2e/%2e%2e/Cargo.toml",
        "/verify/x.js",
        "/verify/app.js/",
        "/verifier/package.json",
        "/verifier/test/credential.test.mjs",
        "/vendor/",
        "/vendor/zxing-wasm/3.1.4/SHA256SUMS",
    ] {
        assert_eq!(
            app.http.send("GET", path, &[], b"").code(),
            signer_core::wire::ProblemCode::NoSuchPath,
            "{path}"
        );
    }
    let moved = app.http.send("GET", "/verify", &[], b"");
    assert_eq!((moved.status, moved.header("location")), (308, Some("/verify/")));
}

#[test]
fn web_044_the_page_is_told_server_languages_and_step() {
    let app = TestApp::spawn();
    let config: Value = app.http.send("GET", "/verify/config.json", &[], b"").json();
    assert_eq!(config["server"], format!("http://{}", app.config.listen));
    assert_eq!(config["languages"], serde_json::json!(["en", "uk"]));
    assert_eq!(config["step_seconds"], 180);
}

#[test]
fn web_150_behind_a_device_link_is_one_page_that_says_what_to_do_and_keeps_nothing() {
    let app = TestApp::spawn();
    let before = app.dump();
    let page = app.http.send("GET", "/link", &[], b"");
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"));
    assert_eq!(page.header("etag"), None);
    let text = String::from_utf8(page.body.clone()).unwrap();
    for part in ["lang=\"en\"", "lang=\"uk\"", "never asks for a PIN", "ніколи не питає PIN"] {
        assert!(text.contains(part), "{part}");
    }
    for never in ["<script", "<form", "<input", "<a ", "http:", "https:"] {
        assert!(!text.contains(never), "{never}");
    }
    // Whatever link it is, it is not opened by being looked at.
    for query in
        ["?v=1&t=17&s=AAEC&a=x", "?v=2", "?", "?v=1&t=%3Cscript%3E", &format!("?{}", "x".repeat(4000))]
    {
        let other = app.http.send("GET", &format!("/link{query}"), &[("if-none-match", "*")], b"");
        assert_eq!((other.status, &other.body, other.header("etag")), (200, &page.body, None), "{query}");
    }
    assert_eq!(app.dump(), before);
    let file = app.http.send("GET", "/link/style.css", &[], b"");
    assert_eq!((file.status, file.header("content-type")), (200, Some("text/css; charset=utf-8")));
}
