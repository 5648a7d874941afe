//! Fetch and approve, whole and in parts.

use signer_core::{
    approval::{ApprovalRecord, Document, RelyingParty, RequestObject},
    codec::{self, Blob, Label, List, Text},
    domain::{Domain, Macer, sha256},
    ids::{RelyingPartyId, RequestId},
    secret::SecretBytes,
    signing::{
        ApproveRefusal, CheckedApprove, Evaluation, FetchSent, ReceivedApprove, Sent, Shown, answer_fetch,
    },
    suite::{PROTOCOL_VERSION, Signature},
    time::UnixSeconds,
    wire::{APPROVE_PAYLOAD_BYTES_MAX, Approve, ApprovePayload, Fetch, Fetched},
};

use super::{HEDGE, NOW, Pair, Phone, Stream, presented, sent, unlock};

/// A request for `count` digests, in which `variant` changes the text and the digests.
pub(crate) fn request(count: usize, variant: u8) -> RequestObject {
    let document = |i: usize| Document {
        name: Label::new(format!("contract-{i}.pdf")).unwrap(),
        digest: sha256(format!("document {i} {variant}").as_bytes()),
    };
    RequestObject {
        version: PROTOCOL_VERSION,
        request: RequestId::from_bytes([7; 16]),
        relying_party: RelyingParty {
            id: RelyingPartyId::from_bytes([8; 16]),
            name: Label::new("Bank of Examples".into()).unwrap(),
        },
        documents: List::new((0..count).map(document).collect()).unwrap(),
        text: Text::new(format!("Кредит № {variant}")).unwrap(),
        created: NOW.minus(60),
        expires: NOW.plus(300),
        fields: None,
    }
}

pub(crate) fn fetch(pair: &Pair, object: &RequestObject, rng: &mut Stream) -> (FetchSent, Fetch) {
    let hedge = HEDGE;
    let (state, fetch) = FetchSent::start(pair.context, object.clone(), &hedge, rng).unwrap();
    (state, sent(&fetch))
}

pub(crate) fn answer(pair: &Pair, object: &RequestObject, fetch: &Fetch) -> Fetched {
    let fetched =
        answer_fetch(&pair.server(), pair.context, pair.public_key, object.clone(), fetch, NOW).unwrap();
    sent(&fetched)
}

/// A request fetched and shown.
pub(crate) fn shown(pair: &Pair, object: &RequestObject, rng: &mut Stream) -> Shown {
    let (state, fetch) = fetch(pair, object, rng);
    state.shown(answer(pair, object, &fetch)).unwrap()
}

pub(crate) fn approve_with(pair: &Pair, phone: &Phone, shown: Shown, pin: &str) -> (Approve, Sent) {
    let approval = shown.approve(&unlock(&pair.masked, pin), presented(1), NOW).unwrap();
    let signature = phone.sign(approval.to_sign());
    let (approve, state) = approval.complete(signature);
    (sent(&approve), state)
}

/// Fetch and approve of `object`, up to the approve on the wire.
pub(crate) fn approve(
    pair: &Pair,
    phone: &Phone,
    object: &RequestObject,
    pin: &str,
    rng: &mut Stream,
) -> (Approve, Sent) {
    approve_with(pair, phone, shown(pair, object, rng), pin)
}

pub(crate) fn check(
    pair: &Pair,
    phone: &Phone,
    object: &RequestObject,
    approve: &Approve,
    now: UnixSeconds,
) -> Result<CheckedApprove, ApproveRefusal> {
    ReceivedApprove::decode(approve)?.check(
        &phone.parsed(),
        &pair.server(),
        pair.context,
        pair.public_key,
        object,
        now,
    )
}

/// What an approve led to, as the server's service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Refused(ApproveRefusal),
    Signed(Vec<Signature>),
    WrongPin,
    Cheating,
    ServerFault,
}

pub(crate) fn outcome(pair: &Pair, phone: &Phone, object: &RequestObject, approve: &Approve) -> Outcome {
    match check(pair, phone, object, approve, NOW.plus(20)) {
        Err(refusal) => Outcome::Refused(refusal),
        Ok(checked) => match checked.evaluate(&pair.server()) {
            Evaluation::Signed(signatures) => Outcome::Signed(signatures.into_vec()),
            Evaluation::WrongPin => Outcome::WrongPin,
            Evaluation::Cheating => Outcome::Cheating,
            Evaluation::ServerFault => Outcome::ServerFault,
        },
    }
}

/// Whether pair and PIN still sign: one whole signature.
pub(crate) fn signs(pair: &Pair, phone: &Phone, pin: &str, rng: &mut Stream) -> bool {
    let object = request(1, 0);
    let (approve, state) = approve(pair, phone, &object, pin, rng);
    match outcome(pair, phone, &object, &approve) {
        Outcome::Signed(signatures) => {
            state.accept(&signatures).unwrap();
            true
        }
        Outcome::WrongPin => false,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn payload(approve: &Approve) -> ApprovePayload {
    codec::decode(approve.payload.as_slice(), APPROVE_PAYLOAD_BYTES_MAX).unwrap()
}

pub(crate) fn record(payload: &ApprovePayload) -> ApprovalRecord {
    ApprovalRecord::decode(payload.record.as_slice()).unwrap()
}

/// Puts a changed payload back, with the record signed by `phone`.
pub(crate) fn repack(phone: &Phone, payload: &ApprovePayload) -> Approve {
    Approve {
        payload: Blob::new(codec::encode(payload)).unwrap(),
        record_signature: phone.sign(ApprovalRecord::to_sign(payload.record.as_slice())),
    }
}

/// The gate MAC, written a second time from the specification: what a phone that knows its PIN can make for any payload.
pub(crate) fn remac(pair: &Pair, object: &RequestObject, payload: &mut ApprovePayload) {
    payload.mac = [0; 32];
    let body = codec::encode(payload);
    payload.mac = Macer::new(&SecretBytes::new(pair.gate_key), Domain::GateApprove)
        .number(PROTOCOL_VERSION.into())
        .number(pair.context.suite.number().into())
        .field(pair.context.key.as_bytes())
        .number(pair.context.epoch.0.into())
        .field(pair.context.device.as_bytes())
        .field(&pair.public_key.0)
        .field(&object.hash())
        .field(&body)
        .tag();
}
