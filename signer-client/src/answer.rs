//! Believing the server's signed answer to an online check. Rules: `spec/verification.md`.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use p256::ecdsa::{Signature, signature::Verifier as _};
use serde::{Deserialize, de::DeserializeOwned};
use signer_core::{
    credential::{Colour, Document, Kid, PortraitDigest, PortraitSalt, VerificationResult},
    domain::sha256,
    ids::RelyingPartyId,
    time::UnixSeconds,
    trust::{KeyUse, TrustList},
    wire::{ANSWER_TYPE, AnswerClaims, Verification, answered_code},
};

/// How far the time of an answer may be from the verifier's clock, seconds: clocks are wrong by minutes, a hoarded answer is
/// older.
pub const ANSWER_AGE_MAX_SECONDS: u64 = 900;
/// Longest answer and disclosure, characters.
const CHARS_MAX: usize = 16_384;

/// What an answer must be to.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The code, as it was sent.
    pub code: &'a str,
    /// The verifier's name for the question.
    pub request_id: &'a str,
    /// Who asked, if known: [`crate::RelyingParty::id`].
    pub verifier: Option<RelyingPartyId>,
    /// The verifier's clock.
    pub now: UnixSeconds,
}

/// Why an answer is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not of the agreed form.
    #[error("the answer is not of the agreed form")]
    Malformed,
    /// The trust list names no such key for answers.
    #[error("the answer is signed by a key that the trust list does not name for answers")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature of the answer is wrong")]
    BadSignature,
    /// It is to another question: another verifier, request id or code, or of another time.
    #[error("the answer is to another question")]
    OtherQuestion,
    /// What stands beside the signed answer is not what was signed.
    #[error("what stands beside the answer is not what was signed")]
    NotSigned,
}

/// The result of an online check, once its signature is that of an answer key of the trust list, it is to this question, and
/// everything beside it is what was signed. Sentence and next step are the server's words: only colour, reason, kind, claims,
/// time and portrait are signed.
///
/// # Errors
/// [`AnswerError`]: nothing of the result is to be shown then.
pub fn verify_answer(
    answered: &Verification,
    trust: &TrustList,
    question: &Question<'_>,
) -> Result<VerificationResult, AnswerError> {
    let signed = signed(&answered.answer, trust)?;
    let salt: [u8; 16] = decode(&answered.code_salt)?.try_into().map_err(|_| AnswerError::Malformed)?;
    let same = signed.request_id == question.request_id
        && question.verifier.is_none_or(|verifier| verifier == signed.verifier)
        && UnixSeconds(signed.iat).distance(question.now) <= ANSWER_AGE_MAX_SECONDS
        && decode(&signed.code_sha256)? == answered_code(&salt, question.code);
    if !same {
        return Err(AnswerError::OtherQuestion);
    }
    let disclosed = disclosed(answered, &signed)?;
    let (salt, claims) = disclosed.unzip();
    let result = &answered.result;
    let agrees = (result.result, result.reason, result.checked_at.0)
        == (signed.result, signed.reason, signed.iat)
        && (result.document_type, result.offline) == (signed.document_type, signed.offline)
        && result.claims == claims
        && claims.as_ref().map(Document::profile) == signed.profile
        && (claims.is_none() || signed.result != Colour::Red)
        && portrait_fits(answered, salt, claims.as_ref())?;
    if agrees { Ok(result.clone()) } else { Err(AnswerError::NotSigned) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: Kid,
}

/// The payload, under an answer key of the list.
fn signed(answer: &str, trust: &TrustList) -> Result<AnswerClaims, AnswerError> {
    let (input, signature) =
        answer.rsplit_once('.').filter(|_| answer.len() <= CHARS_MAX).ok_or(AnswerError::Malformed)?;
    let (header, payload) = input.split_once('.').ok_or(AnswerError::Malformed)?;
    let header: Header = json(header)?;
    let claims: AnswerClaims = json(payload)?;
    if (header.alg.as_str(), header.typ.as_str()) != ("ES256", ANSWER_TYPE) {
        return Err(AnswerError::Malformed);
    }
    let signature = Signature::from_slice(&decode(signature)?).map_err(|_| AnswerError::Malformed)?;
    if signature.normalize_s() != signature {
        return Err(AnswerError::BadSignature);
    }
    let mut error = AnswerError::UnknownKey;
    for key in trust.keys_for(KeyUse::Answers) {
        if Kid::of(&key.key) != header.kid || !key.signs_at(UnixSeconds(claims.iat)) {
            continue;
        }
        if key.key.verify(input.as_bytes(), &signature).is_ok() {
            return Ok(claims);
        }
        error = AnswerError::BadSignature;
    }
    Err(error)
}

/// Salt and claims, if the answer speaks of any.
fn disclosed(
    answered: &Verification,
    signed: &AnswerClaims,
) -> Result<Option<([u8; 16], Document)>, AnswerError> {
    let (disclosure, digest) = match (&answered.disclosure, &signed.disclosure_sha256) {
        (None, None) => return Ok(None),
        (Some(disclosure), Some(digest)) if disclosure.len() <= CHARS_MAX => (disclosure, digest),
        _ => return Err(AnswerError::NotSigned),
    };
    if BASE64_URL_SAFE_NO_PAD.encode(sha256(disclosure.as_bytes())) != *digest {
        return Err(AnswerError::NotSigned);
    }
    let (salt, claims): (String, Document) = json(disclosure)?;
    let salt = decode(&salt)?.try_into().map_err(|_| AnswerError::Malformed)?;
    Ok(Some((salt, claims)))
}

/// Whether the portrait beside, if there is one, is that of the claims.
fn portrait_fits(
    answered: &Verification,
    salt: Option<[u8; 16]>,
    claims: Option<&Document>,
) -> Result<bool, AnswerError> {
    let Some(portrait) = &answered.portrait else { return Ok(true) };
    let portrait = BASE64_STANDARD.decode(portrait).map_err(|_| AnswerError::Malformed)?;
    let wanted = match claims {
        Some(Document::Full(full)) => full.portrait,
        Some(Document::Age(age)) => age.portrait,
        Some(Document::Minimal(_) | Document::Vehicle(_)) | None => None,
    };
    let Some((salt, wanted)) = salt.zip(wanted) else { return Ok(false) };
    Ok(PortraitDigest::of(&PortraitSalt(salt), &portrait) == wanted)
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, AnswerError> {
    serde_json::from_slice(&decode(text)?).map_err(|_| AnswerError::Malformed)
}

fn decode(text: &str) -> Result<Vec<u8>, AnswerError> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| AnswerError::Malformed)
}
