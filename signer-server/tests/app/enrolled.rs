//! What an approval proves to a third party: that the phone which enrolled with the signing key signed the record.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::ecdsa::{Signature as EcdsaSignature, SigningKey, signature::Signer as _};
use signer_client::{
    Approved, EnrolledBy, ExpectedApproval, RelyingParty, ResultError, verify_approval, verify_result,
};
use signer_core::{
    approval::ApprovalRecord,
    ceremony::first_digest,
    codec::Text,
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, Epoch},
    lost_code::HolderKeysDigest,
    pin::Pin,
    suite::{KeyContext, SuiteId},
    wire::{
        ApprovalEvidence, CreateRequest, CreatedRequest, DocumentDigest, EnrolmentEvidence, SignedResult,
    },
};

use crate::{
    harness::{PIN, TestApp, request},
    support::phone::{TestPhone, network},
};

const NEW: &str = "582907";

fn signed(
    app: &TestApp,
    bank: &RelyingParty,
    phone: &mut TestPhone,
    asked: &CreateRequest,
) -> (CreatedRequest, SignedResult) {
    let made = bank.ask(asked, &app.unique("enrolled")).unwrap();
    assert!(matches!(phone.approve(made.id, PIN).unwrap(), Approved::Signed(_)));
    let result = bank.wait(made.id, Duration::ZERO).unwrap().result.unwrap();
    (made, result)
}

const fn expected(suite: SuiteId) -> EnrolledBy {
    match suite {
        SuiteId::Es256 => EnrolledBy::Certificate,
        SuiteId::FrostSecp256k1Sha256 => EnrolledBy::Signature,
    }
}

/// A device key of a bank that wants another text approved.
struct Forger(SigningKey);

impl Forger {
    fn new() -> Self {
        Self(SigningKey::from_slice(&[0x5a; 32]).unwrap())
    }

    fn device_key(&self) -> DevicePublicKeyBytes {
        let point = self.0.verifying_key().to_sec1_point(true);
        DevicePublicKeyBytes(point.as_bytes().try_into().unwrap())
    }

    /// The result with a record of the bank's own making: the same documents, the same signatures, another text.
    fn forge(&self, result: &SignedResult, enrolment: Option<EnrolmentEvidence>) -> SignedResult {
        let mut record =
            ApprovalRecord::decode(&BASE64_STANDARD.decode(&result.approval.record).unwrap()).unwrap();
        record.request.text = Text::new("I owe the bank everything.".into()).unwrap();
        record.device = self.device_key().device_id();
        let record = record.encode();
        let signature: EcdsaSignature = self.0.sign(&ApprovalRecord::to_sign(&record).0);
        let approval = ApprovalEvidence {
            record: BASE64_STANDARD.encode(record),
            signature: BASE64_STANDARD.encode(signature.to_bytes()),
            device_key: BASE64_STANDARD.encode(self.device_key().0),
            enrolment,
        };
        SignedResult { approval, ..result.clone() }
    }
}

#[test]
fn app_214_a_record_under_a_device_key_of_somebody_elses_is_refused() {
    for suite in SuiteId::ALL {
        let app = TestApp::spawn_patient(suite);
        let registered = app.relying_party("Bank of Examples", true, false);
        let bank = RelyingParty::new(network(app.url()), registered.token);
        let (mut phone, mut stranger) = (app.phone("olena"), app.phone("taras"));
        let asked = request("olena", 1);
        let (made, result) = signed(&app, &bank, &mut phone, &asked);
        let verified = verify_approval(&result, &ExpectedApproval::of(registered.id, &asked, &made)).unwrap();
        assert_eq!(verified.enrolled, expected(suite));

        let (_, others) = signed(&app, &bank, &mut stranger, &request("taras", 1));
        let (own, other) = (result.approval.enrolment.clone().unwrap(), others.approval.enrolment.unwrap());
        assert_ne!(own, other);
        let forger = Forger::new();
        for (enrolment, error) in [
            (None, ResultError::NoEnrolment),
            (Some(own.clone()), ResultError::Enrolment),
            (Some(other.clone()), ResultError::Enrolment),
        ] {
            assert_eq!(verify_result(&forger.forge(&result, enrolment)), Err(error));
        }

        let with = |enrolment: Option<EnrolmentEvidence>| {
            let mut altered = result.clone();
            altered.approval.enrolment = enrolment;
            verify_result(&altered)
        };
        let zeros = BASE64_STANDARD.encode([0; 32]);
        for altered in [
            other.clone(),
            EnrolmentEvidence { ceremony: other.ceremony, ..own.clone() },
            EnrolmentEvidence { holder_keys: other.holder_keys.clone(), ..own.clone() },
            EnrolmentEvidence { holder_keys: zeros, ..own.clone() },
            EnrolmentEvidence { signature: other.signature.clone(), ..own.clone() },
            EnrolmentEvidence { signature: result.signatures[0].signature.clone(), ..own.clone() },
        ] {
            assert_eq!(with(Some(altered)), Err(ResultError::Enrolment));
        }
        for (altered, what) in [
            (EnrolmentEvidence { holder_keys: "AA==".into(), ..own.clone() }, "the holder's keys"),
            (EnrolmentEvidence { signature: "!".into(), ..own.clone() }, "the first signature"),
        ] {
            assert_eq!(with(Some(altered)), Err(ResultError::Form(what)));
        }
        assert_eq!(with(None), Err(ResultError::NoEnrolment));
        assert_eq!(with(Some(own)), Ok(verified));
    }
}

/// A signing key signs any digest its holder approves: also that of a first signature which names the asker's device key.
#[test]
fn app_215_a_statement_that_the_holder_was_made_to_sign_does_not_replace_the_certificates() {
    for suite in SuiteId::ALL {
        let app = TestApp::spawn_patient(suite);
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        let (_, result) = signed(&app, &bank, &mut phone, &request("olena", 1));
        let forger = Forger::new();
        let enrolled = phone.phone.enrolled().unwrap();
        let context =
            KeyContext { epoch: Epoch(0), device: forger.device_key().device_id(), ..enrolled.context };
        let (ceremony, holder_keys) = (CeremonyId::from_bytes([1; 16]), HolderKeysDigest([2; 32]));
        let q = enrolled.public_key;
        let digest = first_digest(&context, &q, &forger.device_key(), ceremony, Some(&holder_keys)).unwrap();
        let asked = CreateRequest {
            documents: vec![DocumentDigest {
                name: "annex.pdf".into(),
                sha256: BASE64_STANDARD.encode(digest),
            }],
            ..request("olena", 1)
        };
        let (_, annex) = signed(&app, &bank, &mut phone, &asked);
        let mut forged = forger.forge(
            &result,
            Some(EnrolmentEvidence {
                ceremony,
                holder_keys: BASE64_STANDARD.encode(holder_keys.0),
                signature: annex.signatures[0].signature.clone(),
            }),
        );
        if suite == SuiteId::Es256 {
            assert_eq!(verify_result(&forged), Err(ResultError::EnrolmentCertificate));
            forged.certificate_chain = None;
        }
        // Without a certificate that says otherwise it passes, as what it is.
        assert_eq!(verify_result(&forged).unwrap().enrolled, EnrolledBy::Signature);
    }
}

#[test]
fn app_216_the_proof_of_an_enrolment_stays_with_its_key() {
    for suite in SuiteId::ALL {
        let app = TestApp::spawn_patient(suite);
        let (bank, mut phone) = (app.bank(), app.phone("olena"));
        let (first, before) = signed(&app, &bank, &mut phone, &request("olena", 1));
        phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap()).unwrap();
        let id = app.ask(&bank, "olena");
        assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)));
        let after = bank.wait(id, Duration::ZERO).unwrap().result.unwrap();
        assert_eq!(after.approval.enrolment, before.approval.enrolment);
        assert_eq!(verify_result(&after).unwrap().enrolled, expected(suite));

        // Another phone of the same person is another key with a proof of its own; what the first one signed stays proved.
        let mut next = app.phone("olena");
        let (_, anew) = signed(&app, &bank, &mut next, &request("olena", 1));
        assert_ne!(anew.approval.enrolment, before.approval.enrolment);
        assert_eq!(verify_result(&anew).unwrap().enrolled, expected(suite));
        let kept = bank.wait(first.id, Duration::ZERO).unwrap().result.unwrap();
        assert_eq!(kept, before);
        assert_eq!(verify_result(&kept).unwrap().enrolled, expected(suite));
    }
}
