//! The token that holds keys.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ConfigError;
use crate::store::KekSource;

/// Longest name of keys in the token, bytes.
const NAME_BYTES_MAX: usize = 32;

/// Which work of the key-encryption key the token does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HsmMode {
    /// It unwraps the key once, into locked memory.
    #[default]
    Kek,
    /// Every secret is wrapped and unwrapped in it.
    Every,
}

/// A token of a PKCS#11 library: `spec/hsm.md`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HsmConfig {
    /// The library. Without one, keys are in files.
    pub module: Option<PathBuf>,
    /// Label of the token.
    pub token: String,
    /// File with the PIN of the token's user, on one line.
    pub pin_file: Option<PathBuf>,
    /// What the token does with key-encryption keys.
    pub mode: HsmMode,
    /// What the labels of this server's keys in the token begin with.
    pub name: String,
    /// Longest wait for the token in one operation, seconds.
    pub timeout_seconds: u64,
}

impl Default for HsmConfig {
    fn default() -> Self {
        Self {
            module: None,
            token: String::new(),
            pin_file: None,
            mode: HsmMode::Kek,
            name: "signer".into(),
            timeout_seconds: 5,
        }
    }
}

impl HsmConfig {
    /// The library, if keys are in a token, and the file with its PIN.
    #[must_use]
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.module.as_deref().zip(self.pin_file.as_deref())
    }

    /// Where the next key-encryption key is made.
    #[must_use]
    pub fn source(&self) -> KekSource {
        match (self.files(), self.mode) {
            (None, _) => KekSource::File,
            (Some(_), HsmMode::Kek) => KekSource::Unwrapped,
            (Some(_), HsmMode::Every) => KekSource::Token,
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |text: &str| Err(ConfigError::Value(text.into()));
        if self.module.is_some() != self.pin_file.is_some() || self.module.is_some() == self.token.is_empty()
        {
            return refuse("hsm.module, hsm.token and hsm.pin_file go together");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=NAME_BYTES_MAX).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return refuse("hsm.name is from 1 to 32 letters, digits, - and _");
        }
        if !(1..=60).contains(&self.timeout_seconds) {
            return refuse("hsm.timeout_seconds is from 1 to 60");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_whole_or_not_at_all() {
        let none = HsmConfig::default();
        assert!(none.check().is_ok());
        assert_eq!(none.source(), KekSource::File);
        let whole = HsmConfig {
            module: Some("library.so".into()),
            token: "token".into(),
            pin_file: Some("pin".into()),
            ..none
        };
        assert!(whole.check().is_ok());
        assert_eq!(whole.source(), KekSource::Unwrapped);
        assert_eq!(HsmConfig { mode: HsmMode::Every, ..whole.clone() }.source(), KekSource::Token);
        assert!(HsmConfig { module: None, ..whole.clone() }.check().is_err());
        assert!(HsmConfig { pin_file: None, ..whole.clone() }.check().is_err());
        assert!(HsmConfig { token: String::new(), ..whole.clone() }.check().is_err());
        assert!(HsmConfig { name: "a b".into(), ..whole.clone() }.check().is_err());
        assert!(HsmConfig { timeout_seconds: 0, ..whole }.check().is_err());
    }
}
