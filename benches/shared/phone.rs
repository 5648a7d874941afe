//! A phone by the types of `signer-core`, without the work on the PIN, which is the phone's alone.

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
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
    pin::{MaskedKey, PinCost, Salt, UnlockedKey},
    secret::SecretBytes,
    signing::FetchSent,
    suite::SuiteId,
    time::UnixSeconds,
    wire::{
        CreateEnrolmentCode, CreateRequest, DocumentDigest, EnrolConfirm, EnrolmentCode, Envelope, Exchange,
        Fetched, Operation, Presented, REPLY_BYTES_MAX, RequestsQuery, Token, WireSecret,
    },
};
use signer_server::{service::Service, store::RelyingPartyRow};

use crate::enrolment::{holder_keys, mask};

/// The reference of a person.
#[must_use]
pub fn person(number: usize) -> String {
    format!("person-{number}")
}

/// A phone with its key unlocked.
#[derive(Debug)]
pub struct Phone {
    person: String,
    pub(crate) rng: StdRng,
    device_key: SigningKey,
    pub(crate) device: DeviceId,
    token: Token,
    masked: MaskedKey,
    key: UnlockedKey,
}

/// Sends a sealed message of an operation and brings the reply.
pub trait Post {
    /// The reply's bytes.
    fn post(&mut self, operation: Operation, message: Vec<u8>) -> impl Future<Output = Vec<u8>> + Send;
}

struct InProcess<'a>(&'a Service);

impl Post for InProcess<'_> {
    async fn post(&mut self, operation: Operation, message: Vec<u8>) -> Vec<u8> {
        match operation {
            Operation::EnrolStart => codec::encode(&self.0.enrol_start(&message).await.unwrap()),
            Operation::EnrolKeys => codec::encode(&self.0.enrol_keys(&message).await.unwrap()),
            _ => codec::encode(&self.0.enrol_confirm(&message).await.unwrap()),
        }
    }
}

impl Phone {
    /// Enrols `person(number)`.
    pub(crate) async fn enrol(service: &Service, suite: SuiteId, number: usize) -> Self {
        let person = person(number);
        let rng = StdRng::seed_from_u64(number.try_into().unwrap());
        let asked = CreateEnrolmentCode { person: person.clone(), expires_in: None };
        let code = service.create_enrolment_code(asked).await.unwrap().code;
        Self::enrol_by(&mut InProcess(service), suite, person, code, service.now(), rng).await
    }

    /// Enrols a person with a code, by messages.
    ///
    /// # Panics
    /// If one is refused.
    pub async fn enrol_by(
        server: &mut impl Post,
        suite: SuiteId,
        person: String,
        code: String,
        now: UnixSeconds,
        mut rng: StdRng,
    ) -> Self {
        let device_key = SigningKey::generate_from_rng(&mut rng);
        let public = public(&device_key);
        let device = public.device_id();
        let code = EnrolmentCode(Text::new(code).unwrap());
        let (enrolment, start) =
            DeviceEnrolment::start(suite, public, code, holder_keys(device), &mut rng).unwrap();
        let started = exchange(server, seal(&device_key, device, now, &start), &start).await;
        let hedge = SecretBytes::random(&mut rng);
        let (keyed, keys) = enrolment.keys(&started, &hedge, &mut rng).unwrap();
        let reply = exchange(server, seal(&device_key, device, now, &keys), &keys).await;
        let (ready, token) = keyed.ready(reply, &mut rng).unwrap();
        let context = *ready.context();
        let (unproven, confirmation) =
            ready.confirm(mask(&context), Salt::random(&mut rng), PinCost::FLOOR, &mut rng).unwrap();
        let confirm = EnrolConfirm(confirmation);
        let confirmed = exchange(server, seal(&device_key, device, now, &confirm), &confirm).await;
        let masked = unproven.prove(&confirmed).unwrap();
        let key = masked.unmask(mask(&context));
        Self { person, rng, device_key, device, token, masked, key }
    }

    /// One line of text from which [`Phone::read`] makes it again. It is a secret.
    #[must_use]
    pub fn line(&self) -> String {
        let parts =
            [self.device_key.to_bytes().to_vec(), codec::encode(&self.token), codec::encode(&self.masked)];
        let parts = parts.map(|bytes| STANDARD.encode(bytes));
        format!("{} {}", self.person, parts.join(" "))
    }

    /// The phone of a line.
    #[must_use]
    pub fn read(line: &str, rng: StdRng) -> Option<Self> {
        let mut words = line.split(' ');
        let person = words.next()?.to_owned();
        let mut bytes = || STANDARD.decode(words.next()?).ok();
        let device_key = SigningKey::from_slice(&bytes()?).ok()?;
        let token = codec::decode(&bytes()?, 64).ok()?;
        let masked: MaskedKey = codec::decode(&bytes()?, 512).ok()?;
        let key = masked.unmask(mask(masked.context()));
        let device = public(&device_key).device_id();
        Some(Self { person, rng, device_key, device, token, masked, key })
    }

    /// Whose phone it is.
    #[must_use]
    pub fn person(&self) -> &str {
        &self.person
    }

    /// The token to present next, after a success.
    pub fn take_token(&mut self, token: Token) {
        self.token = token;
    }

    /// A request, and its sealed approval, ready to be sent. The token stays the first one: presenting it again is allowed until
    /// a newer one is presented.
    pub(crate) async fn approval(&mut self, service: &Service, bank: &RelyingPartyRow) -> Vec<u8> {
        service.create_request(bank, self.request(), None).await.unwrap();
        let listed = service.pending(&self.seal(service.now(), &RequestsQuery {})).await.unwrap().requests;
        let [object] = <[RequestObject; 1]>::try_from(listed).unwrap();
        let (sent, fetch) = self.fetch(object, service.now());
        let fetched = service.fetch(&fetch).await.unwrap();
        self.approve(sent, fetched, service.now())
    }

    /// A request of one document for this phone's holder.
    #[must_use]
    pub fn request(&self) -> CreateRequest {
        let sha256 = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=".into();
        CreateRequest {
            person: self.person.clone(),
            text: "Please sign the contract for your new account.".into(),
            documents: vec![DocumentDigest { name: "contract.pdf".into(), sha256 }],
            ..CreateRequest::default()
        }
    }

    /// A sealed fetch.
    ///
    /// # Panics
    /// If a commitment cannot be computed.
    pub fn fetch(&mut self, object: RequestObject, now: UnixSeconds) -> (FetchSent, Vec<u8>) {
        let hedge = SecretBytes::random(&mut self.rng);
        let (sent, fetch) = FetchSent::start(*self.key.context(), object, &hedge, &mut self.rng).unwrap();
        (sent, self.seal(now, &fetch))
    }

    /// The sealed approve to its answer.
    ///
    /// # Panics
    /// If what was fetched is not what was listed.
    #[must_use]
    pub fn approve(&self, sent: FetchSent, fetched: Fetched, now: UnixSeconds) -> Vec<u8> {
        // It never hears of a success: it prepares all its approvals before it sends the first.
        let presented = Presented { token: WireSecret(self.token.0.duplicate()), unheard: u32::MAX };
        let approval = sent.shown(fetched).unwrap().approve(&self.key, presented, now).unwrap();
        let signature = sign(&self.device_key, approval.to_sign());
        let (approve, _) = approval.complete(signature);
        self.seal(now, &approve)
    }

    /// An envelope around a body.
    #[must_use]
    pub fn seal<E: Exchange>(&self, now: UnixSeconds, body: &E) -> Vec<u8> {
        seal(&self.device_key, self.device, now, body)
    }
}

async fn exchange<E: Exchange>(server: &mut impl Post, message: Vec<u8>, _: &E) -> E::Reply {
    codec::decode(&server.post(E::OPERATION, message).await, REPLY_BYTES_MAX).unwrap()
}

fn public(key: &SigningKey) -> DevicePublicKeyBytes {
    DevicePublicKeyBytes(key.verifying_key().to_sec1_point(true).as_bytes().try_into().unwrap())
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
