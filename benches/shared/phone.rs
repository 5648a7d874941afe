//! A phone by the types of `signer-core`, without the work on the PIN, which is the phone's alone.

use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    elliptic_curve::Generate as _,
};
use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::{
    approval::RequestObject,
    ceremony::DeviceEnrolment,
    codec::{self, Text},
    device_key::{DevicePublicKeyBytes, DeviceSignature, ToSign},
    ids::DeviceId,
    pin::{PinCost, PinMask, Salt, UnlockedKey},
    secret::SecretBytes,
    signing::FetchSent,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{
        CreateEnrolmentCode, CreateRequest, DocumentDigest, EnrolConfirm, EnrolmentCode, Envelope, Exchange,
        Fetched, RequestsQuery, Token, WireSecret,
    },
};
use signer_server::{service::Service, store::RelyingPartyRow};

use crate::enrolment::holder_keys;

/// The reference of a person.
pub(crate) fn person(number: usize) -> String {
    format!("person-{number}")
}

/// A phone with its key unlocked.
#[derive(Debug)]
pub(crate) struct Phone {
    person: String,
    pub(crate) rng: StdRng,
    device_key: SigningKey,
    pub(crate) device: DeviceId,
    token: Token,
    key: UnlockedKey,
}

impl Phone {
    /// Enrols `person(number)`.
    pub(crate) async fn enrol(service: &Service, suite: SuiteId, number: usize) -> Self {
        let person = person(number);
        let mut rng = StdRng::seed_from_u64(number.try_into().unwrap());
        let device_key = SigningKey::generate_from_rng(&mut rng);
        let public = device_key.verifying_key().to_sec1_point(true);
        let public = DevicePublicKeyBytes(public.as_bytes().try_into().unwrap());
        let device = public.device_id();
        let now = service.now();

        let asked = CreateEnrolmentCode { person: person.clone(), expires_in: None };
        let code = service.create_enrolment_code(asked).await.unwrap().code;
        let code = EnrolmentCode(Text::new(code).unwrap());
        let (enrolment, start) =
            DeviceEnrolment::start(suite, public, code, holder_keys(device), &mut rng).unwrap();
        let started = service.enrol_start(&seal(&device_key, device, now, &start)).await.unwrap();
        let hedge = SecretBytes::random(&mut rng);
        let (keyed, keys) = enrolment.keys(&started, &hedge, &mut rng).unwrap();
        let reply = service.enrol_keys(&seal(&device_key, device, now, &keys)).await.unwrap();
        let (ready, token) = keyed.ready(reply, &mut rng).unwrap();
        let context = *ready.context();
        let mask = || PinMask::derive(&SecretBytes::new([4; 32]), &context);
        let (unproven, confirmation) =
            ready.confirm(mask(), Salt::random(&mut rng), PinCost::FLOOR, &mut rng).unwrap();
        let confirm = EnrolConfirm(confirmation);
        let confirmed = service.enrol_confirm(&seal(&device_key, device, now, &confirm)).await.unwrap();
        let key = unproven.prove(&confirmed).unwrap().unmask(mask());
        Self { person, rng, device_key, device, token, key }
    }

    /// So many sealed approvals, ready to be sent.
    pub(crate) async fn approvals(
        &mut self,
        service: &Service,
        bank: &RelyingPartyRow,
        each: usize,
    ) -> Vec<Vec<u8>> {
        for _ in 0..each {
            service.create_request(bank, self.request(), None).await.unwrap();
        }
        let listed = service.pending(&self.seal(service.now(), &RequestsQuery {})).await.unwrap().requests;
        assert_eq!(listed.len(), each);
        let mut approvals = Vec::new();
        for object in listed {
            approvals.push(self.approval(service, object).await);
        }
        approvals
    }

    /// A request of one document for this phone's holder.
    pub(crate) fn request(&self) -> CreateRequest {
        let sha256 = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=".into();
        CreateRequest {
            person: self.person.clone(),
            text: "Please sign the contract for your new account.".into(),
            documents: vec![DocumentDigest { name: "contract.pdf".into(), sha256 }],
            ..CreateRequest::default()
        }
    }

    /// The token stays the first one: presenting it again is allowed until a newer one is presented.
    async fn approval(&mut self, service: &Service, object: RequestObject) -> Vec<u8> {
        let (sent, fetch) = self.fetch(object, service.now());
        let fetched = service.fetch(&fetch).await.unwrap();
        self.approve(sent, fetched, service.now())
    }

    /// A sealed fetch.
    pub(crate) fn fetch(&mut self, object: RequestObject, now: UnixSeconds) -> (FetchSent, Vec<u8>) {
        let hedge = SecretBytes::random(&mut self.rng);
        let (sent, fetch) = FetchSent::start(*self.key.context(), object, &hedge, &mut self.rng).unwrap();
        (sent, self.seal(now, &fetch))
    }

    /// The sealed approve to its answer.
    pub(crate) fn approve(&self, sent: FetchSent, fetched: Fetched, now: UnixSeconds) -> Vec<u8> {
        let token = WireSecret(self.token.0.duplicate());
        let approval = sent.shown(fetched).unwrap().approve(&self.key, token, now).unwrap();
        let signature = sign(&self.device_key, approval.to_sign());
        let (approve, _) = approval.complete(signature);
        self.seal(now, &approve)
    }

    pub(crate) fn seal<E: Exchange>(&self, now: UnixSeconds, body: &E) -> Vec<u8> {
        seal(&self.device_key, self.device, now, body)
    }
}

fn seal<E: Exchange>(key: &SigningKey, device: DeviceId, now: UnixSeconds, body: &E) -> Vec<u8> {
    let body = codec::encode(body);
    let signature = sign(key, Envelope::to_sign::<E>(device, now, &body));
    Envelope::seal::<E>(device, now, body, signature).unwrap()
}

pub(crate) fn sign(key: &SigningKey, message: ToSign) -> DeviceSignature {
    let signature: Signature = key.sign(&message.0);
    DeviceSignature(signature.normalize_s().to_bytes().into())
}
