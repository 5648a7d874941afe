//! What an operator wants to know of a store that may be open elsewhere.

use signer_core::time::UnixSeconds;

/// A store as it was found, without opening it for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What it is, for people.
    pub about: String,
    /// Version of its schema, and the newest this binary knows.
    pub schema: (u32, u32),
    /// What is wrong in its file, if the engine can tell.
    pub damage: Option<String>,
    /// Time of its newest act.
    pub latest_time: UnixSeconds,
    /// The database server's clock.
    pub server_time: Option<UnixSeconds>,
    /// Whether a standby has each commit before it is answered.
    pub synchronous: Option<bool>,
    /// Connections that the database allows to all, and that this node may take.
    pub connections: Option<(u64, u64)>,
}
