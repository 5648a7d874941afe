//! Looks at a deployment and says what to mend: `signer-server doctor`. It changes nothing but a file of its own, which it
//! deletes again, and may run beside the server.

mod files;
mod machine;
mod network;
mod store;
mod token;

use std::sync::Arc;

use serde::Serialize;

use crate::{config::Config, ports::Clock};

/// How a thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// It works, and something is lost by it: not for real keys.
    Warning,
    /// It does not work, or not for long.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, one word.
    pub(crate) check: &'static str,
    /// How it was found.
    pub(crate) level: Level,
    /// What was found.
    pub(crate) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Good, found: found.into(), fix: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, found: found.into(), fix: Some(fix.into()) }
    }

    fn bad(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Bad, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Looks at everything, in the order in which things are set up.
pub(crate) async fn examine(config: &Config, clock: &Arc<dyn Clock>) -> Vec<Finding> {
    let mut findings = settings(config);
    findings.extend(machine::examine(config));
    findings.extend(files::examine(config));
    findings.extend(token::examine(config).await);
    findings.extend(store::examine(config, &**clock).await);
    findings.extend(network::examine(config, clock).await);
    findings
}

/// Settings that are for trying out.
fn settings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.insecure {
        let fix = "leave insecure out: the server then says what it does not allow";
        findings.push(Finding::warning("settings", "insecure = true lifts what protects PINs and keys", fix));
    }
    if config.sandbox {
        let fix = "leave sandbox out: OAuth clients then need keys";
        findings.push(Finding::warning(
            "settings",
            "sandbox = true: OAuth clients may have shared secrets",
            fix,
        ));
    }
    if config.step_seconds != Config::default().step_seconds {
        let found =
            format!("codes change each {} s, which phones and shops do not expect", config.step_seconds);
        findings.push(Finding::warning("settings", found, "leave step_seconds out"));
    }
    if config.register_file.is_some() {
        let fix = "connect the document register: register.url and register.token_file";
        findings.push(Finding::warning("settings", "a file plays the document register", fix));
    }
    if config.trust_root.is_none() {
        let fix = "make a root offline (`signer trust root`) and set trust_root";
        findings.push(Finding::warning("settings", "this server is its own root of trust", fix));
    }
    if findings.is_empty() {
        findings.push(Finding::good("settings", "nothing that is for trying out"));
    }
    findings
}
