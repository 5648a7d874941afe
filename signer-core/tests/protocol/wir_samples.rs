//! One value of every message, with fixed content; and how to read it back.

use minicbor::{Decode, Encode};
use signer_core::{
    approval::{ApprovalRecord, FIELDS_MAX, Field, RequestObject},
    codec::{self, Blob, CodecError, Label, List, Text},
    credential::{BarCode, Digits, StatusIndex, Step, Turn},
    device_key::{DevicePublicKeyBytes, DeviceSignature},
    history::{Act, Asked, Entry, HistoryHead, Scan, SealedEntry},
    ids::{CeremonyId, CheckId, Epoch, KeyId, RequestId},
    secret::SecretBytes,
    suite::{Commitment, Contribution, GroupPublicKey, KeygenMessage, Signature},
    wire::*,
};

use crate::common::{NOW, Phone, SUITE, holder_keys, request};

pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) again: fn(&[u8]) -> Result<Vec<u8>, CodecError>,
}

fn sample<T: Encode<()> + for<'b> Decode<'b, ()>>(name: &'static str, value: &T) -> Sample {
    Sample {
        name,
        bytes: codec::encode(value),
        again: |bytes| codec::decode::<T>(bytes, ENVELOPE_BYTES_MAX).map(|value| codec::encode(&value)),
    }
}

fn secret(byte: u8) -> WireSecret {
    WireSecret(SecretBytes::new([byte; 32]))
}

fn commitment(byte: u8) -> Commitment {
    Commitment::new(vec![byte; 66]).unwrap()
}

fn signature(byte: u8) -> Signature {
    Signature::new(vec![byte; 65]).unwrap()
}

fn keygen(byte: u8, length: usize) -> KeygenMessage {
    KeygenMessage::new(vec![byte; length]).unwrap()
}

fn list<T, const MAX: usize>(items: impl IntoIterator<Item = T>) -> List<T, MAX> {
    List::new(items.into_iter().collect()).unwrap()
}

pub(crate) fn object() -> RequestObject {
    request(2, 0)
}

pub(crate) fn approval_record() -> ApprovalRecord {
    let device = Phone::new(1).id();
    ApprovalRecord {
        request: object(),
        device,
        suite: SUITE,
        key: KEY,
        public_key: GroupPublicKey([2; 33]),
        approved_at: NOW,
    }
}

const KEY: KeyId = KeyId::from_bytes([2; 16]);
const CEREMONY: CeremonyId = CeremonyId::from_bytes([3; 16]);
const REQUEST: RequestId = RequestId::from_bytes([4; 16]);
const CHECK: CheckId = CheckId::from_bytes([5; 16]);
const DAY_KEY: DevicePublicKeyBytes = DevicePublicKeyBytes([2; 33]);

pub(crate) fn approve_payload() -> ApprovePayload {
    let item = |byte| ApproveItem {
        device: commitment(byte),
        server: commitment(byte + 1),
        contribution: Contribution::new(vec![byte + 2; 32]).unwrap(),
    };
    ApprovePayload {
        key: KEY,
        epoch: Epoch(1),
        fetched_at: NOW,
        receipt: [9; 32],
        token: secret(5),
        record: Blob::new(approval_record().encode()).unwrap(),
        items: list([item(0x10), item(0x20)]),
        unheard: 1,
        mac: [6; 32],
    }
}

pub(crate) fn one_check() -> Check {
    Check {
        id: CHECK,
        verifier: Label::new("Corner Shop".into()).unwrap(),
        profile: Profile::Full,
        document_type: 2,
        match_number: MatchNumber::new(7).unwrap(),
        expires: NOW.plus(CHECK_SECONDS),
    }
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        version: 1,
        device: Phone::new(1).id(),
        operation: Operation::Decline,
        time: NOW,
        body: Blob::new(codec::encode(&Decline { request: REQUEST })).unwrap(),
        signature: DeviceSignature([7; 64]),
    }
}

pub(crate) fn samples() -> Vec<Sample> {
    let attempts = Attempts { left: 3, locked_until: None, blocked: false };
    let locked = Attempts { left: 0, locked_until: Some(NOW), blocked: false };
    let refresh_payload = RefreshPayload {
        key: KEY,
        epoch: Epoch(0),
        issued_at: NOW,
        challenge: [1; 32],
        token: secret(2),
        unheard: 0,
        unique: [4; 16],
        mac: [3; 32],
    };
    let confirmation = || Confirmation {
        ceremony: CEREMONY,
        gate_key: secret(1),
        seeds: keygen(7, 97),
        contribution: Contribution::new(vec![2; 32]).unwrap(),
        mac: [3; 32],
    };
    let day_key = DayKeyRequest { profile: Profile::Age, day_key: DAY_KEY, proof: DeviceSignature([1; 64]) };
    let mut all = vec![
        sample("Envelope", &envelope()),
        sample(
            "EnrolStart",
            &EnrolStart {
                code: crate::common::code(),
                device_key: Phone::new(1).public(),
                key: KEY,
                suite: SUITE,
                hello: keygen(1, 137),
                holder_keys: holder_keys(),
            },
        ),
        sample("EnrolStarted", &EnrolStarted { ceremony: CEREMONY, hello: keygen(2, 173) }),
        sample(
            "EnrolKeys",
            &EnrolKeys { ceremony: CEREMONY, keys: keygen(3, 35), commitment: commitment(4) },
        ),
        sample(
            "EnrolKeyed",
            &EnrolKeyed {
                opening: keygen(0, 0),
                fetched_at: NOW,
                commitment: commitment(5),
                token: secret(6),
                seeding: keygen(8, 66),
            },
        ),
        sample("EnrolConfirm", &EnrolConfirm(confirmation())),
        sample("Confirmed", &Confirmed { signature: signature(1) }),
        sample("StatusQuery", &StatusQuery {}),
        sample(
            "DeviceStatus",
            &DeviceStatus {
                time: NOW,
                key: KEY,
                suite: SUITE,
                epoch: Epoch(2),
                public_key: GroupPublicKey([2; 33]),
                standing: Standing::Frozen,
                attempts: locked,
                proof: signature(1),
            },
        ),
        sample("RequestsQuery", &RequestsQuery {}),
        sample("PendingRequests", &PendingRequests { time: NOW, requests: vec![object()], codes: None }),
        sample("PendingRequests.none", &PendingRequests { time: NOW, requests: Vec::new(), codes: None }),
        sample(
            "PendingRequests.codes",
            &PendingRequests {
                time: NOW,
                requests: vec![object_with_fields()],
                codes: Some(list([code_choice()])),
            },
        ),
        sample(
            "Fetch",
            &Fetch { request: REQUEST, key: KEY, commitments: list([commitment(1), commitment(2)]) },
        ),
        sample(
            "Fetched",
            &Fetched {
                object: object(),
                epoch: Epoch(1),
                fetched_at: NOW,
                commitments: list([commitment(1), commitment(2)]),
                receipt: [9; 32],
            },
        ),
        sample("ApprovePayload", &approve_payload()),
        sample(
            "Approve",
            &Approve {
                payload: Blob::new(codec::encode(&approve_payload())).unwrap(),
                record_signature: DeviceSignature([8; 64]),
            },
        ),
        sample("Evaluated.signed", &Evaluated::Signed { signatures: list([signature(1)]), token: secret(2) }),
        sample("Evaluated.wrong_pin", &Evaluated::WrongPin { attempts }),
        sample("Evaluated.key_ended", &Evaluated::KeyEnded {}),
        sample("OutcomeQuery", &OutcomeQuery { request: REQUEST }),
        sample("RequestOutcome.open", &RequestOutcome::Open { attempts: locked }),
        sample("RequestOutcome.signed", &RequestOutcome::Signed { signatures: list([signature(1)]) }),
        sample("RequestOutcome.declined", &RequestOutcome::Declined {}),
        sample("RequestOutcome.cancelled", &RequestOutcome::Cancelled {}),
        sample("RequestOutcome.expired", &RequestOutcome::Expired {}),
        sample("RequestOutcome.key_ended", &RequestOutcome::KeyEnded {}),
        sample("RequestOutcome.wrong_code", &RequestOutcome::WrongCode {}),
        sample("ChooseCode", &ChooseCode { request: REQUEST, code: code(42) }),
        sample("CodeChosen.right", &CodeChosen::Right {}),
        sample("CodeChosen.wrong", &CodeChosen::Wrong {}),
        sample("OpenLink", &OpenLink { elapsed: 17, token: [1; 32], mac: [2; 32] }),
        sample("LinkOpened", &LinkOpened { request: REQUEST }),
        sample("Decline", &Decline { request: REQUEST }),
        sample("Declined", &Declined {}),
        sample("RefreshChallenge", &RefreshChallenge { key: KEY }),
        sample(
            "RefreshChallenged",
            &RefreshChallenged { epoch: Epoch(0), issued_at: NOW, challenge: [1; 32] },
        ),
        sample("RefreshPayload", &refresh_payload),
        sample(
            "RefreshStart",
            &RefreshStart { payload: Blob::new(codec::encode(&refresh_payload)).unwrap() },
        ),
        sample(
            "RefreshStarted.started",
            &RefreshStarted::Started { ceremony: CEREMONY, commitment: [1; 32], token: secret(2) },
        ),
        sample("RefreshStarted.wrong_pin", &RefreshStarted::WrongPin { attempts: locked }),
        sample(
            "RefreshKeys",
            &RefreshKeys { ceremony: CEREMONY, part: secret(1), commitment: commitment(2) },
        ),
        sample(
            "RefreshKeyed",
            &RefreshKeyed {
                part: secret(1),
                fetched_at: NOW,
                commitment: commitment(2),
                seeding: keygen(3, 66),
            },
        ),
        sample("RefreshConfirm", &RefreshConfirm(confirmation())),
        sample("IssueCredentials", &IssueCredentials { document_type: 1, keys: list([day_key, day_key]) }),
        sample(
            "IssuedCredentials",
            &IssuedCredentials {
                time: NOW,
                otp_secret: secret(1),
                credentials: list([Blob::new(vec![1; 300]).unwrap()]),
            },
        ),
        sample("CodeStateQuery", &CodeStateQuery { list: 1, index: 777_777, step: 9_973_165 }),
        sample("CodeState", &CodeState { time: NOW, burned: Some(2) }),
        sample("CodeState.none", &CodeState { time: NOW, burned: None }),
        sample("WithdrawnQuery", &WithdrawnQuery {}),
        sample(
            "WithdrawnCredentials",
            &WithdrawnCredentials { time: NOW, places: vec![StatusIndex { list: 1, index: 777_777 }] },
        ),
        sample("WithdrawnCredentials.none", &WithdrawnCredentials { time: NOW, places: Vec::new() }),
        sample("CertificateQuery", &CertificateQuery {}),
        sample(
            "Display",
            &Display {
                list: 1,
                index: 777_777,
                step: Step(9_973_165),
                turn: Turn::FIRST,
                profile: Profile::Minimal,
            },
        ),
        sample(
            "Displayed",
            &Displayed {
                time: NOW,
                turn: Turn::try_from(15).unwrap(),
                digits: Digits::new(12_345_678).unwrap(),
                bar: BarCode::new(9_999_999_999_999_999).unwrap(),
                until: NOW.plus(240),
            },
        ),
        sample("EndDisplay", &EndDisplay { list: 1, index: 777_777 }),
        sample("DisplayEnded", &DisplayEnded { time: NOW }),
        sample("ChecksQuery", &ChecksQuery {}),
        sample("PendingChecks", &PendingChecks { time: NOW, checks: vec![one_check()] }),
        sample("PendingChecks.none", &PendingChecks { time: NOW, checks: Vec::new() }),
        sample("AnswerCheck.allow", &AnswerCheck::to(&one_check(), true)),
        sample("AnswerCheck", &AnswerCheck::to(&one_check(), false)),
        sample("CheckAnswered", &CheckAnswered { time: NOW }),
        sample("Listen", &Listen {}),
        sample("Event", &Event::History),
        sample(
            "CertificateReply",
            &CertificateReply {
                time: NOW,
                request: Blob::new(vec![1; 30]).unwrap(),
                chain: list([Blob::new(vec![2; 40]).unwrap(), Blob::new(vec![3; 50]).unwrap()]),
            },
        ),
        sample("HistoryQuery", &HistoryQuery { after: 41, limit: 64 }),
        sample(
            "HistoryPage",
            &HistoryPage {
                time: NOW,
                before: [1; 32],
                entries: vec![NumberedEntry { number: 42, sealed: sealed_entry() }],
                head: HistoryHead { number: 42, hash: [2; 32] },
            },
        ),
        sample(
            "HistoryPage.none",
            &HistoryPage {
                time: NOW,
                before: [1; 32],
                entries: Vec::new(),
                head: HistoryHead { number: 41, hash: [1; 32] },
            },
        ),
        sample("RequestObject", &object()),
        sample("ApprovalRecord", &approval_record()),
    ];
    all.extend(entries().into_iter().map(|(name, act)| sample(name, &Entry { at: NOW, act })));
    all
}

/// Entries of every kind, as they are before they are sealed.
fn entries() -> Vec<(&'static str, Act)> {
    let name = |text: &str| Label::new(text.into()).unwrap();
    let asked = || Asked::of(&object()).unwrap();
    let attempts = Attempts { left: 2, locked_until: None, blocked: false };
    let scan = |reason: &str| Scan {
        verifier: name("Крамниця на розі"),
        profile: Profile::Age,
        document_type: 1,
        reason: Label::new(reason.into()).unwrap(),
        shown: (reason == "valid").then_some([6; 32]),
    };
    vec![
        ("Entry.signed", Act::Signed { asked: asked() }),
        ("Entry.declined", Act::Declined { asked: asked() }),
        ("Entry.wrong_pin", Act::WrongPin { attempts }),
        ("Entry.pin_changed", Act::PinChanged {}),
        ("Entry.verified", Act::Verified { scan: scan("valid") }),
        ("Entry.refused", Act::Refused { scan: scan("used") }),
        ("Entry.credentials_issued", Act::CredentialsIssued { document_type: 1, count: 8 }),
        ("Entry.document_changed", Act::DocumentChanged { document_type: 2 }),
        ("Entry.document_withdrawn", Act::DocumentWithdrawn { document_type: 2 }),
        ("Entry.suspended", Act::Suspended {}),
        ("Entry.resumed", Act::Resumed {}),
        ("Entry.frozen", Act::Frozen {}),
        ("Entry.revoked", Act::Revoked { reason: Label::new("superseded".into()).unwrap() }),
        ("Entry.reported_lost", Act::ReportedLost {}),
        ("Entry.key_ended", Act::KeyEnded {}),
        ("Entry.wrong_code", Act::WrongCode { asked: asked() }),
    ]
}

/// A sealed entry by its length; its content is the phone's matter.
pub(crate) fn sealed_entry() -> SealedEntry {
    SealedEntry::new(vec![5; 304]).unwrap()
}

/// The largest request there can be.
pub(crate) fn largest_object() -> RequestObject {
    let name = || Label::new("ї".repeat(100)).unwrap();
    let document = signer_core::approval::Document { name: name(), digest: [0xff; 32] };
    let mut object = object();
    object.documents = list(vec![document; 32]);
    object.relying_party.name = name();
    object.text = Text::new("ї".repeat(1000)).unwrap();
    object.created = signer_core::time::UnixSeconds(u64::MAX);
    object.expires = signer_core::time::UnixSeconds(u64::MAX);
    let field =
        Field { label: Label::new("ї".repeat(40)).unwrap(), value: Label::new("ї".repeat(100)).unwrap() };
    object.fields = Some(list(vec![field; FIELDS_MAX]));
    object
}

/// A request that says something in labelled values.
fn object_with_fields() -> RequestObject {
    let field = |label: &str, value: &str| Field {
        label: Label::new(label.into()).unwrap(),
        value: Label::new(value.into()).unwrap(),
    };
    RequestObject {
        fields: Some(list([field("Сума", "5 000 €"), field("Account", "EX00 0000 0017")])),
        ..object()
    }
}

fn code_choice() -> CodeChoice {
    CodeChoice { request: REQUEST, codes: [code(42), code(0), code(9999)], chosen: false }
}

fn code(value: u16) -> VerificationCode {
    VerificationCode::new(value).unwrap()
}
