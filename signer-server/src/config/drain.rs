//! How a server ends.

use serde::Deserialize;

/// The end of a server: `spec/operations.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainConfig {
    /// How long it still takes calls after it was told to stop, while `/health/ready` says 503, seconds.
    pub delay_seconds: u64,
}
