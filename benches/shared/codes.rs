//! An issuer, a phone and a shop: one document code from issue to verification.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use signer_core::credential::{
    Date, DayClaims, DayCredential, DocumentRecord, IssuerKeys, Presentation, Received, Show, Step, StepRule,
    Verified, VerifyOptions, verify,
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
    signer: SigningKey,
    baseline: (Vec<u8>, [u8; 64]),
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
        let signer = key(0x44);
        let signature: Signature = signer.sign(&MESSAGE);
        let baseline =
            (signer.verifying_key().to_sec1_point(false).as_bytes().to_vec(), signature.to_bytes().into());
        Self { signer, issuer, day_key, issuers, credential, code, baseline }
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

    /// The same where the credential is known by its hash: the signature of the show and every rule.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn verify_known(&self) -> Verified {
        let received = Received::read(self.code.as_str()).unwrap();
        received.verify_known(Some(&self.credential.hash()), &self.issuers, &VerifyOptions::at(NOW)).unwrap()
    }

    /// Baseline: one P-256 signature of the same library over as many bytes.
    #[must_use]
    pub fn p256_sign(&self) -> Signature {
        self.signer.sign(&MESSAGE)
    }

    /// Baseline: P-256 verifications of the same library (aws-lc-rs, as in the server), from SEC1 bytes of the key.
    ///
    /// # Panics
    /// If anything fails.
    pub fn verify_times(&self, times: usize) {
        let (key, signature) = &self.baseline;
        for _ in 0..times {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(&MESSAGE, signature).unwrap();
        }
    }

    /// A code of each profile, by its name, for the licence of this holder.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn of_each_profile(&self) -> [(&'static str, Presentation); 3] {
        let (record, salt, today) = (record(), salt(), Date::of(NOW).unwrap());
        let documents = [
            ("age", record.age(today, &[DocumentRecord::AGE], &salt).unwrap()),
            ("minimal", record.minimal(today).unwrap()),
            ("full", record.full(&salt)),
        ];
        documents.map(|(profile, document)| {
            let credential = fixed::claims(document).sign(&self.issuer).unwrap();
            (profile, present(&credential, &self.day_key))
        })
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
