//! The other side of the counter: a bank that asks for signatures, a shop that checks codes. And the outsider's check of a
//! result, which needs no server.

use std::{fmt, time::Duration};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use signer_core::{
    approval::ApprovalRecord,
    ceremony::EnrolledKeys,
    certificate::{CertificateError, check_chain, raw_from_der},
    credential::VerificationResult,
    device_key::DevicePublicKeyBytes,
    domain::sha256,
    ids::{RelyingPartyId, RequestId},
    lost_code::LostCode,
    suite::{GroupPublicKey, Signature, SuiteId},
    wire::{
        AuditConsistency, AuditProof, CreateRequest, CreatedRequest, DocumentSignature, MadeCodes, MakeCodes,
        ReportLost, RequestView, SignedResult, SigningCertificate, TOKEN_BYTES, Verification, VerifyCode,
        WAIT_MS_MAX,
    },
};
use zeroize::Zeroizing;

use crate::{
    approval::{verify_enrolment, verify_evidence},
    error::ClientError,
    phone::{body_of, json},
    ports::{EXCHANGE_TIMEOUT, Http, HttpRequest},
};

/// A relying party with its bearer token.
pub struct RelyingParty {
    http: Box<dyn Http>,
    token: String,
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelyingParty({})", self.http.server())
    }
}

impl RelyingParty {
    /// A relying party of the server behind `http`.
    #[must_use]
    pub fn new(http: Box<dyn Http>, token: impl Into<String>) -> Self {
        Self { http, token: token.into() }
    }

    /// Asks a person to sign. The same `idempotency_key` and body give the same request for 24 hours.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn ask(&self, request: &CreateRequest, idempotency_key: &str) -> Result<CreatedRequest, ClientError> {
        let mut post = HttpRequest::post("/v1/requests", "application/json", json(request));
        post.headers.push(("idempotency-key", idempotency_key.into()));
        self.send(post)
    }

    /// State of a request; waits up to `wait` for it to change from open.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn wait(&self, request: RequestId, wait: Duration) -> Result<RequestView, ClientError> {
        let wait = wait.min(Duration::from_millis(WAIT_MS_MAX));
        let mut get = HttpRequest::get(format!("/v1/requests/{request}?timeout_ms={}", wait.as_millis()));
        get.timeout = wait + EXCHANGE_TIMEOUT;
        self.send(get)
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with `request_closed` if it is no longer open; [`ClientError`].
    pub fn cancel(&self, request: RequestId) -> Result<(), ClientError> {
        self.exchange(HttpRequest::delete(format!("/v1/requests/{request}")), "").map(drop)
    }

    /// What signed attributes and headers need of a person's certificate, before anything is signed. It names nobody.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn signing_certificate(&self, person: &str) -> Result<SigningCertificate, ClientError> {
        self.send(HttpRequest::get(format!("/v1/persons/{}/signing-certificate", path_segment(person))))
    }

    /// The entry of the server's audit log that says a request was signed; see [`crate::verify_audit_proof`].
    ///
    /// # Errors
    /// [`ClientError::Problem`] with `not_found` if it is not signed; [`ClientError`].
    pub fn audit_proof(&self, request: RequestId) -> Result<AuditProof, ClientError> {
        self.send(HttpRequest::get(format!("/v1/requests/{request}/audit")))
    }

    /// The newest checkpoint of the server's audit log, a signed note.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn audit_checkpoint(&self) -> Result<String, ClientError> {
        let note = self.exchange(HttpRequest::get("/v1/audit/checkpoint"), "text/plain")?;
        String::from_utf8(note.to_vec())
            .map_err(|_| ClientError::ServerMisbehaved("a checkpoint is not text"))
    }

    /// That the log continues its first `from` entries; see [`crate::verify_audit_consistency`].
    ///
    /// # Errors
    /// [`ClientError::Problem`] with `invalid_value` if the log is shorter; [`ClientError`].
    pub fn audit_consistency(&self, from: u64) -> Result<AuditConsistency, ClientError> {
        self.send(HttpRequest::get(format!("/v1/audit/consistency?from={from}")))
    }

    /// Checks a code online and uses it up, for who believes the connection: the answer's signature is not looked at. The same
    /// `request_id` within 60 s gets the same answer.
    ///
    /// # Errors
    /// As [`Self::ask_about`].
    pub fn verify_code(&self, code: &str, request_id: &str) -> Result<VerificationResult, ClientError> {
        let asked =
            VerifyCode { code: code.into(), request_id: request_id.into(), profile: None, request: None };
        Ok(self.ask_about(&asked)?.result)
    }

    /// Checks a code online and uses it up. The answer is to be believed by [`crate::verify_answer`].
    ///
    /// # Errors
    /// [`ClientError`] if there is no answer; a refused code is an answer.
    pub fn ask_about(&self, asked: &VerifyCode) -> Result<Verification, ClientError> {
        self.send(HttpRequest::post("/v1/verifications", "application/json", json(asked)))
    }

    /// Codes for its organisation's documents; see [`Self::codes`].
    pub(crate) fn make_codes(&self, asked: &MakeCodes) -> Result<MadeCodes, ClientError> {
        self.send(HttpRequest::post("/v1/codes", "application/json", json(asked)))
    }

    /// The relying party's id, as its token says; none in a token of another form.
    #[must_use]
    pub fn id(&self) -> Option<RelyingPartyId> {
        let bytes: [u8; TOKEN_BYTES] = BASE64_URL_SAFE_NO_PAD.decode(&self.token).ok()?.try_into().ok()?;
        bytes.first_chunk().copied().map(RelyingPartyId::from_bytes)
    }

    fn exchange(
        &self,
        mut request: HttpRequest,
        content_type: &str,
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        if !self.token.is_empty() {
            request.headers.push(("authorization", format!("Bearer {}", self.token)));
        }
        body_of(self.http.send(&request)?, content_type)
    }

    fn send<T: serde::de::DeserializeOwned>(&self, request: HttpRequest) -> Result<T, ClientError> {
        let body = self.exchange(request, "application/json")?;
        serde_json::from_slice(&body)
            .map_err(|_| ClientError::ServerMisbehaved("an answer is not of the agreed form"))
    }
}

/// Reports a phone lost, from any machine: whoever has its lost code may. A code that is nobody's gets the same answer.
///
/// # Errors
/// [`ClientError::Usage`] if the text is not a lost code; [`ClientError`] if the server did not take it.
pub fn report_lost(http: &dyn Http, code: &str) -> Result<(), ClientError> {
    let code = LostCode::parse(code)
        .map_err(|_| ClientError::Usage("this is not a lost code: compare it letter by letter"))?;
    let body = ReportLost { code: code.text().to_string() };
    body_of(http.send(&HttpRequest::post("/v1/report-lost", "application/json", json(&body)))?, "").map(drop)
}

/// Fetches what anyone may have: a list, at `path` of the server behind `http`.
///
/// # Errors
/// [`ClientError`]
pub fn public(http: &dyn Http, path: &str, media_type: &str) -> Result<Vec<u8>, ClientError> {
    Ok(body_of(http.send(&HttpRequest::get(path))?, media_type)?.to_vec())
}

/// SHA-256 of a document as a [`signer_core::wire::DocumentDigest`] carries it: standard base64.
#[must_use]
pub fn file_digest(document: &[u8]) -> String {
    BASE64_STANDARD.encode(sha256(document))
}

/// A result as a file for outsiders: the result itself, and for a single document its `digest` and `signature` on top. All
/// binary values are standard base64 of the suite's standard encodings.
#[must_use]
pub fn signature_file(result: &SignedResult) -> serde_json::Value {
    let mut file = serde_json::json!(result);
    if let ([only], Some(fields)) = (result.signatures.as_slice(), file.as_object_mut()) {
        fields.insert("digest".into(), only.sha256.clone().into());
        fields.insert("signature".into(), only.signature.clone().into());
    }
    file
}

/// Why a result is not what it says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// A suite this program does not know.
    #[error("the suite {0} is not known to this program")]
    UnknownSuite(String),
    /// A value is not base64 or has the wrong length.
    #[error("{0} is not of the agreed form")]
    Form(&'static str),
    /// There is another number of signatures than documents, or none.
    #[error("the signatures are not one for each document")]
    Count,
    /// The digest is not that of the document.
    #[error("the digest of {0} is not that of the document given")]
    Digest(String),
    /// The signature is not valid under the public key.
    #[error("the signature over {0} is not valid")]
    Signature(String),
    /// The approval record is not signed by the device key in the result.
    #[error("the approval record is not signed by the device key")]
    RecordSignature,
    /// The approval record speaks of another device, suite, or other documents.
    #[error("the approval record does not belong to these signatures")]
    Record,
    /// Nothing shows that the device key in the result belongs to the signing key.
    #[error("nothing shows that the device key belongs to the signing key")]
    NoEnrolment,
    /// The signing key never said that it was enrolled with the device key in the result.
    #[error("the device key was not enrolled with the signing key")]
    Enrolment,
    /// The certificate was issued for another enrolment than the one shown.
    #[error("the certificate was issued for another enrolment than the device key's")]
    EnrolmentCertificate,
    /// The approval record says something else than was asked.
    #[error("the approval record is not of this request: {0} differs")]
    Approval(&'static str),
    /// The certificate is for another key, or was not issued by its chain, or was not valid at the time of approval.
    #[error("the certificate: {0}")]
    Certificate(CertificateError),
}

/// A result whose signatures, approval record and certificate, if there is one, were checked against each other. Whether the
/// certificate's authority is to be trusted, and has revoked it since, is not for this check to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedResult {
    /// The suite.
    pub suite: SuiteId,
    /// The key the signatures verify under.
    pub public_key: GroupPublicKey,
    /// What the holder saw and agreed to.
    pub record: ApprovalRecord,
    /// What says that the device key which signed the record is of the phone that has half of the signing key.
    pub enrolled: EnrolledBy,
}

/// What ties the device key of an approval to the signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolledBy {
    /// The first signature of the signing key, named in the certificate of the result's chain. As firm as that certificate: who
    /// made the result chose the chain, so its authority has to be one you trust ([`crate::formats::Trust`]). Nothing signed
    /// later replaces a signature that a trusted certificate names.
    Certificate,
    /// A signature of the signing key alone: a suite without certificates, or a certificate of an authority that left the
    /// binding out; or who made the result left the chain out. Whoever had the holder sign a digest of their own making can have
    /// one for another device key: for a key that has a certificate, ask for the result with it.
    Signature,
}

/// Verifies a result as an outsider: each signature under the public key, the approval record under the device key, that the
/// record speaks of exactly these documents, and that the signing key was enrolled with this device key.
///
/// # Errors
/// [`ResultError`]: the first thing found wrong.
pub fn verify_result(result: &SignedResult) -> Result<VerifiedResult, ResultError> {
    let suite = SuiteId::from_name(&result.suite)
        .ok_or_else(|| ResultError::UnknownSuite(result.suite.chars().take(40).collect()))?;
    let public_key = GroupPublicKey(bytes(&result.public_key).ok_or(ResultError::Form("the public key"))?);
    if result.signatures.is_empty() {
        return Err(ResultError::Count);
    }
    for entry in &result.signatures {
        let digest = bytes(&entry.sha256).ok_or(ResultError::Form("a digest"))?;
        let signature = BASE64_STANDARD
            .decode(&entry.signature)
            .ok()
            .and_then(Signature::new)
            .ok_or(ResultError::Form("a signature"))?;
        if !suite.get().verify(&public_key, &digest, &signature) || !same_in_all_encodings(entry, &signature)
        {
            return Err(ResultError::Signature(entry.name.clone()));
        }
    }
    let (record, device_key) = verify_record(result, suite)?;
    let keys = EnrolledKeys { suite, key: record.key, public_key, device_key };
    let statement = verify_enrolment(&result.approval, &keys)?;
    let mut enrolled = EnrolledBy::Signature;
    if let Some(chain) = &result.certificate_chain {
        let chain = chain.iter().map(|der| BASE64_STANDARD.decode(der));
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|_| ResultError::Form("a certificate"))?;
        let checked =
            check_chain(&chain, &public_key, record.approved_at).map_err(ResultError::Certificate)?;
        if let Some(binding) = checked.binding {
            if binding != statement {
                return Err(ResultError::EnrolmentCertificate);
            }
            enrolled = EnrolledBy::Certificate;
        }
    }
    Ok(VerifiedResult { suite, public_key, record, enrolled })
}

fn verify_record(
    result: &SignedResult,
    suite: SuiteId,
) -> Result<(ApprovalRecord, DevicePublicKeyBytes), ResultError> {
    let (record, device_key) = verify_evidence(&result.approval)?;
    let documents = record.request.documents.as_slice();
    let same_documents = documents.len() == result.signatures.len()
        && documents.iter().zip(&result.signatures).all(|(document, entry)| {
            document.name.as_str() == entry.name && bytes(&entry.sha256) == Some(document.digest)
        });
    let same_key = bytes(&result.public_key) == Some(record.public_key.0);
    if same_documents && same_key && record.suite == suite {
        Ok((record, device_key))
    } else {
        Err(ResultError::Record)
    }
}

/// Whether the encodings beside the standard one, if there are any, are of the same signature.
fn same_in_all_encodings(entry: &DocumentSignature, signature: &Signature) -> bool {
    let raw = entry.raw.as_ref().is_none_or(|raw| decoded(raw).as_deref() == Some(signature.as_slice()));
    let der = entry.der.as_ref().is_none_or(|der| {
        let raw = decoded(der).and_then(|der| raw_from_der(&der).ok());
        raw.is_some_and(|raw| raw == signature.as_slice())
    });
    raw && der
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn path_segment(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        // A dot too, so that no segment is `.` or `..`.
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

pub(crate) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    decoded(text)?.try_into().ok()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}
