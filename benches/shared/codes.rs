//! An issuer, a phone and a shop: one document code from issue to verification.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use signer_core::{
    credential::{
        Date, DayClaims, DayCredential, Document, DocumentRecord, DocumentType, IssuerKey, IssuerKeys, Name, Portrait,
        PortraitSalt, Presentation, Received, Short, Show, StatusIndex, Step, StepRule, Turn, Verified,
        VerifyOptions, digits, verify,
    },
    secret::SecretBytes,
    time::UnixSeconds,
    trust::IssuerId,
};

const NOW: UnixSeconds = UnixSeconds(1_795_169_700);
const STATUS: StatusIndex = StatusIndex { list: 1, index: 777_777 };
const SALT: PortraitSalt = PortraitSalt([0x44; 16]);
/// As many bytes as a step's signature covers.
const MESSAGE: [u8; 80] = [0x5A; 80];

/// Everybody's keys, a day credential, and a code made from it.
#[derive(Debug)]
pub struct Parties {
    issuer: SigningKey,
    day_key: SigningKey,
    secret: SecretBytes<32>,
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
        let key = |seed| SigningKey::from_slice(&[seed; 32]).unwrap();
        let (issuer, day_key, secret) = (key(0x11), key(0x22), SecretBytes::new([0x33; 32]));
        let issuers = IssuerKeys::new(vec![IssuerKey {
            issuer: IssuerId(1),
            key: *issuer.verifying_key(),
            document_types: vec![DocumentType::DrivingLicence],
            not_before: NOW.minus(86_400),
            not_after: NOW.plus(86_400),
        }]);
        let credential = claims(&day_key, record().full(&SALT)).sign(&issuer).unwrap();
        let code = present(&credential, &day_key, &secret);
        let signer = key(0x44);
        let signature: Signature = signer.sign(&MESSAGE);
        let baseline =
            (signer.verifying_key().to_sec1_point(false).as_bytes().to_vec(), signature.to_bytes().into());
        Self { signer, issuer, day_key, secret, issuers, credential, code, baseline }
    }

    /// The phone's new code at the start of a step: digits, signature, text.
    #[must_use]
    pub fn present(&self) -> Presentation {
        present(&self.credential, &self.day_key, &self.secret)
    }

    /// The same with a signature from a keystore, which is checked before it is shown.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn present_from_keystore(&self) -> Presentation {
        let unsigned = self.credential.prepare(&show(&self.secret), NOW, StepRule::STANDARD).unwrap();
        let signature: Signature = self.day_key.sign(unsigned.to_sign());
        unsigned.complete(&signature.to_bytes().into()).unwrap()
    }

    /// The issuer's day credential; its signature is checked before it leaves.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn issue(&self) -> DayCredential {
        claims(&self.day_key, record().full(&SALT)).sign(&self.issuer).unwrap()
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
        let (record, today) = (record(), Date::of(NOW).unwrap());
        let documents = [
            ("age", record.age(today, &[DocumentRecord::AGE], &SALT).unwrap()),
            ("minimal", record.minimal(today).unwrap()),
            ("full", record.full(&SALT)),
        ];
        documents.map(|(profile, document)| {
            let credential = claims(&self.day_key, document).sign(&self.issuer).unwrap();
            (profile, present(&credential, &self.day_key, &self.secret))
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

fn claims(day_key: &SigningKey, document: Document) -> DayClaims {
    DayClaims::new(NOW, *day_key.verifying_key(), STATUS, document, false)
}

fn record() -> DocumentRecord {
    DocumentRecord {
        document_type: DocumentType::DrivingLicence,
        family: Name::new("Шевченко").unwrap(),
        given: Name::new("Тарас Григорович").unwrap(),
        birth: "1994-03-09".parse().unwrap(),
        number: Short::new("ВХА123456").unwrap(),
        expires: "2034-05-31".parse().unwrap(),
        rights: Short::new("A,B").unwrap(),
        portrait: Some(Portrait::new(b"\xFF\xD8\xFFportrait".to_vec()).unwrap()),
    }
}

fn show(secret: &SecretBytes<32>) -> Show {
    let step = Step::at(NOW);
    Show { step, turn: Turn::FIRST, digits: digits(secret, STATUS, step, Turn::FIRST), challenge: None }
}

fn present(credential: &DayCredential, day_key: &SigningKey, secret: &SecretBytes<32>) -> Presentation {
    credential.present(&show(secret), NOW, StepRule::STANDARD, day_key).unwrap()
}
