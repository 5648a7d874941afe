//! Joins `spec/` with the code: every requirement has a test that carries its id, every such test a requirement, every
//! reference a requirement, every link a file, and every direct dependency a reason.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What ids begin with, and where their sentences stand.
const KINDS: &[(&str, &str)] = &[
    ("APP", "protocol.md"),
    ("ATT", "protocol.md"),
    ("AUD", "audit.md"),
    ("CER", "protocol.md"),
    ("CLI", "protocol.md"),
    ("CRD", "credential.md"),
    ("CSC", "csc.md"),
    ("DIS", "verification.md"),
    ("DOC", "operations.md"),
    ("E25", "es256.md"),
    ("FLT", "fleets.md"),
    ("FMT", "formats.md"),
    ("FRO", "protocol.md"),
    ("HIS", "history.md"),
    ("HOK", "webhooks.md"),
    ("HSM", "hsm.md"),
    ("LIM", "limits.md"),
    ("MOD", "model.md"),
    ("OAP", "openapi.md"),
    ("OAU", "oauth.md"),
    ("OPS", "metrics.md"),
    ("OTL", "traces.md"),
    ("PIN", "protocol.md"),
    ("PKI", "certificates.md"),
    ("REG", "registers.md"),
    ("RES", "restore.md"),
    ("SBX", "sandbox.md"),
    ("SIG", "protocol.md"),
    ("STO", "protocol.md"),
    ("TLS", "operations.md"),
    ("TRU", "trust.md"),
    ("WEB", "web.md"),
    ("WIR", "wire.md"),
    ("WRP", "protocol.md"),
];
const ID_BYTES: usize = 7;

type Ids = BTreeSet<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Files below `folder` that end in `ending`, without build output and hidden folders.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !["target", "node_modules"].contains(&name(&path)) && !name(&path).starts_with('.') {
                found.extend(files(&path, ending));
            }
        } else if name(&path).ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// `spec/` and the pages beside it.
fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root().join("spec"), ".md");
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|page| root().join(page)),
    );
    pages
}

/// Ids that stand in `text` as words of their own. `SHA-256` is none: no requirement begins so.
fn ids(text: &str) -> Ids {
    let bytes = text.as_bytes();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at)).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    };
    let id = |(at, window): (usize, &[u8])| {
        let (kind, rest) = window.split_at(3);
        let shaped = rest[0] == b'-' && rest[1..].iter().all(u8::is_ascii_digit);
        let known = KINDS.iter().any(|(known, _)| known.as_bytes() == kind);
        let alone = !is_word(at.checked_sub(1)) && !is_word(Some(at + ID_BYTES));
        (shaped && known && alone).then(|| String::from_utf8(window.to_vec()).unwrap())
    };
    bytes.windows(ID_BYTES).enumerate().filter_map(id).collect()
}

/// Requirements: list items that open with an id in bold, by the file they stand in.
fn requirements() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for path in files(&root().join("spec"), ".md") {
        for line in read(&path).lines() {
            let Some((id, sentence)) = line.strip_prefix("- **").and_then(|rest| rest.split_once("** "))
            else {
                continue;
            };
            if ids(id).contains(id) {
                assert!(sentence.ends_with('.'), "{}: {id} is not a sentence: {sentence}", path.display());
                let twice = found.insert(id.to_owned(), name(&path).to_owned());
                assert_eq!(twice, None, "{id} stands twice");
            }
        }
    }
    found
}

/// Ids of functions named like `sig_001_what_is_tested`, and of tests in JavaScript named like `WEB-001 what is tested`.
fn tested() -> Ids {
    let mut found = Ids::new();
    for path in files(&root(), ".test.mjs") {
        for line in read(&path).lines().filter(|line| line.trim_start().starts_with("test(")) {
            found.extend(ids(line));
        }
    }
    for path in files(&root(), ".rs") {
        for function in read(&path).lines().filter_map(|line| line.split_once("fn ")).map(|(_, rest)| rest) {
            let Some((id, rest)) = function.split_at_checked(ID_BYTES) else { continue };
            let (kind, number) = id.split_at(3);
            let shaped = kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && number.starts_with('_')
                && number[1..].bytes().all(|byte| byte.is_ascii_digit());
            if shaped && rest.starts_with('_') {
                let kind = kind.to_ascii_uppercase();
                let known = KINDS.iter().any(|(known, _)| **known == kind);
                assert!(known, "{}: no requirement begins with {kind}: {function}", path.display());
                found.insert(format!("{kind}-{}", &number[1..]));
            }
        }
    }
    found
}

#[test]
fn every_requirement_has_a_test_and_every_test_a_requirement() {
    let requirements = requirements();
    for (id, file) in &requirements {
        let home = KINDS.iter().find(|(kind, _)| id.starts_with(kind)).unwrap().1;
        assert_eq!(file, home, "{id} belongs in {home}");
    }
    let (written, tested): (Ids, Ids) = (requirements.into_keys().collect(), tested());
    let untested: Vec<_> = written.difference(&tested).collect();
    let unwritten: Vec<_> = tested.difference(&written).collect();
    assert!(
        untested.is_empty() && unwritten.is_empty(),
        "in spec/ without a test: {untested:?}\ntested and not in spec/: {unwritten:?}"
    );
}

#[test]
fn every_id_that_is_mentioned_exists() {
    let requirements = requirements();
    for path in pages() {
        for id in ids(&read(&path)) {
            assert!(requirements.contains_key(&id), "{}: {id} does not exist", path.display());
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    for path in pages() {
        for target in read(&path).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            let inside = [".md", ".toml", ".json"].iter().any(|ending| file.ends_with(ending));
            let there = !inside || path.parent().unwrap().join(file).exists();
            assert!(there, "{}: {target} is not there", path.display());
        }
    }
}

/// Names in the tables of `manifest` that `is_wanted` takes by their own name.
fn dependencies(manifest: &str, is_wanted: impl Fn(&str) -> bool) -> Ids {
    let mut within = false;
    let mut found = Ids::new();
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            within = table.ends_with("dependencies]") && is_wanted(table);
        } else if within
            && let Some((entry, _)) = line.split_once('=')
            && !entry.starts_with(['#', ' '])
        {
            found.insert(entry.split('.').next().unwrap().trim().to_owned());
        }
    }
    found
}

#[test]
fn every_direct_dependency_has_a_reason_and_every_reason_a_dependency() {
    let manifests: String = files(&root(), "Cargo.toml").iter().map(|path| read(path)).collect();
    let used = dependencies(&manifests, |table| !table.starts_with("workspace"));
    let known = dependencies(&manifests, |_| true);
    let page = read(&root().join("spec/decisions/dependencies.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let explained: Ids = rows.flat_map(|(names, _)| names.split("`, `")).map(str::to_owned).collect();
    let unexplained: Vec<_> = used.difference(&explained).collect();
    let unknown: Vec<_> = explained.difference(&known).collect();
    assert!(
        unexplained.is_empty() && unknown.is_empty(),
        "no reason in dependencies.md: {unexplained:?}\nlisted there and in no manifest: {unknown:?}"
    );
}
