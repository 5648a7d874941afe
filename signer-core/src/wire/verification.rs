//! JSON bodies of online verification, and the signed answer.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::{MatchNumber, Profile};
use crate::{
    credential::{Colour, Digits, DocumentType, Reason, VerificationResult},
    domain::{Domain, Hasher},
    ids::{CheckId, RelyingPartyId},
};

/// `typ` in the header of a signed answer.
pub const ANSWER_TYPE: &str = "signer-verification+jwt";

/// `POST /v1/verifications`: checks a code online and uses it up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "code": "1234 5678", "request_id": "till-3-000815", "profile": "age" }))))]
pub struct VerifyCode {
    /// Text of the QR code, the sixteen digits of the bar code, or the eight digits with or without a space in the middle.
    pub code: String,
    /// Chosen by the verifier, 8 to 64 visible ASCII characters: the same one within 60 s gets the same answer.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[!-~]{8,64}$"))]
    pub request_id: String,
    /// What the verifier wants to learn; absent: what the code on display says. More than a QR says is asked of the holder,
    /// as is everything for the short codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Text of the business request that the QR must answer, as it was shown (`DR1:…`); absent: none. It must be the
    /// verifier's own. The short codes answer no request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// A code in the one form that answers name: eight digits without the space in the middle, anything else as it is.
#[must_use]
pub fn canonical_code(code: &str) -> String {
    code.parse::<Digits>().map_or_else(|_| code.into(), |digits| alloc::format!("{:08}", digits.value()))
}

/// SHA-256 of a code under a salt, as [`AnswerClaims::code_sha256`] carries it.
#[must_use]
pub fn answered_code(salt: &[u8; 16], code: &str) -> [u8; 32] {
    Hasher::new(Domain::AnsweredCode).field(salt).field(canonical_code(code).as_bytes()).finish()
}

impl fmt::Debug for VerifyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyCode(redacted)")
    }
}

/// 202: the holder is asked. Nothing about the holder is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OpenCheck {
    /// The check, for `GET /v1/verifications/{check}`.
    pub check: CheckId,
    /// Two digits that the holder sees too.
    #[serde(rename = "match")]
    pub match_number: MatchNumber,
    /// When it ends, Unix seconds.
    pub expires: u64,
}

/// 200: the result with what the server signed of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verification {
    /// What a clerk is told.
    #[serde(flatten)]
    pub result: VerificationResult,
    /// JWS in compact form (RFC 7515) over [`AnswerClaims`], ES256, by the answer key.
    pub answer: String,
    /// What `disclosure_sha256` of the answer is the digest of: base64url of `[salt, claims]` in JSON (RFC 9901).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<String>,
    /// The salt of `code_sha256` in the answer: base64url of 16 bytes.
    pub code_salt: String,
    /// The portrait, standard base64, where the holder agreed to a profile that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portrait: Option<String>,
}

/// Says the outcome, not what it holds: claims and portrait are personal data.
impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verification({:?}, {:?})", self.result.result, self.result.reason)
    }
}

/// Payload of a signed answer: enough to prove later what was answered to whom, and nothing of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerClaims {
    /// When it was answered first, Unix seconds.
    pub iat: u64,
    /// Who asked.
    pub verifier: RelyingPartyId,
    /// The verifier's name for the question.
    pub request_id: String,
    /// Which code it is about: base64url of [`answered_code`], under the salt beside.
    pub code_sha256: String,
    /// Kind of document, unless red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<DocumentType>,
    /// What was disclosed, unless red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The colour.
    pub result: Colour,
    /// The stable code of the outcome.
    pub reason: Reason,
    /// False: the server answered.
    pub offline: bool,
    /// What is said of the holder's age, unless red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicates: Option<Predicates>,
    /// base64url of SHA-256 of the disclosure's characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure_sha256: Option<String>,
}

/// What an answer says of the holder's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Predicates {
    /// `{"over": 18}`: at least this old.
    Over(u8),
    /// `{"over18": false}`: whether of age.
    #[serde(rename = "over18")]
    Over18(bool),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        credential::{Refusal, VerificationResult},
        time::UnixSeconds,
    };

    fn refused() -> Verification {
        Verification {
            result: VerificationResult::online(&Err(Refusal::Used), UnixSeconds(1_795_132_810)),
            answer: "a.b.c".into(),
            disclosure: None,
            code_salt: "AAECAwQFBgcICQoLDA0ODw".into(),
            portrait: None,
        }
    }

    #[test]
    fn dis_002_a_verification_is_the_result_with_what_is_signed_of_it_beside() {
        let json = serde_json::to_value(refused()).unwrap();
        assert_eq!((&json["reason"], &json["answer"]), (&"used".into(), &"a.b.c".into()));
        assert_eq!((json.get("disclosure"), json.get("portrait")), (None, None));
        assert_eq!(serde_json::from_value::<Verification>(json).unwrap(), refused());
        let open = r#"{"check":"05050505050505050505050505050505","match":"07","expires":1795132930}"#;
        let check: OpenCheck = serde_json::from_str(open).unwrap();
        assert_eq!((check.match_number.value(), serde_json::to_string(&check).unwrap()), (7, open.into()));
        for bad in ["\"7\"", "\"+7\"", "\" 7\"", "\"007\"", "\"\"", "7"] {
            let bad = open.replace("\"07\"", bad);
            assert!(serde_json::from_str::<OpenCheck>(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dis_003_what_is_asked_is_strict_and_never_printed() {
        let asked: VerifyCode =
            serde_json::from_str(r#"{"code":"1234 5678","request_id":"till-3-000815","profile":"full"}"#)
                .unwrap();
        assert_eq!(asked.profile, Some(Profile::Full));
        assert_eq!(alloc::format!("{asked:?}"), "VerifyCode(redacted)");
        for bad in [
            r#"{"code":"1234 5678","request_id":"till-3-000815","profile":"Full"}"#,
            r#"{"code":"1234 5678","request_id":"till-3-000815","profile":2}"#,
            r#"{"code":"1234 5678","request_id":"till-3-000815","claims":["family"]}"#,
            r#"{"code":"1234 5678","request_id":"till-3-000815","challenge":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}"#,
            r#"{"code":"1234 5678","request_id":"till-3-000815","request":[]}"#,
            r#"{"code":12345678,"request_id":"till-3-000815"}"#,
            r#"{"code":"1234 5678"}"#,
        ] {
            assert!(serde_json::from_str::<VerifyCode>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dis_004_the_payload_of_an_answer_says_only_what_is_listed() {
        let claims = AnswerClaims {
            iat: 1_795_132_810,
            verifier: RelyingPartyId::from_bytes([1; 16]),
            request_id: "till-3-000815".into(),
            code_sha256: "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU".into(),
            document_type: Some(DocumentType::IdentityCard),
            profile: Some(Profile::Age),
            result: Colour::Green,
            reason: Reason::Valid,
            offline: false,
            predicates: Some(Predicates::Over(18)),
            disclosure_sha256: Some("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU".into()),
        };
        let json = serde_json::to_string(&claims).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"iat":1795132810,"verifier":"01010101010101010101010101010101","request_id":"till-3-000815","#,
                r#""code_sha256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","#,
                r#""document_type":"identity_card","profile":"age","result":"green","reason":"valid","offline":false,"#,
                r#""predicates":{"over":18},"disclosure_sha256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}"#
            )
        );
        assert_eq!(serde_json::from_str::<AnswerClaims>(&json).unwrap(), claims);
        assert!(serde_json::from_str::<AnswerClaims>(&json.replacen('{', "{\"family\":\"x\",", 1)).is_err());
        assert_eq!(answered_code(&[1; 16], "1234 5678"), answered_code(&[1; 16], "12345678"));
        assert_ne!(answered_code(&[1; 16], "12345678"), answered_code(&[2; 16], "12345678"));
        assert_ne!(answered_code(&[1; 16], "DQ1:A"), answered_code(&[1; 16], "DQ1:B"));
        let over18 = serde_json::to_string(&Predicates::Over18(false)).unwrap();
        assert_eq!(over18, r#"{"over18":false}"#);
    }
}
