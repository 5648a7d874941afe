//! What the verifier page is told at its start.

use super::Service;

impl Service {
    /// Where this server is reached, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.ca.terms.public_url
    }

    /// The root key that signs the trust list, base64url of its compressed point; none until a trust list is served.
    #[must_use]
    pub const fn trust_root(&self) -> Option<String> {
        None
    }

    /// Length of a code's step.
    #[must_use]
    pub const fn step_seconds(&self) -> u64 {
        self.rule.seconds()
    }
}
