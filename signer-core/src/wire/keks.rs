//! JSON bodies of the operator's view of key-encryption keys.

#[cfg(not(feature = "openapi"))]
use alloc::{string::String, vec::Vec};
#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/keks`: the generations of the key-encryption key, and how far a rotation has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeksView {
    /// The generations, oldest first.
    pub generations: Vec<KekView>,
    /// Nodes at work.
    pub nodes: u32,
    /// Of them, those that do not hold the prepared generation, or do not wrap under the current one yet.
    pub nodes_behind: u32,
}

/// A generation of the key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KekView {
    /// Its number, from 1.
    pub generation: u32,
    /// What wrapped secrets name it by, hex.
    pub id: String,
    /// Where it is: `file`; `kek`: unwrapped by a token; `every`: in a token.
    pub source: String,
    /// `prepared`, `current`, `old` or `retired`.
    pub state: String,
    /// When it was made, Unix seconds.
    pub made: u64,
    /// When it came into its state, Unix seconds.
    pub changed: u64,
    /// What is still wrapped under it, of an old one.
    pub left: Vec<KekLeft>,
}

/// What is still wrapped under a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KekLeft {
    /// `shares`, `certificates`, `digits`, `documents`, `links`, `server_keys` or `ceremonies`.
    pub what: String,
    /// How many.
    pub rows: u64,
}
