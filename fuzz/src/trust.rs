//! Lists and requests under a fixed root.

use std::sync::OnceLock;

use minicbor::Encoder;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use signer_core::{
    codec::Label,
    credential::{Ask, BusinessClaims, BusinessCredential, BusinessId, Kid, Step},
    status::{Status, Statuses},
    time::UnixSeconds,
    trust::{Issuer, IssuerId, KeyUse, Life, StatusUri, TrustList, TrustedKey},
    wire::Profile,
};

use crate::{
    fixed::key,
    qr::{NOW, base45_after},
};

const STATUS_PROTECTED: &[u8] = b"\xA2\x01\x26\x10\x78\x1Aapplication/statuslist+cwt";
const PROTECTED: &[u8] = b"\xA1\x01\x26";

/// The root.
pub fn root() -> SigningKey {
    key(0x71)
}

/// The list that the root has signed.
pub fn list() -> &'static TrustList {
    static LIST: OnceLock<TrustList> = OnceLock::new();
    LIST.get_or_init(|| {
        let entry = |key_use, byte, document_types: &[u32]| TrustedKey {
            issuer: IssuerId(1),
            key_use,
            key: *key(byte).verifying_key(),
            document_types: document_types.to_vec(),
            not_before: UnixSeconds(1_790_000_000),
            not_after: UnixSeconds(1_800_000_000),
        };
        let issuer = Issuer {
            id: IssuerId(1),
            name: Label::new("Служба".into()).unwrap(),
            status_uri: StatusUri::new("https://signer.example/lists").unwrap(),
        };
        let keys = vec![
            entry(KeyUse::Credentials, 0x11, &[1, 2]),
            entry(KeyUse::StatusLists, 0x12, &[]),
            entry(KeyUse::Businesses, 0x14, &[]),
        ];
        let roots = vec![*root().verifying_key()];
        TrustList::new(5, NOW, Life::Standard, vec![issuer], keys, roots).unwrap()
    })
}

/// The signed trust list, a signed status list, and the token of a request: all that was honestly made.
pub fn honest() -> &'static [Vec<u8>; 3] {
    static HONEST: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    HONEST.get_or_init(|| {
        let trust = list().prepare(root().verifying_key()).unwrap().sign(&root()).unwrap();
        let mut statuses = Statuses::default();
        statuses.set(777, Status::Revoked);
        let uri = StatusUri::new("https://signer.example/lists").unwrap();
        let status = statuses.prepare(&uri, 1, NOW, key(0x12).verifying_key()).sign(&key(0x12)).unwrap();
        let claims = BusinessClaims::new(
            NOW.minus(60),
            NOW.plus(86_400),
            *key(0x81).verifying_key(),
            Label::new("Аптека".into()).unwrap(),
            vec![Profile::Age],
            BusinessId([7; 16]),
        );
        let business = claims.unwrap().prepare(key(0x14).verifying_key()).sign(&key(0x14)).unwrap();
        let ask = Ask { step: Step::at(NOW), nonce: [9; 16], profile: Profile::Age, document_type: None };
        let request = BusinessCredential::from_bytes(&business).unwrap().request(&ask, &key(0x81)).unwrap();
        [trust, status, crate::qr::bytes_of(request.as_str())]
    })
}

/// The text of a request.
pub fn request_text(token: &[u8]) -> String {
    base45_after("DR1:", token)
}

/// An envelope over `payload` by the key that may sign it, so that what lies behind the signature is reached.
pub fn sealed_list(payload: &[u8]) -> Vec<u8> {
    envelope(PROTECTED, b"DQ1/trust-list", payload, &root())
}

/// The same for a status list.
pub fn sealed_status(payload: &[u8]) -> Vec<u8> {
    [&[0xD2], &envelope(STATUS_PROTECTED, b"", payload, &key(0x12))[..]].concat()
}

/// The payload of an envelope made by [`sealed_list`] or by [`list`].
pub fn payload_of(envelope: &[u8]) -> Vec<u8> {
    let mut decoder = minicbor::Decoder::new(envelope);
    let tagged = envelope.first() == Some(&0xD2);
    if tagged {
        decoder.tag().unwrap();
    }
    decoder.array().unwrap();
    decoder.bytes().unwrap();
    decoder.skip().unwrap();
    decoder.bytes().unwrap().to_vec()
}

fn envelope(protected: &[u8], aad: &[u8], payload: &[u8], key: &SigningKey) -> Vec<u8> {
    let mut to_sign = Encoder::new(Vec::new());
    to_sign.array(4).unwrap().str("Signature1").unwrap();
    to_sign.bytes(protected).unwrap().bytes(aad).unwrap().bytes(payload).unwrap();
    let signature: Signature = key.sign(to_sign.writer());
    let mut out = Encoder::new(Vec::new());
    out.array(4).unwrap().bytes(protected).unwrap();
    out.map(1).unwrap().u8(4).unwrap().bytes(&Kid::of(key.verifying_key()).0).unwrap();
    out.bytes(payload).unwrap().bytes(&signature.normalize_s().to_bytes()).unwrap();
    out.into_writer()
}
