//! JSON bodies of the relying-party API: signing requests, public keys, time.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{Profile, VerificationCode};
use crate::{
    credential::{BusinessId, DocumentType},
    ids::{CeremonyId, RelyingPartyId, RequestId},
};

/// Bytes of a relying party's bearer token, which is their base64url: its id, then 32 random ones.
pub const TOKEN_BYTES: usize = 48;
/// Longest time a result is waited for, milliseconds.
pub const WAIT_MS_MAX: u64 = 120_000;
/// Shortest and longest life of a request, seconds.
pub const REQUEST_SECONDS: core::ops::RangeInclusive<u64> = 30..=86_400;

/// `POST /v1/requests`: asks a person to sign. Header `Idempotency-Key` makes it safe to repeat for 24 h.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "person": "olena", "text": "Loan contract 17", "documents": [{ "name": "contract.pdf", "sha256": "LLZ0FYmTOmr9aWkOy0kxKyw0y7qOd9y3nbwdgI2EbAM=" }], "expires_in": 300 }))))]
pub struct CreateRequest {
    /// The person, by the reference the operator enrolled them under, or by the `person_id` of an earlier result. Left out with
    /// `link`, and only then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[!-~]{1,64}$"))]
    pub person: String,
    /// Whether the request is for whoever opens its link first, by QR or on the same device, instead of a person.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub link: bool,
    /// What the holder is shown about the request.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 2000))]
    pub text: String,
    /// What is to be signed, at most 32.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 32))]
    pub documents: Vec<DocumentDigest>,
    /// Life of the request, seconds; 300 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 30, maximum = 86400))]
    pub expires_in: Option<u64>,
    /// What the holder is shown in labelled values below the text, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 16))]
    pub fields: Vec<RequestField>,
    /// Whether the holder must pick a verification code out of three before signing. The relying party shows the right one.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub verification_code: bool,
}

/// A labelled value that the holder is shown: an amount, an account. It is part of what the holder agrees to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RequestField {
    /// What the value is: one line of 1 to 80 bytes.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 80))]
    pub label: String,
    /// The value: one line of 1 to 200 bytes.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub value: String,
}

/// A document by its digest: the document itself stays with the relying party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DocumentDigest {
    /// What the holder is shown for this document.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
    /// SHA-256 of the document, standard base64 with padding.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9+/]{43}=$"))]
    pub sha256: String,
}

/// Reply to `POST /v1/requests`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedRequest {
    /// The request.
    pub id: RequestId,
    /// When it ends, Unix seconds.
    pub expires: u64,
    /// The verification code to be shown to the holder, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_code: Option<VerificationCode>,
    /// The server's public URL, with which its links begin; with `link` only, as what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_url: Option<String>,
    /// Public name of the link: base64url of 32 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_token: Option<String>,
    /// Key of the links, base64url of 32 bytes. It stays in the relying party's back end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_secret: Option<String>,
}

impl core::fmt::Debug for CreatedRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "CreatedRequest({}, {}, redacted)", self.id, self.expires)
    }
}

/// State of a request. The list is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Waits for the holder.
    Open,
    /// Signed; the result is there.
    Signed,
    /// The holder said no.
    Declined,
    /// Taken back by the relying party.
    Cancelled,
    /// Its time ran out, or there is no such person.
    Expired,
    /// The holder's key ended.
    KeyEnded,
    /// The holder chose a verification code that is not the one shown: likely another request than the one they were after.
    WrongCode,
}

/// `GET /v1/requests/{id}?timeout_ms=`: state, and the result once signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestView {
    /// The request.
    pub id: RequestId,
    /// Its state.
    pub status: RequestStatus,
    /// When it ends, Unix seconds.
    pub expires: u64,
    /// Whether a phone has opened its link; in requests with a link only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_opened: Option<bool>,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<SignedResult>,
}

/// What a relying party gets for a signed request. Binary values are standard base64 with padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedResult {
    /// Suite by name.
    pub suite: String,
    /// Group public key in the suite's standard encoding: SEC1 compressed, 33 bytes.
    pub public_key: String,
    /// One entry per document, in order.
    pub signatures: Vec<DocumentSignature>,
    /// Evidence of what the holder saw.
    pub approval: ApprovalEvidence,
    /// DER certificates, the holder's own first, where the key has one: the one in use when the request was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_chain: Option<Vec<String>>,
    /// The person, by a name that this relying party alone may use as `person` in later requests; another one has another. It
    /// stays when the person enrols another phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_id: Option<String>,
}

/// `GET /v1/persons/{person}/signing-certificate`: what signed attributes and headers need to know of the certificate
/// before anything is signed. It names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningCertificate {
    /// Suite by name.
    pub suite: String,
    /// SHA-256 of the certificate.
    pub certificate_sha256: String,
    /// DER of the issuer's distinguished name.
    pub issuer: String,
    /// Serial number, big endian.
    pub serial: String,
    /// Last second of its validity, Unix seconds.
    pub not_after: u64,
}

/// `GET /admin/v1/devices/{id}/certificate-request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CertificateRequestView {
    /// The certification request, DER.
    pub request: String,
}

/// `PUT /admin/v1/devices/{id}/certificate`: a certificate of an authority elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "chain": ["MIIB…", "MIIB…"] }))))]
pub struct ImportCertificate {
    /// DER certificates, the holder's own first, an authority's last; 2 to 5.
    #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 5))]
    pub chain: Vec<String>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentSignature {
    /// Name of the document, as asked.
    pub name: String,
    /// Its SHA-256: the message the suite signed.
    pub sha256: String,
    /// The signature in the suite's standard encoding; `raw` for `es256`.
    pub signature: String,
    /// For `es256`: `r || s`, 64 bytes, as JWS (RFC 7518 §3.4) and COSE (RFC 9053 §2.1) want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// For `es256`: DER of `Ecdsa-Sig-Value` (RFC 3279 §2.2.3), as X.509, CMS and TLS want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub der: Option<String>,
}

/// The approval record and what verifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalEvidence {
    /// Canonical CBOR of the approval record.
    pub record: String,
    /// The device key's signature over it, `r || s`.
    pub signature: String,
    /// The device key, SEC1 compressed.
    pub device_key: String,
    /// What shows that the device key and the signing key are of one phone. Only keys enrolled before it was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<EnrolmentEvidence>,
}

/// What the signing key signed first, at its enrolment, and its signature: the statement names the device key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentEvidence {
    /// The ceremony that made the key.
    pub ceremony: CeremonyId,
    /// Hash of what the phone left for its holder, 32 bytes.
    pub holder_keys: String,
    /// The signing key's signature in the suite's standard encoding, over the certification request that is bound to the
    /// statement, or the statement itself for a suite without certificates.
    pub signature: String,
}

/// `POST /v1/report-lost`: ends the installation of a lost code. Anybody may send it; the answer says nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "code": "0123-4567-89AB-CDEF-GHJK-ANCY" }))))]
pub struct ReportLost {
    /// The code, as it was written down; see [`crate::lost_code::LostCode::parse`].
    pub code: String,
}

impl core::fmt::Debug for ReportLost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ReportLost(redacted)")
    }
}

/// `GET /v1/time?nonce=<32 hex digits>`: server time, signed by the answer key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedTime {
    /// Unix seconds.
    pub time: u64,
    /// The nonce asked with.
    pub nonce: String,
    /// By the answer key, over [`crate::wire::time_to_sign`]; standard base64 of `r || s`.
    pub signature: String,
}

/// What the answer key signs to tell the time.
#[must_use]
pub fn time_to_sign(time: u64, nonce: &str) -> crate::device_key::ToSign {
    crate::device_key::ToSign(
        crate::domain::Hasher::new(crate::domain::Domain::ServerTime)
            .number(time)
            .field(nonce.as_bytes())
            .finish(),
    )
}

/// `GET /v1/answer-key`: the key that signs time and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerKey {
    /// SEC1 compressed, standard base64.
    pub public_key: String,
}

/// `POST /admin/v1/enrolment-codes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "person": "olena", "expires_in": 86400 }))))]
pub struct CreateEnrolmentCode {
    /// The operator's reference for the person: 1 to 64 visible ASCII characters.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[!-~]{1,64}$"))]
    pub person: String,
    /// Life of the code, seconds; 86,400 if absent, at most 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 60, maximum = 2592000))]
    pub expires_in: Option<u64>,
}

/// Reply to `POST /admin/v1/enrolment-codes`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedEnrolmentCode {
    /// The code, shown this once.
    pub code: String,
    /// When it ends, Unix seconds.
    pub expires: u64,
}

impl core::fmt::Debug for CreatedEnrolmentCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CreatedEnrolmentCode(redacted)")
    }
}

/// `POST /admin/v1/relying-parties`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "name": "Bank of Examples", "may_ask": true, "may_verify": false }))))]
pub struct CreateRelyingParty {
    /// The name holders are shown.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    pub name: String,
    /// May ask for signatures.
    pub may_ask: bool,
    /// May verify codes online.
    pub may_verify: bool,
    /// Kinds of document it may report events of, as a register.
    #[serde(default)]
    pub report: Vec<DocumentType>,
    /// May report deaths.
    #[serde(default)]
    pub report_deceased: bool,
    /// May have codes made for the documents of this organisation, by the register's name for it: 1 to 24 ASCII letters,
    /// digits, `-` and `_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{1,24}$"))]
    pub generates_for: Option<String>,
}

/// Reply to `POST /admin/v1/relying-parties`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedRelyingParty {
    /// Its id.
    pub id: RelyingPartyId,
    /// Its bearer token, shown this once: base64url of [`TOKEN_BYTES`], which begin with its id.
    pub token: String,
}

impl core::fmt::Debug for CreatedRelyingParty {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "CreatedRelyingParty({}, redacted)", self.id)
    }
}

/// One entry of `GET /admin/v1/relying-parties`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelyingPartyView {
    /// Its id.
    pub id: RelyingPartyId,
    /// Its name.
    pub name: String,
    /// May ask for signatures.
    pub may_ask: bool,
    /// May verify codes online.
    pub may_verify: bool,
    /// Kinds of document it may report events of, as a register.
    #[serde(default)]
    pub report: Vec<DocumentType>,
    /// May report deaths.
    #[serde(default)]
    pub report_deceased: bool,
    /// May have codes made for the documents of this organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generates_for: Option<String>,
    /// Limits of its own.
    #[serde(default)]
    pub limits: RelyingPartyLimits,
    /// What its requests of the last 7 days take, bytes.
    #[serde(default)]
    pub kept_bytes: u64,
    /// Revoked.
    pub revoked: bool,
}

/// `PUT /admin/v1/relying-parties/{id}/limits`: limits of one relying party. What is left out is as configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RelyingPartyLimits {
    /// Calls in a second, over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000))]
    pub calls_per_second: Option<u32>,
    /// Bytes that its requests may take, with their results, until they are forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1_048_576_u64, maximum = 1_125_899_906_842_624_u64))]
    pub kept_bytes: Option<u64>,
}

/// Reply to `POST /register/v1/events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportedEvent {
    /// What became of the event.
    pub outcome: EventOutcome,
}

/// What became of an event of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventOutcome {
    /// Taken, and in force when this is answered.
    Applied,
    /// Taken, and overtaken by a later one about the same document: nothing was done.
    Late,
}

/// `POST /admin/v1/business-credentials`: a credential for a business that asks by QR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "name": "Corner Shop", "key": "AmsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW", "profiles": ["age"], "days": 7, "relying_party": "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a" }))))]
pub struct CreateBusinessCredential {
    /// The name phones show.
    pub name: String,
    /// Its public key: SEC1 compressed, base64url without padding.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Za-z0-9_-]{44}$"))]
    pub key: String,
    /// What it may ask for.
    pub profiles: Vec<Profile>,
    /// Life of the credential, days; 7 if absent, at most 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 30))]
    pub days: Option<u64>,
    /// The business, as a relying party that may verify.
    pub relying_party: RelyingPartyId,
}

/// Reply to `POST /admin/v1/business-credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedBusinessCredential {
    /// The business's id: the same in every credential of it.
    pub id: BusinessId,
    /// The credential, base64url without padding.
    pub credential: String,
    /// When it ends, Unix seconds.
    pub expires: u64,
}

/// Reply to `PUT /admin/v1/trust-list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PutTrustList {
    /// Number of the list given out.
    pub number: u64,
    /// What the operator should know: keys of this server that the list does not name.
    pub notes: Vec<String>,
}
