//! What the server measures: spec/metrics.md.

use std::collections::{BTreeMap, BTreeSet};

use signer_client::RelyingParty;
use signer_core::wire::Profile;

use crate::{
    harness::{PIN, TestApp, WRONG},
    limits::Line,
    screen::{Till, code, stocked},
    support::{http::Client, phone::network},
};

const PAGE: &str = include_str!("../../../spec/metrics.md");

pub(crate) fn measured(change: impl FnOnce(&mut signer_server::config::Config)) -> TestApp {
    TestApp::spawn_with(|config| {
        config.metrics.listen = Some(([127, 0, 0, 1], 0).into());
        change(config);
    })
}

/// What a scrape found: the type of each family, the value of each series.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) fn of(app: &TestApp) -> Self {
        let client = Client::new(format!("http://{}", app.config.metrics.listen.unwrap()));
        let answer = client.send("GET", "/metrics", &[], &[]);
        assert_eq!(answer.status, 200);
        let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(answer.header("content-type"), Some(media_type));
        Self::parse(&String::from_utf8(answer.body).unwrap())
    }

    /// Strict: each family once and whole, each series once, every sample of the type of its family.
    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        let mut family = String::new();
        let body = text.strip_suffix("# EOF\n").expect("an end");
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let [kind, name, value] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                assert!(matches!(kind, "HELP" | "TYPE" | "UNIT"), "{line}");
                if name != family {
                    assert!(!found.types.contains_key(name), "{name} stands twice");
                    family = name.to_owned();
                }
                if kind == "TYPE" {
                    found.types.insert(family.clone(), value.to_owned());
                }
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let name = series.split('{').next().unwrap();
            let suffix =
                name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} under {family}"));
            let fits = match found.types[&family].as_str() {
                "counter" => suffix == "_total",
                "gauge" => suffix.is_empty(),
                "info" => suffix == "_info" && value == 1.0,
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                other => panic!("{other}"),
            };
            assert!(fits && value >= 0.0, "{line}");
            assert_eq!(found.series.insert(series.to_owned(), value), None, "{series} stands twice");
        }
        found.check_histograms();
        found
    }

    /// Buckets never fall, and the last one is the count.
    fn check_histograms(&self) {
        let mut last: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (series, value) in &self.series {
            let Some((name, labels)) = series.split_once("_bucket{") else { continue };
            let labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
            let (bounds, others): (Vec<&str>, Vec<&str>) =
                labels.into_iter().partition(|label| label.starts_with("le="));
            let bound = bounds[0].trim_matches(['l', 'e', '=', '"']).replace("+Inf", "inf");
            let bound: f64 = bound.parse().unwrap();
            let of = format!("{name}{{{}", others.join(","));
            let entry = last.entry(of).or_insert((bound, *value));
            if bound > entry.0 {
                *entry = (bound, *value);
            }
            assert!(*value <= entry.1 || bound < entry.0, "{series}");
        }
        for (of, (bound, value)) in last {
            let (name, labels) = of.split_once('{').unwrap();
            let count =
                if labels.is_empty() { format!("{name}_count") } else { format!("{name}_count{{{labels}}}") };
            assert!(bound.is_infinite(), "{of}");
            assert_eq!(self.series[&count], value, "{of}");
        }
    }

    pub(crate) fn get(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_else(|| panic!("no {series}: {:#?}", self.series.keys()))
    }

    /// The sum of a counter over its series that contain this.
    pub(crate) fn sum(&self, name: &str, containing: &str) -> f64 {
        let of = |series: &&String| series.split('{').next() == Some(name) && series.contains(containing);
        self.series.iter().filter(|(series, _)| of(series)).map(|(_, value)| value).sum()
    }

    /// Names as a query has them.
    fn names(&self) -> BTreeSet<String> {
        let named = |(name, kind): (&String, &String)| match kind.as_str() {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.clone(),
        };
        self.types.iter().map(named).collect()
    }
}

/// Names in the page's tables, with their types.
fn listed() -> BTreeMap<String, String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        (name.to_owned(), rest.split(" | ").next().unwrap().to_owned())
    })
    .collect()
}

#[test]
fn ops_001_the_page_lists_what_is_measured() {
    // With a register over HTTP, which is not asked.
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "0123456789abcdef0123456789abcdef").unwrap();
    let app = measured(|config| {
        config.register_file = None;
        config.register.url = Some("http://127.0.0.1:9".into());
        config.register.token_file = Some(token_file);
    });
    assert_eq!(app.http.send("GET", "/health/ready", &[], &[]).status, 200);
    let found = Scrape::of(&app);
    let mut listed = listed();
    assert_eq!(listed.remove("signer_hsm_seconds").as_deref(), Some("histogram"), "there is no token here");
    assert_eq!(found.names(), listed.keys().cloned().collect());
    for (name, kind) in &found.types {
        let listed = listed.iter().find(|(listed, _)| {
            listed.strip_prefix(name.as_str()).is_some_and(|rest| ["", "_total", "_info"].contains(&rest))
        });
        assert_eq!(listed.unwrap().1, kind, "{name}");
    }
}

#[test]
fn ops_002_metrics_are_well_formed_and_on_a_listener_of_their_own() {
    let app = measured(|_| {});
    for _ in 0..3 {
        assert_eq!(app.http.send("GET", "/metrics", &[], &[]).status, 404);
    }
    let found = Scrape::of(&app);
    let of = "method=\"GET\",route=\"none\",status=\"404\",outcome=\"no_such_path\"";
    assert_eq!(found.get(&format!("signer_http_requests_total{{{of}}}")), 3.0);
    let own = Client::new(format!("http://{}", app.config.metrics.listen.unwrap()));
    for path in ["/", "/health/ready", "/admin/", "/v1/answer-key", "/device/v1/status"] {
        assert_eq!(own.send("GET", path, &[], &[]).status, 404, "{path}");
    }
    // Who does not ask for metrics has no listener.
    assert_eq!(TestApp::spawn().config.metrics.listen, None);
}

#[test]
fn ops_003_nothing_callers_choose_makes_a_series_or_is_shown() {
    let app = measured(|_| {});
    let registered = app.relying_party("Bank of Examples", true, true);
    let bank = RelyingParty::new(network(app.url()), registered.token.clone());
    let mut phone = app.phone("olena-petrenko");
    let id = app.ask(&bank, "olena-petrenko");
    phone.approve(id, PIN).unwrap();
    let count = |app: &TestApp| Scrape::of(app).series.len();
    let odd = |n: usize| {
        for path in [format!("/v1/requests/{n:032x}"), format!("/odd/{n}"), format!("/v1/answer-key?n={n}")] {
            app.http.send("GET", &path, &[("authorization", &format!("Bearer {n}"))], &[]);
        }
        let mut line = Line::open(app.url());
        line.write(format!("ODD{n} /v1/answer-key HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        assert_eq!(line.read().unwrap().0, 405);
    };
    odd(0);
    let before = count(&app);
    (1..20).for_each(odd);
    assert_eq!(count(&app), before);
    let device = phone.phone.status().unwrap();
    let text: String = Scrape::of(&app).series.into_keys().collect();
    let token = registered.token;
    let secret = [
        "olena".to_owned(),
        "Bank".to_owned(),
        id.to_string(),
        registered.id.to_string(),
        token,
        phone.device_key().device_id().to_string(),
        format!("{:?}", device.standing),
    ];
    for name in &secret {
        assert!(!text.contains(name.as_str()), "{name}");
    }
    // Nothing but names, templates and codes.
    for values in text.split('"').skip(1).step_by(2) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_/{}.+-*".contains(&byte);
        assert!(values.len() < 64 && values.bytes().all(plain), "{values}");
    }
}

#[test]
fn ops_004_what_is_durable_is_counted_once() {
    let app = measured(|_| {});
    let bank = app.bank();
    let mut phone = app.phone("olena");
    let id = app.ask_many(&bank, "olena", 3);
    phone.approve(id, PIN).unwrap();
    // The same bytes again get the same answer.
    let approve = phone.wire.last("approve").body;
    assert_eq!(app.device("approve", &approve).status, 200);
    let found = Scrape::of(&app);
    assert_eq!(found.get("signer_signatures_total"), 3.0);
    assert_eq!(found.get("signer_evaluations_total{verdict=\"signed\"}"), 1.0);
    assert_eq!(found.get("signer_enrolments_total"), 1.0);
    assert_eq!(found.sum("signer_http_requests_total", "route=\"/device/v1/approve\",status=\"200\""), 2.0);

    let id = app.ask(&bank, "olena");
    for _ in 0..3 {
        let _wrong = phone.approve(id, WRONG);
    }
    let _locked = phone.approve(id, PIN);
    let found = Scrape::of(&app);
    assert_eq!(found.get("signer_evaluations_total{verdict=\"wrong_pin\"}"), 3.0);
    assert_eq!(found.get("signer_locks_total"), 1.0);
    assert_eq!(found.get("signer_attempts_refused_total{why=\"locked\"}"), 1.0);
    assert_eq!(found.get("signer_keys_ended_total{why=\"wrong_pins\"}"), 0.0);
    for wait in [3 * 3600, 24 * 3600] {
        app.clock.advance(wait);
        for _ in 0..3 {
            let asked = app.ask(&bank, "olena");
            let _wrong = phone.approve(asked, WRONG);
        }
    }
    let found = Scrape::of(&app);
    assert_eq!(found.get("signer_locks_total"), 2.0);
    assert_eq!(found.get("signer_keys_ended_total{why=\"wrong_pins\"}"), 1.0);
    assert_eq!(found.get("signer_signatures_total"), 3.0);
}

#[test]
fn ops_004_codes_are_counted_by_verdict() {
    let app = measured(|_| {});
    let mut phone = stocked(&app, "olena");
    let till = Till::new(&app, "Corner Shop");
    let found = Scrape::of(&app);
    let issued = found.get("signer_credentials_issued_total");
    assert!(issued > 0.0);
    let code = code(&mut phone, Profile::Age);
    till.scan(code.presentation.as_str());
    till.scan(code.presentation.as_str());
    till.scan("nonsense");
    let found = Scrape::of(&app);
    assert_eq!(found.get("signer_codes_verified_total{colour=\"green\",reason=\"valid\"}"), 1.0);
    assert_eq!(found.get("signer_codes_verified_total{colour=\"red\",reason=\"used\"}"), 1.0);
    assert_eq!(found.sum("signer_codes_verified_total", ""), 3.0);
    assert_eq!(found.get("signer_credentials_issued_total"), issued);
}

#[test]
fn ops_005_the_store_counts_its_commits_and_the_acts_in_them() {
    let app = measured(|_| {});
    let before = Scrape::of(&app);
    for n in 0..5 {
        app.enrolment_code(&format!("person-{n}"));
    }
    let after = Scrape::of(&app);
    let grown = |series: &str| after.get(series) - before.get(series);
    assert!(grown("signer_store_acts_total") >= 5.0);
    let (commits, acts) = (after.get("signer_store_commits_total"), after.get("signer_store_acts_total"));
    assert!((1.0..=acts).contains(&commits));
    assert_eq!(after.get("signer_store_acts_per_commit_count"), commits);
    assert_eq!(after.get("signer_store_acts_per_commit_sum"), acts);
    assert_eq!(after.get("signer_store_commit_seconds_count"), commits);
    assert_eq!(after.get("signer_store_waiting"), 0.0);
    assert_eq!(after.get("signer_ready"), 1.0);
}

const DASHBOARD: &str = include_str!("../../dashboards/signer.json");
const ALERTS: &str = include_str!("../../dashboards/alerts.yml");

/// Names of metrics in queries.
fn queried(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let metric = |word: &&str| word.starts_with("signer_") || word.starts_with("process_");
    words.filter(metric).map(str::to_owned).collect()
}

#[test]
fn ops_020_dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert_eq!(dashboard["uid"], "signer");
    let listed = listed();
    let known = |name: &str| {
        let of = |ending| {
            name.strip_suffix(ending)
                .is_some_and(|family| listed.get(family).is_some_and(|kind| kind == "histogram"))
        };
        listed.contains_key(name) && listed[name] != "histogram"
            || ["_bucket", "_sum", "_count"].into_iter().any(of)
    };
    let (shown, alerted) = (queried(DASHBOARD), queried(ALERTS));
    for name in shown.iter().chain(&alerted) {
        assert!(known(name), "{name}");
    }
    // What is measured is shown: whoever looks need not know the names.
    let shown = |name: &&String| {
        let family = name.trim_end_matches("_total");
        shown.iter().any(|shown| shown.starts_with(family))
    };
    let hidden: Vec<_> = listed.keys().filter(|name| !shown(name)).map(String::as_str).collect();
    let elsewhere = [
        "process_start_time_seconds",
        "process_threads",
        "signer_audit_checkpoint_failures_total",
        "signer_store_acts_per_commit",
        "signer_store_connections_max",
    ];
    assert_eq!(
        hidden.into_iter().filter(|name| !elsewhere.contains(name)).collect::<Vec<_>>(),
        Vec::<&str>::new()
    );
}

#[test]
fn ops_021_the_operator_has_the_figures_of_the_node_that_answers() {
    let app = measured(|_| {});
    let bank = app.bank();
    let mut phone = app.phone("olena");
    let id = app.ask_many(&bank, "olena", 2);
    let _wrong = phone.approve(id, WRONG);
    phone.approve(id, PIN).unwrap();
    let found = Scrape::of(&app);
    let answer = app.admin("GET", "/figures", None);
    let figures: serde_json::Value = answer.json();
    assert!(figures["node"].as_str().unwrap().ends_with(&app.config.listen.to_string()), "{figures}");
    assert_eq!(figures["unready"], serde_json::json!([]));
    let totals = &figures["totals"];
    assert_eq!((&totals["signatures"], &totals["wrong_pins"]), (&2.into(), &1.into()));
    assert_eq!(totals["calls"].as_f64().unwrap(), found.sum("signer_http_requests_total", ""));
    let answered =
        figures["call_seconds"].as_array().unwrap().iter().map(|bucket| bucket["count"].as_u64().unwrap());
    assert_eq!(totals["calls"], answered.sum::<u64>());
    assert_eq!(figures["now"]["audit_entries"].as_f64().unwrap(), found.get("signer_audit_entries"));
    assert_eq!(app.http.send("GET", "/admin/v1/figures", &[], &[]).status, 401);
}
