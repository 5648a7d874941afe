//! Limits of one relying party.

use clap::Args;
use serde_json::{Value, json};
use signer_core::{
    ids::RelyingPartyId,
    wire::{RelyingPartyLimits, RelyingPartyView},
};

use super::{AdminClient, print};

/// Whose limits, and which.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Its id, or its name.
    #[arg(value_name = "ID|NAME")]
    party: String,
    /// Calls in a second, over time [as configured: limits.calls_per_second]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    calls_per_second: Option<u32>,
    /// Bytes that its requests may take until they are forgotten [as configured: limits.kept_bytes]
    #[arg(long, value_name = "BYTES")]
    kept_bytes: Option<u64>,
}

pub(super) fn limit(admin: &AdminClient, json: bool, args: &LimitArgs) -> Result<(), String> {
    let id = find(admin, &args.party)?;
    let limits = RelyingPartyLimits { calls_per_second: args.calls_per_second, kept_bytes: args.kept_bytes };
    let body = serde_json::to_vec(&limits).map_err(|error| error.to_string())?;
    admin.send::<Value>("PUT", &format!("/admin/v1/relying-parties/{id}/limits"), Some(body))?;
    let own = own(&limits);
    let text = if own.is_empty() { "As configured." } else { own.trim_start() };
    print(json, &json!({ "id": id, "limits": limits }), text);
    Ok(())
}

/// A relying party by its id, or by a name that one has which is not revoked.
fn find(admin: &AdminClient, party: &str) -> Result<RelyingPartyId, String> {
    if let Ok(id) = party.parse() {
        return Ok(id);
    }
    let all: Vec<RelyingPartyView> = admin.send("GET", "/admin/v1/relying-parties", None)?;
    let mut named = all.iter().filter(|view| view.name == party && !view.revoked);
    match (named.next(), named.next()) {
        (Some(view), None) => Ok(view.id),
        (None, _) => Err("no relying party has this id or name: signer-server relying-party list".into()),
        (Some(_), Some(_)) => Err("several have this name: say the id".into()),
    }
}

/// Limits that one has of its own, after its name; nothing if it has none.
pub(super) fn own(limits: &RelyingPartyLimits) -> String {
    let calls = limits.calls_per_second.map(|calls| format!("at most {calls} calls a second"));
    let kept = limits.kept_bytes.map(|kept| format!("at most {} kept", bytes(kept)));
    let all: Vec<_> = calls.into_iter().chain(kept).collect();
    if all.is_empty() { String::new() } else { format!("  {}", all.join(", ")) }
}

/// A number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    let mut unit = ("B", 1_u64);
    for next in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)] {
        if count >= next.1 {
            unit = next;
        }
    }
    let tenths = count.saturating_mul(10) / unit.1;
    if unit.1 == 1 { format!("{count} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, unit.0) }
}
