//! The server's side of a signature.

use alloc::vec::Vec;

use super::{approve_mac, contexts, fetch_receipt};
use crate::{
    approval::{ApprovalRecord, DIGESTS_MAX, RequestObject},
    ceremony::{FRESH_SECONDS, ServerKey},
    codec::{self, CodecError, List},
    device_key::{DevicePublicKey, DeviceSignature},
    domain::{Domain, Hasher},
    suite::{Commitments, FinishError, GroupPublicKey, KeyContext, Signature, SuiteError},
    time::UnixSeconds,
    wire::{
        APPROVE_PAYLOAD_BYTES_MAX, Approve, ApproveItem, ApprovePayload, CLOCK_TOLERANCE_SECONDS, Fetch,
        Fetched, Token,
    },
};

/// Answers a fetch: one derived commitment per digest. Stores nothing; the approve recomputes.
///
/// # Errors
/// [`SuiteError::Peer`] if the device's commitments are not valid or not one per digest, or it asked for another request
/// or key.
pub fn answer_fetch(
    key: &ServerKey,
    context: KeyContext,
    public_key: GroupPublicKey,
    object: RequestObject,
    fetch: &Fetch,
    now: UnixSeconds,
) -> Result<Fetched, SuiteError> {
    let devices = fetch.commitments.as_slice();
    let asked_for_this = fetch.request == object.request && fetch.key == context.key;
    if !asked_for_this || devices.len() != object.documents.as_slice().len() {
        return Err(SuiteError::Peer);
    }
    let (suite, request_hash) = (context.suite.get(), object.hash());
    let commitments = contexts(context, public_key, request_hash, now, object.documents.as_slice())
        .zip(devices)
        .map(|(signing, device)| suite.server_commit(&key.share, &key.nonce_key, &signing, device))
        .collect::<Result<Vec<_>, _>>()?;
    let pairs = devices.iter().zip(&commitments).map(|(device, server)| Commitments { device, server });
    let pairs: Vec<_> = pairs.collect();
    let receipt = fetch_receipt(&key.nonce_key, &context, &public_key, &request_hash, now, &pairs).tag();
    let commitments = List::new(commitments).ok_or(SuiteError::Peer)?;
    Ok(Fetched { object, epoch: context.epoch, fetched_at: now, commitments, receipt })
}

/// Why an approve is refused before anything is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApproveRefusal {
    /// Not a canonical payload, or a suite value that is out of range.
    #[error("the payload is malformed")]
    Malformed,
    /// The record is not signed by the device key.
    #[error("the approval record is not signed by the device key")]
    RecordSignature,
    /// What was approved is not what was requested.
    #[error("the approval record does not match the request")]
    RecordMismatch,
    /// The time in the record is not between the fetch and now, give or take the clock tolerance.
    #[error("the approval time does not fit")]
    RecordTime,
    /// Another key, another epoch, an old fetch, or commitments that were never given out.
    #[error("the fetch this is based on is no longer valid")]
    Stale,
    /// The stored key material is damaged.
    #[error("own key material is damaged")]
    Own,
}

impl From<CodecError> for ApproveRefusal {
    fn from(_: CodecError) -> Self {
        Self::Malformed
    }
}

impl From<SuiteError> for ApproveRefusal {
    fn from(error: SuiteError) -> Self {
        match error {
            SuiteError::Peer => Self::Malformed,
            SuiteError::OwnMaterial => Self::Own,
        }
    }
}

/// Idempotency key of an approve: its payload without transport and signatures, bound to the device.
#[must_use]
pub fn approve_payload_hash(context: &KeyContext, approve: &Approve) -> [u8; 32] {
    Hasher::new(Domain::Payload)
        .field(b"approve")
        .field(context.device.as_bytes())
        .field(approve.payload.as_slice())
        .finish()
}

/// A payload decoded, before the request it names is known.
#[derive(Debug)]
pub struct ReceivedApprove {
    payload: ApprovePayload,
    record: ApprovalRecord,
    record_signature: DeviceSignature,
}

impl ReceivedApprove {
    /// Decodes payload and record.
    ///
    /// # Errors
    /// [`ApproveRefusal::Malformed`].
    pub fn decode(approve: &Approve) -> Result<Self, ApproveRefusal> {
        let payload: ApprovePayload = codec::decode(approve.payload.as_slice(), APPROVE_PAYLOAD_BYTES_MAX)?;
        let record = ApprovalRecord::decode(payload.record.as_slice())?;
        Ok(Self { payload, record, record_signature: approve.record_signature })
    }

    /// The request it says to approve.
    #[must_use]
    pub const fn request(&self) -> crate::ids::RequestId {
        self.record.request.request
    }

    /// Checks form, record, freshness and, by their receipt, that the server's commitments are those it gave out. Counts
    /// nothing.
    ///
    /// # Errors
    /// [`ApproveRefusal`].
    pub fn check(
        self,
        device_key: &DevicePublicKey,
        key: &ServerKey,
        context: KeyContext,
        public_key: GroupPublicKey,
        object: &RequestObject,
        now: UnixSeconds,
    ) -> Result<CheckedApprove, ApproveRefusal> {
        let Self { payload, record, record_signature } = self;
        if !device_key.verify(ApprovalRecord::to_sign(payload.record.as_slice()), &record_signature) {
            return Err(ApproveRefusal::RecordSignature);
        }
        let names_this_key = record.device == context.device
            && record.suite == context.suite
            && record.key == context.key
            && record.public_key == public_key
            && payload.key == context.key;
        if record.request != *object || !names_this_key {
            return Err(ApproveRefusal::RecordMismatch);
        }
        let too_early = record.approved_at.plus(CLOCK_TOLERANCE_SECONDS) < payload.fetched_at;
        let too_late = record.approved_at > now.plus(CLOCK_TOLERANCE_SECONDS);
        if too_early || too_late {
            return Err(ApproveRefusal::RecordTime);
        }
        let fresh = payload.fetched_at <= now && now.distance(payload.fetched_at) <= FRESH_SECONDS;
        if !fresh || payload.epoch != context.epoch {
            return Err(ApproveRefusal::Stale);
        }
        let items = payload.items.as_slice();
        if items.len() != object.documents.as_slice().len() {
            return Err(ApproveRefusal::Malformed);
        }
        let suite = context.suite.get();
        for item in items {
            suite.check_syntax(&item.device, &item.contribution)?;
        }
        let request_hash = object.hash();
        let pairs: Vec<_> = items.iter().map(ApproveItem::commitments).collect();
        let receipt =
            fetch_receipt(&key.nonce_key, &context, &public_key, &request_hash, payload.fetched_at, &pairs);
        if !receipt.verify(&payload.receipt) {
            return Err(ApproveRefusal::Stale);
        }
        Ok(CheckedApprove {
            payload,
            record_signature,
            context,
            public_key,
            request_hash,
            object: object.clone(),
        })
    }
}

/// An approve whose form is right. It may be evaluated once an attempt is reserved.
#[derive(Debug)]
pub struct CheckedApprove {
    payload: ApprovePayload,
    record_signature: DeviceSignature,
    context: KeyContext,
    public_key: GroupPublicKey,
    request_hash: [u8; 32],
    object: RequestObject,
}

/// How an evaluation ended.
#[derive(Debug)]
pub enum Evaluation {
    /// One valid signature per digest, in order.
    Signed(List<Signature, DIGESTS_MAX>),
    /// The gate failed.
    WrongPin,
    /// The gate was right, a contribution wrong by the account of two implementations.
    Cheating,
    /// The server's own computation failed; nobody is blamed.
    ServerFault,
}

impl CheckedApprove {
    /// The device token presented.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.payload.token
    }

    /// Tries before this one that presented the same token, of which the phone does not know that they had no success.
    #[must_use]
    pub const fn unheard(&self) -> u32 {
        self.payload.unheard
    }

    /// When the fetch it is based on was answered.
    #[must_use]
    pub const fn fetched_at(&self) -> UnixSeconds {
        self.payload.fetched_at
    }

    /// Canonical bytes of the approval record and the device key's signature over it.
    #[must_use]
    pub fn record(&self) -> (&[u8], &DeviceSignature) {
        (self.payload.record.as_slice(), &self.record_signature)
    }

    /// Gate, then every digest: all valid, or nothing. Only after a reservation is durable.
    #[must_use]
    pub fn evaluate(mut self, key: &ServerKey) -> Evaluation {
        let mac = core::mem::take(&mut self.payload.mac);
        let gate =
            approve_mac(&key.gate_key, &self.context, &self.public_key, &self.request_hash, &self.payload);
        if !gate.verify(&mac) {
            return Evaluation::WrongPin;
        }
        let suite = self.context.suite.get();
        let documents = self.object.documents.as_slice();
        let signing =
            contexts(self.context, self.public_key, self.request_hash, self.payload.fetched_at, documents);
        let items: Vec<_> = signing.zip(self.payload.items.as_slice()).collect();
        // All items are completed before any is looked at. If one fails, all are judged: one outcome, and no time that tells
        // which were wrong, or how many.
        let completed = items.iter().map(|(context, item)| {
            suite.complete(&key.share, &key.nonce_key, context, item.commitments(), &item.contribution)
        });
        let completed: Vec<_> = completed.collect();
        let signatures = completed.iter().map(|one| one.clone().ok().flatten());
        if let Some(signatures) = signatures.collect::<Option<Vec<_>>>() {
            return List::new(signatures).map_or(Evaluation::ServerFault, Evaluation::Signed);
        }
        let judged = items.iter().map(|(context, item)| {
            suite.judge(&key.share, &key.nonce_key, context, item.commitments(), &item.contribution)
        });
        let judged: Vec<_> = judged.collect();
        failure(&completed, &judged)
    }
}

/// The outcome of a batch in which an item failed. Cheating in one item is cheating, whatever became of the others: a fault
/// must not hide it.
fn failure(completed: &[Result<Option<Signature>, FinishError>], judged: &[FinishError]) -> Evaluation {
    let cheating = |(one, fault)| one == &Ok(None) && fault == &FinishError::Cheating;
    if completed.iter().zip(judged).any(cheating) { Evaluation::Cheating } else { Evaluation::ServerFault }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn sig_007_a_fault_beside_cheating_does_not_hide_it() {
        use FinishError::{Cheating, ServerFault};
        let signed = || Ok(Some(Signature::new(vec![1; 64]).unwrap()));
        for (completed, judged, cheating) in [
            (vec![Err(ServerFault), Ok(None)], [ServerFault, Cheating], true),
            (vec![Ok(None), Err(ServerFault)], [Cheating, ServerFault], true),
            (vec![Ok(None), signed()], [Cheating, ServerFault], true),
            (vec![Ok(None), signed()], [ServerFault, ServerFault], false),
            (vec![Err(ServerFault), signed()], [Cheating, Cheating], false),
        ] {
            assert_eq!(matches!(failure(&completed, &judged), Evaluation::Cheating), cheating);
        }
    }
}
