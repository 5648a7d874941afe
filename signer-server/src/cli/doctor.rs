//! `signer-server doctor`.

use std::sync::Arc;

use serde_json::json;

use super::print;
use crate::{
    config::Config,
    doctor::{self, Finding, Level},
    ports::{Clock, SystemClock},
};

/// Looks at the deployment, and tells. It fails if something is bad, so that scripts can stop.
pub(super) fn run(config: &Config, json: bool) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let findings = runtime.block_on(doctor::examine(config, &clock));
    let lines: Vec<_> = findings.iter().map(line).collect();
    print(json, &json!({ "findings": findings }), &lines.join("\n"));
    match findings.iter().filter(|finding| finding.level == Level::Bad).count() {
        0 => Ok(()),
        1 => Err("1 thing has to be mended".into()),
        bad => Err(format!("{bad} things have to be mended")),
    }
}

fn line(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Good => "good",
        Level::Warning => "warning",
        Level::Bad => "BAD",
    };
    let text = format!("{level:<8} {:<12} {}", finding.check, finding.found);
    match &finding.fix {
        Some(fix) => format!("{text}\n{:21} -> {fix}", ""),
        None => text,
    }
}
