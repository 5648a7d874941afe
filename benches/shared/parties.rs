//! One key of either suite, split between two parties, in the middle of one signature.

use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::{
    approval::{Document, RelyingParty, RequestObject},
    ceremony::ServerKey,
    codec::{self, Label, List, Text},
    device_key::DeviceSignature,
    domain::{Domain, Macer},
    ids::{RelyingPartyId, RequestId},
    pin::UnlockedKey,
    secret::SecretBytes,
    signing::{FetchSent, Sent, answer_fetch},
    suite::{
        Commitments, GroupPublicKey, KeyContext, PROTOCOL_VERSION, Signature, SigningContext, Suite, SuiteId,
    },
    wire::{Approve, ApproveItem, ApprovePayload, Evaluated, Fetch, Fetched, Presented, WireSecret},
};

use crate::enrolment::{Enrolled, NOW, enrol, mask};

/// What is signed.
pub const DIGEST: [u8; 32] = [0x5A; 32];

/// Both parties after enrolment, and the messages of one signature.
#[derive(Debug)]
pub struct Parties {
    suite: &'static dyn Suite,
    context: KeyContext,
    public_key: GroupPublicKey,
    server: ServerKey,
    device: UnlockedKey,
    object: RequestObject,
    fetch: Fetch,
    fetched: Fetched,
    approve: Approve,
    /// With its MAC taken out.
    payload: ApprovePayload,
    mac: [u8; 32],
    sent: Sent,
    signature: Signature,
}

impl Parties {
    /// Enrols and signs once.
    ///
    /// # Panics
    /// If anything fails.
    #[must_use]
    pub fn new(suite: SuiteId) -> Self {
        let Enrolled { context, public_key, server, device, .. } = enrol(suite, 1);
        let device = device.unmask(mask(&context));
        let object = request();
        let (sent, fetch) = FetchSent::start(context, object.clone(), &hedge(), &mut generator()).unwrap();
        let fetched = answer_fetch(&server, context, public_key, object.clone(), &fetch, NOW).unwrap();
        let approval = sent.shown(fetched.clone()).unwrap().approve(&device, presented(), NOW).unwrap();
        let (approve, sent) = approval.complete(DeviceSignature([0; 64]));
        let mut payload: ApprovePayload = codec::decode(approve.payload.as_slice(), 64 * 1024).unwrap();
        let mac = std::mem::take(&mut payload.mac);
        let item = payload.items.as_slice().first().unwrap();
        let signing = signing(context, public_key, &object);
        let signature = suite
            .get()
            .finish(&server.share, &server.nonce_key, &signing, item.commitments(), &item.contribution)
            .unwrap();
        let suite = suite.get();
        Self {
            suite,
            context,
            public_key,
            server,
            device,
            object,
            fetch,
            fetched,
            approve,
            payload,
            mac,
            sent,
            signature,
        }
    }

    fn item(&self) -> &ApproveItem {
        self.payload.items.as_slice().first().unwrap()
    }

    /// The server's answer to the fetch: commitment and receipt.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server_fetch(&self) -> Fetched {
        answer_fetch(&self.server, self.context, self.public_key, self.object.clone(), &self.fetch, NOW)
            .unwrap()
    }

    /// What the server does with an approve before it counts the attempt: the form, and the receipt.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server_check(&self) -> bool {
        let item = self.item();
        self.suite.check_syntax(&item.device, &item.contribution).unwrap();
        let Commitments { device, server } = item.commitments();
        self.macer(&self.server.nonce_key, Domain::FetchReceipt)
            .number(NOW.0)
            .field(device.as_slice())
            .field(server.as_slice())
            .verify(&self.payload.receipt)
    }

    /// What the server does first with a reserved attempt: the gate's MAC over the whole payload.
    #[must_use]
    pub fn server_gate(&self) -> bool {
        let body = codec::encode(&self.payload);
        self.macer(self.server.gate_key.expose(), Domain::GateApprove).field(&body).verify(&self.mac)
    }

    /// As both MACs of the signing layer begin.
    fn macer(&self, key: &SecretBytes<32>, domain: Domain) -> Macer {
        Macer::new(key, domain)
            .number(PROTOCOL_VERSION.into())
            .number(self.context.suite.number().into())
            .field(self.context.key.as_bytes())
            .number(self.context.epoch.0.into())
            .field(self.context.device.as_bytes())
            .field(&self.public_key.0)
            .field(&self.object.hash())
    }

    /// What the server does last: its own part, the sum, the check as an outsider.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server_finish(&self) -> Signature {
        let (item, signing) = (self.item(), signing(self.context, self.public_key, &self.object));
        let ServerKey { share, nonce_key, .. } = &self.server;
        self.suite.finish(share, nonce_key, &signing, item.commitments(), &item.contribution).unwrap()
    }

    /// All the server computes for one signature: fetch, check, gate, finish.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn server(&self) -> Signature {
        let _fetched = self.server_fetch();
        assert!(self.server_check());
        assert!(self.server_gate());
        self.server_finish()
    }

    /// All the device computes for one signature: commit, contribute, gate key and MAC, payload.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn device(&self) -> Approve {
        let object = self.object.clone();
        let (sent, _) = FetchSent::start(self.context, object, &hedge(), &mut generator()).unwrap();
        let shown = sent.shown(self.fetched.clone()).unwrap();
        shown.approve(&self.device, presented(), NOW).unwrap().complete(DeviceSignature([0; 64])).0
    }

    /// The device's first step alone.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn device_commit(&self) -> Fetch {
        FetchSent::start(self.context, self.object.clone(), &hedge(), &mut generator()).unwrap().1
    }

    /// The device's check of the finished signature.
    ///
    /// # Panics
    /// If it is not valid.
    pub fn device_accept(&self) {
        self.sent.accept(std::slice::from_ref(&self.signature)).unwrap();
    }

    /// Verifying from bytes, as the suite offers it.
    #[must_use]
    pub fn suite_verify(&self) -> bool {
        self.suite.verify(&self.public_key, &DIGEST, &self.signature)
    }

    /// The key and the signature, for verifiers of other libraries.
    #[must_use]
    pub const fn signed(&self) -> (&GroupPublicKey, &Signature) {
        (&self.public_key, &self.signature)
    }

    /// Bytes from the device and from the server for one signature: fetch and approve, their replies, encoded, without
    /// envelope and HTTP.
    ///
    /// # Panics
    /// If the reply cannot be built.
    #[must_use]
    pub fn bytes(&self) -> (usize, usize) {
        let signatures = List::new(vec![self.signature.clone()]).unwrap();
        let reply = Evaluated::Signed { signatures, token: presented().token };
        let up = codec::encode(&self.fetch).len() + codec::encode(&self.approve).len();
        (up, codec::encode(&self.fetched).len() + codec::encode(&reply).len())
    }

    /// Bytes the server keeps of the key, before they are wrapped.
    #[must_use]
    pub fn server_state(&self) -> Vec<u8> {
        self.server.encode().to_vec()
    }
}

/// The same for every run, so that the device's commitment is the one that the server answered.
fn generator() -> StdRng {
    StdRng::seed_from_u64(2)
}

const fn hedge() -> SecretBytes<32> {
    SecretBytes::new([9; 32])
}

const fn presented() -> Presented {
    Presented { token: WireSecret(SecretBytes::new([6; 32])), unheard: 0 }
}

fn request() -> RequestObject {
    RequestObject {
        version: PROTOCOL_VERSION,
        request: RequestId::from_bytes([5; 16]),
        relying_party: RelyingParty {
            id: RelyingPartyId::from_bytes([7; 16]),
            name: Label::new("Bank of Examples".into()).unwrap(),
        },
        documents: List::new(vec![Document {
            name: Label::new("contract.pdf".into()).unwrap(),
            digest: DIGEST,
        }])
        .unwrap(),
        text: Text::new("Please sign the contract for your new account.".into()).unwrap(),
        created: NOW,
        expires: NOW.plus(3600),
        fields: None,
    }
}

fn signing(key: KeyContext, public_key: GroupPublicKey, object: &RequestObject) -> SigningContext<'static> {
    SigningContext {
        key,
        public_key,
        request_hash: object.hash(),
        fetched_at: NOW,
        index: 0,
        digest: &DIGEST,
    }
}
