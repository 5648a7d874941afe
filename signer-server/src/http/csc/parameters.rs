//! Parameters of a call. Members that are null or unknown count as left out: clients send many that mean nothing here.

use serde_json::{Map, Value};

use super::{Version, invalid};
use crate::{
    http::oauth_error::OauthProblem,
    service::{MULTISIGN_MAX, OauthRefusal, SHA256, digest},
};

pub(super) struct Parameters {
    pub(super) version: Version,
    pub(super) members: Map<String, Value>,
}

impl Parameters {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A string that must be there.
    pub(super) fn string(&self, name: &str) -> Result<&str, OauthProblem> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| missing("string", name))
    }

    /// A string, if it is there and is one.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&str>, OauthProblem> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| invalid(name))).transpose()
    }

    /// Whether a switch is on.
    pub(super) fn flag(&self, name: &str) -> Result<bool, OauthProblem> {
        self.get(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| invalid(name)))
    }

    /// The hashes. The two versions name them differently; either name is taken.
    pub(super) fn hashes(&self) -> Result<Vec<[u8; 32]>, OauthProblem> {
        let (own, other) = if self.version == Version::V1 { ("hash", "hashes") } else { ("hashes", "hash") };
        let list = self.get(own).or_else(|| self.get(other)).and_then(Value::as_array);
        let list = list.ok_or_else(|| missing("array", own))?;
        if list.is_empty() {
            return Err(OauthRefusal::request("Empty hash array").into());
        }
        if list.len() > MULTISIGN_MAX {
            return Err(OauthRefusal::request("Numbers of signatures is too high").into());
        }
        let read = |hash: &Value| digest(hash.as_str().unwrap_or_default()).map_err(OauthProblem::from);
        list.iter().map(read).collect()
    }

    /// The algorithm of the hashes, where it is named: SHA-256.
    pub(super) fn check_hash_algorithm(&self) -> Result<(), OauthProblem> {
        for name in ["hashAlgo", "hashAlgorithmOID"] {
            if self.optional(name)?.is_some_and(|oid| oid != SHA256) {
                return Err(invalid(name));
            }
        }
        Ok(())
    }
}

fn missing(kind: &str, name: &str) -> OauthProblem {
    OauthRefusal::request(format!("Missing (or invalid type) {kind} parameter {name}")).into()
}
