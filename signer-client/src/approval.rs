//! The evidence of an approval, checked by the relying party that asked: what the holder saw, and when they agreed, under the
//! signature of the phone's key; and that this key is of the phone with half of the signing key. It needs no server.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signer_core::{
    approval::{ApprovalRecord, RequestObject},
    ceremony::{EnrolledKeys, EnrolmentProof},
    device_key::{DevicePublicKeyBytes, DeviceSignature},
    ids::{RelyingPartyId, RequestId},
    lost_code::HolderKeysDigest,
    suite::Signature,
    time::UnixSeconds,
    wire::{
        ApprovalEvidence, CLOCK_TOLERANCE_SECONDS, CreateRequest, CreatedRequest, DocumentDigest,
        RequestField, SignedResult,
    },
};

use crate::relying_party::{ResultError, VerifiedResult, bytes, verify_result};

/// What an approval must be of: the request as its relying party made it.
#[derive(Debug, Clone, Copy)]
pub struct ExpectedApproval<'a> {
    /// Who asked.
    pub relying_party: RelyingPartyId,
    /// The request.
    pub request: RequestId,
    /// When it ends, as the server said when it was made.
    pub expires: UnixSeconds,
    /// The text.
    pub text: &'a str,
    /// The fields, in order.
    pub fields: &'a [RequestField],
    /// The documents, in order.
    pub documents: &'a [DocumentDigest],
}

impl<'a> ExpectedApproval<'a> {
    /// An approval of `asked`, which became `made`.
    #[must_use]
    pub fn of(relying_party: RelyingPartyId, asked: &'a CreateRequest, made: &CreatedRequest) -> Self {
        Self {
            relying_party,
            request: made.id,
            expires: UnixSeconds(made.expires),
            text: &asked.text,
            fields: &asked.fields,
            documents: &asked.documents,
        }
    }
}

/// Verifies that the holder of the signing key approved just this: all of [`verify_result`], and that the record says this
/// relying party, request, text, fields and documents, with a time of approval within the request's life, give or take
/// 300 s of the phone's clock.
///
/// It proves, without the server's word, that the phone which enrolled with the signing key signed the record. How firmly,
/// [`VerifiedResult::enrolled`] says. Not proved is whose key it is: that is its certificate's word; and that the phone showed
/// what the record says: that is the word of the phone's program.
///
/// # Errors
/// Those of [`verify_result`]; [`ResultError::Approval`] names the first thing that differs.
pub fn verify_approval(
    result: &SignedResult,
    expected: &ExpectedApproval<'_>,
) -> Result<VerifiedResult, ResultError> {
    let verified = verify_result(result)?;
    let record = &verified.record;
    let request = &record.request;
    let differs = [
        ("the relying party", request.relying_party.id != expected.relying_party),
        ("the request's id", request.request != expected.request),
        ("the text", request.text.as_str() != expected.text),
        ("a field", !same_fields(request, expected.fields)),
        ("a document", !same_documents(request, expected.documents)),
        ("the end of the request", request.expires != expected.expires),
        ("the time of approval", !in_time(record)),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(ResultError::Approval(what)),
        None => Ok(verified),
    }
}

/// Verifies that a record is signed by the device key beside it, and is of that device.
pub(crate) fn verify_evidence(
    evidence: &ApprovalEvidence,
) -> Result<(ApprovalRecord, DevicePublicKeyBytes), ResultError> {
    let record_bytes =
        BASE64_STANDARD.decode(&evidence.record).map_err(|_| ResultError::Form("the approval record"))?;
    let record =
        ApprovalRecord::decode(&record_bytes).map_err(|_| ResultError::Form("the approval record"))?;
    let device_key =
        DevicePublicKeyBytes(bytes(&evidence.device_key).ok_or(ResultError::Form("the device key"))?);
    let signature =
        DeviceSignature(bytes(&evidence.signature).ok_or(ResultError::Form("the record's signature"))?);
    let to_sign = ApprovalRecord::to_sign(&record_bytes);
    if !device_key.parse().is_some_and(|key| key.verify(to_sign, &signature)) {
        return Err(ResultError::RecordSignature);
    }
    if record.device == device_key.device_id() { Ok((record, device_key)) } else { Err(ResultError::Record) }
}

/// Verifies that the signing key said it was enrolled with the device key, and returns the statement it said it by.
pub(crate) fn verify_enrolment(
    evidence: &ApprovalEvidence,
    keys: &EnrolledKeys,
) -> Result<[u8; 32], ResultError> {
    let enrolment = evidence.enrolment.as_ref().ok_or(ResultError::NoEnrolment)?;
    let holder_keys = bytes(&enrolment.holder_keys).ok_or(ResultError::Form("the holder's keys"))?;
    let signature = BASE64_STANDARD.decode(&enrolment.signature).ok().and_then(Signature::new);
    let proof = EnrolmentProof {
        ceremony: enrolment.ceremony,
        holder_keys: HolderKeysDigest(holder_keys),
        signature: signature.ok_or(ResultError::Form("the first signature"))?,
    };
    if proof.holds(keys) { Ok(proof.statement(keys)) } else { Err(ResultError::Enrolment) }
}

fn same_fields(request: &RequestObject, expected: &[RequestField]) -> bool {
    let shown = request.fields().iter().map(|field| (field.label.as_str(), field.value.as_str()));
    shown.eq(expected.iter().map(|field| (field.label.as_str(), field.value.as_str())))
}

fn same_documents(request: &RequestObject, expected: &[DocumentDigest]) -> bool {
    let shown = request.documents.as_slice();
    shown.len() == expected.len()
        && shown.iter().zip(expected).all(|(document, asked)| {
            document.name.as_str() == asked.name && bytes(&asked.sha256) == Some(document.digest)
        })
}

fn in_time(record: &ApprovalRecord) -> bool {
    let ApprovalRecord { request, approved_at, .. } = record;
    request.created.minus(CLOCK_TOLERANCE_SECONDS) <= *approved_at
        && *approved_at <= request.expires.plus(CLOCK_TOLERANCE_SECONDS)
}
