//! The device's side of a signature.

use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::{approve_mac, contexts};
use crate::{
    approval::{ApprovalRecord, RequestObject},
    codec::{self, Blob, List},
    device_key::{DeviceSignature, ToSign},
    domain::{Domain, expand},
    pin::UnlockedKey,
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, DeviceNonce, GroupPublicKey, KeyContext, PROTOCOL_VERSION, Signature,
        SuiteError,
    },
    time::UnixSeconds,
    wire::{Approve, ApproveItem, ApprovePayload, Fetch, Fetched, Presented},
};

/// Why the device does not go on with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The server's answer is for another request, another number of digests, or not well formed.
    #[error("the server's answer does not belong to this request")]
    Mismatch,
    /// The server has the key at another epoch: settle a refresh first, by asking for the status.
    #[error("the server holds other shares of this key; ask for its status")]
    OtherEpoch,
    /// The request changed since it was listed.
    #[error("the request is not the one that was listed")]
    Changed,
    /// A computation failed; own material may be damaged.
    #[error("own computation failed")]
    Own,
    /// The server's signature is not valid under the key. Do not trust this server.
    #[error("the server's signature is not valid")]
    BadSignature,
}

impl From<SuiteError> for SigningError {
    fn from(error: SuiteError) -> Self {
        match error {
            SuiteError::Peer => Self::Mismatch,
            SuiteError::OwnMaterial => Self::Own,
        }
    }
}

/// Commitments are made and sent. The nonces live here, in memory, and end with this value.
#[derive(Debug)]
pub struct FetchSent {
    context: KeyContext,
    listed: RequestObject,
    nonces: Vec<DeviceNonce>,
    commitments: List<Commitment, { crate::approval::DIGESTS_MAX }>,
}

impl FetchSent {
    /// Draws one nonce per digest of a listed request. `hedge` is a secret of this device that is
    /// new for every fetch.
    ///
    /// # Errors
    /// [`SigningError::Own`] if the suite's computation fails.
    pub fn start(
        context: KeyContext,
        listed: RequestObject,
        hedge: &SecretBytes<32>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Fetch), SigningError> {
        let suite = context.suite.get();
        let mut nonces = Vec::new();
        let mut commitments = Vec::new();
        for (index, _) in (0_u32..).zip(listed.documents.as_slice()) {
            // A hedge of its own for each digest: with a stuck generator, two digests must not share a nonce.
            let hedge = expand(hedge.expose(), Domain::NonceHedge, &[&index.to_be_bytes()]);
            let (nonce, commitment) = suite.device_commit(&hedge, rng)?;
            nonces.push(nonce);
            commitments.push(commitment);
        }
        let commitments = List::new(commitments).ok_or(SigningError::Own)?;
        let fetch = Fetch { request: listed.request, key: context.key, commitments: commitments.clone() };
        Ok((Self { context, listed, nonces, commitments }, fetch))
    }

    /// Takes the server's answer, which must be the listed request with as many commitments.
    ///
    /// # Errors
    /// [`SigningError`] if it is not.
    pub fn shown(self, fetched: Fetched) -> Result<Shown, SigningError> {
        if fetched.object != self.listed {
            return Err(SigningError::Changed);
        }
        if fetched.epoch != self.context.epoch {
            return Err(SigningError::OtherEpoch);
        }
        if fetched.commitments.as_slice().len() != self.nonces.len()
            || fetched.object.version != PROTOCOL_VERSION
        {
            return Err(SigningError::Mismatch);
        }
        Ok(Shown {
            context: self.context,
            object: fetched.object,
            nonces: self.nonces,
            device: self.commitments,
            server: fetched.commitments,
            fetched_at: fetched.fetched_at,
            receipt: fetched.receipt,
        })
    }
}

/// The request as the holder is shown it, with everything needed to approve it once.
#[derive(Debug)]
pub struct Shown {
    context: KeyContext,
    object: RequestObject,
    nonces: Vec<DeviceNonce>,
    device: List<Commitment, { crate::approval::DIGESTS_MAX }>,
    server: List<Commitment, { crate::approval::DIGESTS_MAX }>,
    fetched_at: UnixSeconds,
    receipt: [u8; 32],
}

impl Shown {
    /// What to show.
    #[must_use]
    pub const fn object(&self) -> &RequestObject {
        &self.object
    }

    /// After the PIN: the contributions, under one gate MAC. The nonces are gone afterwards, whatever happens.
    ///
    /// # Errors
    /// [`SigningError`] if a server commitment is not valid.
    pub fn approve(
        self,
        unlocked: &UnlockedKey,
        presented: Presented,
        approved_at: UnixSeconds,
    ) -> Result<Approval, SigningError> {
        if *unlocked.context() != self.context {
            return Err(SigningError::Own);
        }
        let public_key = *unlocked.public_key();
        let request_hash = self.object.hash();
        let suite = self.context.suite.get();
        let documents = self.object.documents.as_slice();
        let signing = contexts(self.context, public_key, request_hash, self.fetched_at, documents);
        let commitments = self.device.as_slice().iter().zip(self.server.as_slice());
        let mut items = Vec::new();
        for ((context, nonce), (device, server)) in signing.zip(self.nonces).zip(commitments) {
            let contribution =
                suite.contribute(unlocked.part(), nonce, &context, Commitments { device, server })?;
            items.push(ApproveItem { device: device.clone(), server: server.clone(), contribution });
        }
        let record = ApprovalRecord {
            request: self.object.clone(),
            device: self.context.device,
            suite: self.context.suite,
            key: self.context.key,
            public_key,
            approved_at,
        };
        let mut payload = ApprovePayload {
            key: self.context.key,
            epoch: self.context.epoch,
            fetched_at: self.fetched_at,
            receipt: self.receipt,
            token: presented.token,
            record: Blob::new(record.encode()).ok_or(SigningError::Own)?,
            items: List::new(items).ok_or(SigningError::Own)?,
            unheard: presented.unheard,
            mac: [0; 32],
        };
        payload.mac =
            approve_mac(&unlocked.gate_key(), &self.context, &public_key, &request_hash, &payload).tag();
        let to_sign = ApprovalRecord::to_sign(payload.record.as_slice());
        let payload = Blob::new(codec::encode(&payload)).ok_or(SigningError::Own)?;
        Ok(Approval {
            payload,
            to_sign,
            sent: Sent { context: self.context, public_key, object: self.object },
        })
    }
}

/// An approve that still needs the device key's signature under its record.
#[derive(Debug)]
pub struct Approval {
    payload: Blob<{ crate::wire::APPROVE_PAYLOAD_BYTES_MAX }>,
    to_sign: ToSign,
    sent: Sent,
}

impl Approval {
    /// What the device key must sign.
    #[must_use]
    pub const fn to_sign(&self) -> ToSign {
        self.to_sign
    }

    /// The message. From the moment it is sent, the approval cannot be taken back.
    #[must_use]
    pub fn complete(self, record_signature: DeviceSignature) -> (Approve, Sent) {
        (Approve { payload: self.payload, record_signature }, self.sent)
    }
}

/// An approve on its way.
#[derive(Debug)]
pub struct Sent {
    context: KeyContext,
    public_key: GroupPublicKey,
    object: RequestObject,
}

impl Sent {
    /// Verifies the signatures as an outsider would.
    ///
    /// # Errors
    /// [`SigningError::BadSignature`] if one is missing or not valid.
    pub fn accept(&self, signatures: &[Signature]) -> Result<(), SigningError> {
        let documents = self.object.documents.as_slice();
        let suite = self.context.suite.get();
        let all = documents.iter().zip(signatures);
        let valid = all
            .filter(|(document, signature)| suite.verify(&self.public_key, &document.digest, signature))
            .count();
        if valid == documents.len() && valid == signatures.len() {
            Ok(())
        } else {
            Err(SigningError::BadSignature)
        }
    }
}
