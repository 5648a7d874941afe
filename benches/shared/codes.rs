//! An issuer, a phone and a shop: one document code from issue to verification.

use p256::ecdsa::{
    Signature, SigningKey,
    signature::{Signer as _, Verifier as _},
};
use signer_core::credential::{
    DayClaims, DayCredential, IssuerKeys, Presentation, Show, Step, StepRule, Verified, VerifyOptions, verify,
};

use crate::fixed::{self, NOW, key, record, salt, show_at};

/// As many bytes as a step's signature covers.
const MESSAGE: [u8; 80] = [0x5A; 80];

/// Everybody's keys, a day credential, and a code made from it.
#[derive(Debug)]
pub struct Parties {
    issuer: SigningKey,
    day_key: SigningKey,
    issuers: IssuerKeys,
    credential: DayCredential,
    code: Presentation,
    baseline: (SigningKey, Signature),
}

impl Parties {
    /// Issues a full driving licence and shows it.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn new() -> Self {
        let (issuer, day_key) = (fixed::issuer(), fixed::day_key());
        let issuers = IssuerKeys::new(vec![fixed::issuer_key(&issuer)]);
        let credential = claims().sign(&issuer).unwrap();
        let code = present(&credential, &day_key);
        let baseline = (key(0x44), key(0x44).sign(&MESSAGE));
        Self { issuer, day_key, issuers, credential, code, baseline }
    }

    /// The phone's new code at the start of a step: digits, signature, text.
    #[must_use]
    pub fn present(&self) -> Presentation {
        present(&self.credential, &self.day_key)
    }

    /// The same with a signature from a keystore, which is checked before it is shown.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn present_from_keystore(&self) -> Presentation {
        let unsigned = self.credential.prepare(&show(), NOW, StepRule::STANDARD).unwrap();
        let signature: Signature = self.day_key.sign(unsigned.to_sign());
        unsigned.complete(&signature.to_bytes().into()).unwrap()
    }

    /// The issuer's day credential; its signature is checked before it leaves.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn issue(&self) -> DayCredential {
        claims().sign(&self.issuer).unwrap()
    }

    /// The shop's check without a network: both signatures and every rule.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn verify(&self) -> Verified {
        verify(self.code.as_str(), &self.issuers, &VerifyOptions::at(NOW)).unwrap()
    }

    /// Baseline: one P-256 signature of the same library over as many bytes.
    #[must_use]
    pub fn p256_sign(&self) -> Signature {
        self.baseline.0.sign(&MESSAGE)
    }

    /// Baseline: two P-256 verifications of the same library, keys and signatures decoded beforehand.
    ///
    /// # Panics
    /// If anything fails.
    pub fn two_p256_verifies(&self) {
        for _ in 0..2 {
            self.baseline.0.verifying_key().verify(&MESSAGE, &self.baseline.1).unwrap();
        }
    }

    /// The text to draw.
    #[must_use]
    pub fn text(&self) -> &str {
        self.code.as_str()
    }
}

impl Default for Parties {
    fn default() -> Self {
        Self::new()
    }
}

fn claims() -> DayClaims {
    fixed::claims(record().full(&salt()))
}

fn show() -> Show {
    show_at(Step::at(NOW))
}

fn present(credential: &DayCredential, day_key: &SigningKey) -> Presentation {
    credential.present(&show(), NOW, StepRule::STANDARD, day_key).unwrap()
}
