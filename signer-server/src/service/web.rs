//! What the verifier page is told at its start.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::Service;

impl Service {
    /// Where this server is reached, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.ca.terms.public_url
    }

    /// The root key that signs the trust list, base64url of its compressed point.
    #[must_use]
    pub fn trust_root(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.trust.root_point())
    }

    /// Length of a code's step.
    #[must_use]
    pub const fn step_seconds(&self) -> u64 {
        self.rule.seconds()
    }
}
