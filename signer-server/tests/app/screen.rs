//! What is on a phone's screen and on a till's, for tests of online verification.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use minicbor::Decoder;
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use sha2::{Digest, Sha256};
use signer_client::{Code, Showing};
use signer_core::{
    credential::{Colour, DayCredential, Document, DocumentType, Reason, StatusIndex, Turn},
    ids::CheckId,
    wire::{
        ANSWER_TYPE, AnswerCheck, AnswerClaims, AnswerKey, Check, CheckAnswered, ChecksQuery, Display,
        Displayed, Exchange, OpenCheck, PendingChecks, Profile, Verification,
    },
};

use crate::{
    forge,
    harness::TestApp,
    support::{http::Answer, phone::TestPhone},
};

pub(crate) const GREEN: (Colour, Reason) = (Colour::Green, Reason::Valid);

pub(crate) const fn red(reason: Reason) -> (Colour, Reason) {
    (Colour::Red, reason)
}

/// A phone with credentials for its holder's identity card.
pub(crate) fn stocked(app: &TestApp, person: &str) -> TestPhone {
    let mut phone = app.phone(person);
    assert_eq!(phone.phone.top_up(DocumentType::IdentityCard).unwrap(), 16);
    phone
}

/// A message of a phone at its own time.
pub(crate) fn send_at<E: Exchange>(app: &TestApp, phone: &TestPhone, at: u64, body: &E) -> Answer {
    app.device(E::OPERATION.path(), &phone.seal(at, body))
}

pub(crate) fn send<E: Exchange>(app: &TestApp, phone: &TestPhone, body: &E) -> Answer {
    send_at(app, phone, app.clock.seconds(), body)
}

/// A code with its three forms.
pub(crate) struct Screen {
    pub(crate) code: Code,
    pub(crate) place: StatusIndex,
    pub(crate) profile: Profile,
    pub(crate) shown: Displayed,
}

impl Screen {
    pub(crate) fn qr(&self) -> &str {
        self.code.presentation.as_str()
    }

    pub(crate) fn digits(&self) -> String {
        self.shown.digits.to_string()
    }

    pub(crate) fn bar(&self) -> String {
        self.shown.bar.to_string()
    }

    pub(crate) fn display(&self) -> Display {
        let StatusIndex { list, index } = self.place;
        Display { list, index, step: self.code.step, turn: Turn::FIRST, profile: self.profile }
    }
}

/// A code of a show of its own.
pub(crate) fn code(phone: &mut TestPhone, profile: Profile) -> Code {
    let mut session =
        phone.phone.start_show(DocumentType::IdentityCard, Showing::to_whoever_scans(profile)).unwrap();
    phone.phone.code(&mut session).unwrap()
}

/// Where the credential of a code stands.
pub(crate) fn place(text: &str) -> StatusIndex {
    let token = forge::unbase45(&text[4..]);
    let mut decoder = Decoder::new(&token);
    assert_eq!(decoder.array().unwrap(), Some(2));
    let start = decoder.position();
    decoder.skip().unwrap();
    let issuer = &token[start..decoder.position()];
    DayCredential::from_bytes(issuer).unwrap().claims().status()
}

/// Opens a code of a fresh credential and registers it.
pub(crate) fn show(app: &TestApp, phone: &mut TestPhone, profile: Profile) -> Screen {
    let code = code(phone, profile);
    let place = place(code.presentation.as_str());
    let StatusIndex { list, index } = place;
    let display = Display { list, index, step: code.step, turn: code.turn, profile };
    let shown: Displayed = send(app, phone, &display).cbor();
    assert_eq!((shown.turn, shown.digits), (code.turn, code.digits));
    Screen { code, place, profile, shown }
}

/// What waits for the holder.
pub(crate) fn checks(app: &TestApp, phone: &TestPhone) -> Vec<Check> {
    send(app, phone, &ChecksQuery {}).cbor::<PendingChecks>().checks
}

pub(crate) fn answer(app: &TestApp, phone: &TestPhone, id: CheckId, allow: bool) {
    let answered: CheckAnswered = send(app, phone, &word(app, phone, id, allow)).cbor();
    assert_eq!(answered.time.0, app.clock.seconds());
}

/// The holder's word on a check as it is shown; on one that is not, of nothing.
pub(crate) fn word(app: &TestApp, phone: &TestPhone, id: CheckId, allow: bool) -> AnswerCheck {
    let shown = send(app, phone, &ChecksQuery {});
    let shown = if shown.status == 200 { shown.cbor::<PendingChecks>().checks } else { Vec::new() };
    let shown = shown.into_iter().find(|check| check.id == id);
    shown.map_or(AnswerCheck { id, allow, shown: [0; 32] }, |check| AnswerCheck::to(&check, allow))
}

/// A verifier with its token.
pub(crate) struct Till<'a> {
    app: &'a TestApp,
    pub(crate) token: String,
    pub(crate) id: String,
}

impl<'a> Till<'a> {
    pub(crate) fn new(app: &'a TestApp, name: &str) -> Self {
        let party = app.relying_party(name, false, true);
        Self { app, token: party.token, id: party.id.to_string() }
    }

    /// One that was made before, perhaps by an earlier run of the server.
    pub(crate) fn of(app: &'a TestApp, token: &str, id: &str) -> Self {
        Self { app, token: token.into(), id: id.into() }
    }

    pub(crate) fn ask(&self, code: &str, request_id: &str, profile: Option<&str>) -> Answer {
        let mut body = serde_json::json!({ "code": code, "request_id": request_id });
        if let Some(profile) = profile {
            body["profile"] = profile.into();
        }
        self.app.http.json("POST", "/v1/verifications", &self.token, Some(&body))
    }

    /// Under a request id of its own.
    pub(crate) fn scan(&self, code: &str) -> Answer {
        self.ask(code, &self.app.unique("scan-id"), None)
    }

    pub(crate) fn look(&self, check: CheckId) -> Answer {
        self.wait(check, 0)
    }

    pub(crate) fn wait(&self, check: CheckId, timeout_ms: u64) -> Answer {
        let path = format!("/v1/verifications/{check}?timeout_ms={timeout_ms}");
        self.app.http.json("GET", &path, &self.token, None)
    }
}

/// The check that was opened.
pub(crate) fn opened(answer: &Answer) -> OpenCheck {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

/// The outcome, after an outsider's look at everything that is signed.
pub(crate) fn outcome(app: &TestApp, answer: &Answer) -> (Colour, Reason) {
    let (verification, _, _) = outsider(app, answer);
    (verification.result.result, verification.result.reason)
}

/// Checks a signed answer with no more than the answer key, and that it agrees with what stands beside it.
pub(crate) fn outsider(app: &TestApp, answer: &Answer) -> (Verification, AnswerClaims, Option<[u8; 16]>) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let done: Verification = answer.json();
    let key: AnswerKey = app.http.send("GET", "/v1/answer-key", &[], b"").json();
    let key = VerifyingKey::from_sec1_bytes(&BASE64_STANDARD.decode(key.public_key).unwrap()).unwrap();
    let parts: Vec<&str> = done.answer.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{}", done.answer) };
    let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let signature = Signature::from_slice(&decode(signature)).unwrap();
    key.verify(format!("{header}.{payload}").as_bytes(), &signature).unwrap();
    assert_eq!(signature.normalize_s(), signature, "low-s");
    let header: serde_json::Value = serde_json::from_slice(&decode(header)).unwrap();
    let kid = signer_core::credential::Kid::of(&key).to_string();
    assert_eq!(header, serde_json::json!({ "alg": "ES256", "typ": ANSWER_TYPE, "kid": kid }));
    let claims: AnswerClaims = serde_json::from_slice(&decode(payload)).unwrap();
    let result = &done.result;
    assert_eq!((claims.result, claims.reason), (result.result, result.reason));
    assert_eq!((claims.iat, claims.document_type), (result.checked_at.0, result.document_type));
    assert!(!claims.offline && !result.offline);
    let red = result.result == Colour::Red;
    if red || result.claims.is_none() {
        assert_eq!((&result.claims, result.step, result.document_type), (&None, None, None));
        assert_eq!((claims.profile, claims.predicates, &claims.disclosure_sha256), (None, None, &None));
        assert_eq!((&done.disclosure, &done.portrait), (&None, &None));
        return (done, claims, None);
    }
    let disclosure = done.disclosure.as_deref().unwrap();
    let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(disclosure.as_bytes()));
    assert_eq!(claims.disclosure_sha256, Some(digest));
    let (salt, disclosed): (String, Document) = serde_json::from_slice(&decode(disclosure)).unwrap();
    assert_eq!(Some(&disclosed), result.claims.as_ref());
    let salt = decode(&salt).try_into().unwrap();
    (done, claims, Some(salt))
}
