//! Where traces go.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, goes_open, is_public_url};

/// Longest [`TracesConfig::service_name`], bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most of [`TracesConfig::one_in`].
const ONE_IN_MAX: u32 = 1_000_000;

/// Traces: `spec/traces.md`. Only in a binary with the feature `otel`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// Address of a collector that takes OTLP over HTTP, without `/v1/traces` and without a slash at the end. Without it nothing
    /// is traced.
    pub endpoint: Option<String>,
    /// PEM file with the authorities its certificate is trusted under. Default: those of the web.
    pub ca_file: Option<PathBuf>,
    /// What this server is called in traces.
    pub service_name: String,
    /// One call in so many is traced, drawn at random.
    pub one_in: u32,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { endpoint: None, ca_file: None, service_name: "signer-server".into(), one_in: 100 }
    }
}

impl TracesConfig {
    /// Checks the settings; `insecure` allows plain HTTP to another machine, `built` says whether this binary can trace at all.
    pub(super) fn check(&self, insecure: bool, built: bool) -> Result<(), ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Value(text.into()));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !(1..=NAME_BYTES_MAX).contains(&self.service_name.len()) || !self.service_name.bytes().all(plain) {
            return refuse("traces.service_name is 1 to 64 letters, digits, dots, dashes and underscores");
        }
        if !(1..=ONE_IN_MAX).contains(&self.one_in) {
            return refuse("traces.one_in must be from 1 (every call) to 1000000");
        }
        let Some(endpoint) = &self.endpoint else { return Ok(()) };
        if !built {
            return refuse(
                "traces.endpoint is set, but this binary was built without traces: build it with `cargo build --release --features signer-server/otel`, or remove the setting",
            );
        }
        if !is_public_url(endpoint) || endpoint.contains(['?', '#', '@']) || endpoint.ends_with("/v1/traces")
        {
            return refuse(
                "traces.endpoint is an http or https URL of at most 200 characters, without user, query, a slash at the end or /v1/traces, which is added",
            );
        }
        if goes_open(endpoint) && !insecure {
            return refuse(
                "traces.endpoint is plain HTTP to another machine: what callers do, and when, would be open on the way; use https or a collector on this machine (insecure = true lifts this)",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: &str) -> TracesConfig {
        TracesConfig { endpoint: Some(endpoint.into()), ..TracesConfig::default() }
    }

    #[test]
    fn otl_001_a_binary_without_traces_says_how_to_get_them() {
        let here = at("http://127.0.0.1:4318");
        assert!(here.check(false, true).is_ok());
        let error = here.check(false, false).unwrap_err().to_string();
        assert!(error.contains("--features signer-server/otel"), "{error}");
        assert!(TracesConfig::default().check(false, false).is_ok());
    }

    #[test]
    fn otl_002_settings_of_traces_have_bounds() {
        for (url, insecure) in [
            ("https://collector.example", false),
            ("https://collector.example/otlp", false),
            ("http://localhost:4318", false),
            ("http://collector.example:4318", true),
        ] {
            assert!(at(url).check(insecure, true).is_ok(), "{url}");
        }
        for url in [
            "",
            "collector.example",
            "http://collector.example:4318",
            "http://localhost.evil.example",
            "https://collector.example/",
            "https://collector.example/v1/traces",
            "https://user@collector.example",
            "https://collector.example?key=1",
            "grpc://collector.example",
        ] {
            assert!(at(url).check(false, true).is_err(), "{url}");
        }
        for (name, one_in, good) in [
            ("signer-1.b_c", 1, true),
            ("", 1, false),
            ("a b", 1, false),
            ("a", 0, false),
            ("a", 1_000_001, false),
        ] {
            let config = TracesConfig { service_name: name.into(), one_in, ..TracesConfig::default() };
            assert_eq!(config.check(false, true).is_ok(), good, "{name} {one_in}");
        }
    }
}
