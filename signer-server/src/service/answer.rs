//! The signed answer: a JWS in compact form (RFC 7515 §7.1, ES256 of RFC 7518 §3.4) over the outcome and a salted digest of the
//! claims, which travel beside it as a disclosure (RFC 9901 §4.2).

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde::Serialize;
use signer_core::{
    credential::{Document, Kid, Portrait, PortraitSalt, VerificationResult},
    domain::{Domain, Macer, sha256},
    ids::RelyingPartyId,
    wire::{ANSWER_TYPE, AnswerClaims, Predicates, Verification},
};

use super::{Service, ServiceError, ServiceResult};

/// Who asked about which code, and what they call it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) verifier: RelyingPartyId,
    pub(super) verifier_name: &'a str,
    pub(super) request_id: &'a str,
    /// [`answered_code`] of the code, under [`Service::code_salt`].
    pub(super) code_sha256: [u8; 32],
}

/// The protected header, its members in this order.
#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    kid: Kid,
}

impl Service {
    /// The salt of the disclosure in the answer to `question` about one use: the same for the same question, so that nothing
    /// of the claims need be stored to give the same answer again; unknown to everybody else.
    pub(super) fn disclosure_salt(&self, question: &Question<'_>, use_of: &[u8]) -> PortraitSalt {
        PortraitSalt(self.salt(question.verifier, question.request_id, use_of))
    }

    /// The salt of the code in answers to a verifier's question; unknown to everybody else.
    pub(super) fn code_salt(&self, verifier: RelyingPartyId, request_id: &str) -> [u8; 16] {
        self.salt(verifier, request_id, b"code")
    }

    fn salt(&self, verifier: RelyingPartyId, request_id: &str, use_of: &[u8]) -> [u8; 16] {
        let tag = Macer::new(&self.keys.online, Domain::DisclosureSalt)
            .field(verifier.as_bytes())
            .field(request_id.as_bytes())
            .field(use_of)
            .tag();
        let mut salt = [0; 16];
        salt.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
        salt
    }

    /// Signs a result. What it claims goes beside the answer, under `salt`.
    pub(super) fn sign_answer(
        &self,
        question: &Question<'_>,
        result: VerificationResult,
        salt: PortraitSalt,
        portrait: Option<&Portrait>,
    ) -> ServiceResult<Verification> {
        let disclosure = result.claims.as_ref().map(|claims| disclosure(salt, claims)).transpose()?;
        let claims = AnswerClaims {
            iat: result.checked_at.0,
            verifier: question.verifier,
            request_id: question.request_id.into(),
            code_sha256: BASE64_URL_SAFE_NO_PAD.encode(question.code_sha256),
            document_type: result.document_type,
            profile: result.claims.as_ref().map(Document::profile),
            result: result.result,
            reason: result.reason,
            offline: result.offline,
            predicates: result.claims.as_ref().and_then(predicates),
            disclosure_sha256: disclosure
                .as_ref()
                .map(|disclosure| BASE64_URL_SAFE_NO_PAD.encode(sha256(disclosure.as_bytes()))),
        };
        let answer = sign(&self.keys.answer, &claims)?;
        let portrait = portrait.map(|portrait| BASE64_STANDARD.encode(portrait.as_bytes()));
        let code_salt = self.code_salt(question.verifier, question.request_id);
        let code_salt = BASE64_URL_SAFE_NO_PAD.encode(code_salt);
        Ok(Verification { result, answer, disclosure, code_salt, portrait })
    }
}

/// base64url of `[salt, claims]` in JSON.
fn disclosure(salt: PortraitSalt, claims: &Document) -> ServiceResult<String> {
    encode(&(BASE64_URL_SAFE_NO_PAD.encode(salt.0), claims))
}

/// What a document says of its holder's age, without the document.
const fn predicates(document: &Document) -> Option<Predicates> {
    match document {
        Document::Age(age) => Some(Predicates::Over(age.over)),
        Document::Minimal(minimal) => Some(Predicates::Over18(minimal.over18)),
        Document::Full(_) | Document::Vehicle(_) => None,
    }
}

fn sign(key: &SigningKey, claims: &AnswerClaims) -> ServiceResult<String> {
    let header = Header { alg: "ES256", typ: ANSWER_TYPE, kid: Kid::of(key.verifying_key()) };
    let input = format!("{}.{}", encode(&header)?, encode(claims)?);
    let signature: Signature = key.sign(input.as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.normalize_s().to_bytes());
    Ok(format!("{input}.{signature}"))
}

fn encode(value: &impl Serialize) -> ServiceResult<String> {
    let json = serde_json::to_vec(value).map_err(|_| ServiceError::Bug("an answer to JSON"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}
