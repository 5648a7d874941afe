//! The store, as its engine finds it.

use super::Finding;
use crate::{app, config::Config, ports::Clock, store::Inspection};

/// Most that the clocks of node and database may differ, seconds.
const CLOCKS_MAX: u64 = 2;

pub(super) async fn examine(config: &Config, clock: &dyn Clock) -> Vec<Finding> {
    let found = match app::inspect_store(config).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let fix = "start the server once: it makes the store";
            return vec![Finding::warning("store", "there is none yet", fix)];
        }
        Err(error) => return vec![Finding::bad("store", error.to_string(), "as it says")],
    };
    let mut findings = vec![schema(&found), whole(&found)];
    let now = clock.now().0;
    if let Some(time) = found.server_time
        && now.abs_diff(time.0) > CLOCKS_MAX
    {
        let apart = format!("this clock and the database's are {} s apart", now.abs_diff(time.0));
        findings.push(Finding::bad("clock", apart, "NTP on both: codes live three minutes"));
    } else if found.latest_time.0 > now.saturating_add(CLOCKS_MAX) {
        let behind = format!("this clock is {} s behind the newest act", found.latest_time.0 - now);
        findings.push(Finding::bad("clock", behind, "NTP: until then the server follows the newest act"));
    } else {
        findings.push(Finding::good("clock", "not behind the store"));
    }
    if found.synchronous == Some(false) {
        findings.push(Finding::warning(
            "standby",
            "no standby has each commit before it is answered",
            "set synchronous_standby_names if a standby may ever become the primary",
        ));
    }
    if let Some((allowed, wanted)) = found.connections
        && wanted > allowed
    {
        findings.push(Finding::bad(
            "connections",
            format!("this node takes up to {wanted}, the database has {allowed} for all"),
            "raise max_connections, or lower store.connections_max",
        ));
    }
    findings
}

fn schema(found: &Inspection) -> Finding {
    match found.schema {
        (is, newest) if is < newest => Finding::warning(
            "schema",
            format!("version {is}, this binary's is {newest}"),
            "signer-server migrate, or the next start does it",
        ),
        (is, newest) if is > newest => Finding::bad(
            "schema",
            format!("version {is}, this binary knows up to {newest}"),
            "install the newer binary",
        ),
        (is, _) => Finding::good("schema", format!("version {is}, this binary's")),
    }
}

fn whole(found: &Inspection) -> Finding {
    match &found.damage {
        None => Finding::good("store", found.about.clone()),
        Some(damage) => {
            Finding::bad("store", format!("damaged: {damage}"), "stop the server, keep a copy, and restore")
        }
    }
}
