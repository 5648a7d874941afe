//! A phone's batch of day credentials, and the register behind it.

use p256::{ecdsa::SigningKey, elliptic_curve::Generate as _};
use signer_core::{
    codec::List,
    credential::{DayCredential, DocumentType, Presentation, Show, StepRule, Turn, digits},
    device_key::DevicePublicKeyBytes,
    secret::SecretBytes,
    time::UnixSeconds,
    wire::{
        BATCH_MAX, DayKeyRequest, IssueCredentials, IssuedCredentials, Profile, WireSecret, day_key_proof,
    },
};

use crate::phone::{Phone, sign};

/// Codes that a credential has in a step.
pub const TURNS: u8 = 16;

/// Day keys whose credentials were asked for.
#[derive(Debug)]
pub struct Asked(Vec<SigningKey>);

/// Credentials with their day keys, and the secret of their digits.
#[derive(Debug)]
pub struct Batch {
    credentials: Vec<(DayCredential, SigningKey)>,
    secret: SecretBytes<32>,
}

/// Fresh day keys, and the question for their credentials: of a driving licence, [`BATCH_MAX`] of one profile.
///
/// # Panics
/// If a proof cannot be made.
pub fn ask(phone: &mut Phone, profile: Profile) -> (Asked, IssueCredentials) {
    let keys: Vec<_> = (0..BATCH_MAX).map(|_| SigningKey::generate_from_rng(&mut phone.rng)).collect();
    let asked = keys.iter().map(|key| {
        let point = key.verifying_key().to_sec1_point(true);
        let day_key = DevicePublicKeyBytes(point.as_bytes().try_into().unwrap());
        let proof = sign(key, day_key_proof(phone.device, profile, &day_key));
        DayKeyRequest { profile, day_key, proof }
    });
    let question = IssueCredentials {
        document_type: DocumentType::DrivingLicence.number().into(),
        keys: List::new(asked.collect()).unwrap(),
    };
    (Asked(keys), question)
}

impl Asked {
    /// The batch that came.
    ///
    /// # Panics
    /// If one is no credential.
    #[must_use]
    pub fn issued(self, issued: IssuedCredentials) -> Batch {
        let credentials = issued.credentials.as_slice().iter();
        let credentials = credentials.map(|one| DayCredential::from_bytes(one.as_slice()).unwrap());
        let WireSecret(secret) = issued.otp_secret;
        Batch { credentials: credentials.zip(self.0).collect(), secret }
    }
}

impl Batch {
    /// The QR of a credential at a turn (0 to 15) of the present step; `None` if there is no such credential or turn.
    ///
    /// # Panics
    /// If the credential has expired.
    #[must_use]
    pub fn code(&self, place: usize, turn: u8, now: UnixSeconds) -> Option<Presentation> {
        let (credential, key) = self.credentials.get(place)?;
        let (step, turn) = (StepRule::STANDARD.step_at(now), Turn::try_from(turn).ok()?);
        let digits = digits(&self.secret, credential.claims().status(), step, turn);
        let show = Show { step, turn, digits, challenge: None };
        Some(credential.present(&show, now, StepRule::STANDARD, key).unwrap())
    }
}

/// What the register says of anybody's driving licence.
#[must_use]
pub fn licence(number: usize) -> serde_json::Value {
    serde_json::json!({
        "document_type": "driving_licence",
        "family": "Шевченко",
        "given": "Олена Григорівна",
        "birth": "1994-03-09",
        "number": format!("BXT{number:06}"),
        "expires": "2046-08-01",
        "rights": "A,B",
    })
}
