//! Where figures are read.

use std::net::SocketAddr;

use serde::Deserialize;

/// Metrics: `spec/metrics.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address of a listener of their own, which serves `/metrics` to whoever reaches it. Without it they are not given out.
    pub listen: Option<SocketAddr>,
}
