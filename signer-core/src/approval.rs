//! What a relying party asked for and what the holder agreed to, as bytes that can be signed and shown in evidence.

use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::{
    codec::{self, CodecError, Label, List, Text},
    device_key::ToSign,
    domain::{Domain, Hasher},
    ids::{DeviceId, KeyId, RelyingPartyId, RequestId},
    suite::{GroupPublicKey, SuiteId},
    time::UnixSeconds,
};

/// Most digests in one request.
pub const DIGESTS_MAX: usize = 32;
/// Longest display text of a request, bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 2000;
/// Longest name of a relying party or of a file, bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 200;
/// Most fields of a request.
pub const FIELDS_MAX: usize = 16;
/// Longest label of a field, bytes of UTF-8.
pub const FIELD_LABEL_BYTES_MAX: usize = 80;
/// Longest value of a field, bytes of UTF-8.
pub const FIELD_VALUE_BYTES_MAX: usize = 200;
/// Longest request object or approval record, bytes.
pub const OBJECT_BYTES_MAX: usize = 16 * 1024;

/// SHA-256 digest of a document to be signed, with the name the holder is shown.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Document {
    /// What the holder is shown for this document.
    #[n(0)]
    pub name: Label<NAME_BYTES_MAX>,
    /// SHA-256 of the document.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub digest: [u8; 32],
}

/// One thing a request says by itself, on a line of its own: an amount, an account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Field {
    /// What the value is.
    #[n(0)]
    pub label: Label<FIELD_LABEL_BYTES_MAX>,
    /// The value.
    #[n(1)]
    pub value: Label<FIELD_VALUE_BYTES_MAX>,
}

/// Who asks. The name is the one registered with the server, never one from the request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RelyingParty {
    /// The relying party.
    #[n(0)]
    pub id: RelyingPartyId,
    /// Its registered name.
    #[n(1)]
    pub name: Label<NAME_BYTES_MAX>,
}

/// A request as it was fixed before any nonce existed. Its hash enters everything that follows.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RequestObject {
    /// [`crate::suite::PROTOCOL_VERSION`].
    #[n(0)]
    pub version: u8,
    /// The request.
    #[n(1)]
    pub request: RequestId,
    /// Who asks.
    #[n(2)]
    pub relying_party: RelyingParty,
    /// What is to be signed.
    #[n(3)]
    pub documents: List<Document, DIGESTS_MAX>,
    /// What the relying party says about it.
    #[n(4)]
    pub text: Text<TEXT_BYTES_MAX>,
    /// When the request was made, by the store's clock.
    #[n(5)]
    pub created: UnixSeconds,
    /// From this moment on it cannot be approved.
    #[n(6)]
    pub expires: UnixSeconds,
    /// What it says in labelled values, shown below the text. Without any the bytes are as they were before there were fields.
    #[n(7)]
    pub fields: Option<List<Field, FIELDS_MAX>>,
}

impl RequestObject {
    /// The fields; none is an empty list here.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        self.fields.as_ref().map_or(&[], List::as_slice)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// [`CodecError`] if they are not a canonical request object of at most [`OBJECT_BYTES_MAX`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, OBJECT_BYTES_MAX)
    }

    /// The hash that binds a signature to this request.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Hasher::new(Domain::RequestObject).field(&self.encode()).finish()
    }
}

/// What the holder saw and agreed to. Signed by the device key, handed to the relying party as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ApprovalRecord {
    /// The request, exactly as shown.
    #[n(0)]
    pub request: RequestObject,
    /// The installation.
    #[n(1)]
    pub device: DeviceId,
    /// The suite that signs.
    #[n(2)]
    pub suite: SuiteId,
    /// The key that signs.
    #[n(3)]
    pub key: KeyId,
    /// Its group public key: ties the evidence to the signatures beside it.
    #[n(4)]
    pub public_key: GroupPublicKey,
    /// When the holder agreed, by the phone's corrected clock.
    #[n(5)]
    pub approved_at: UnixSeconds,
}

impl ApprovalRecord {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// [`CodecError`] if they are not a canonical record.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, OBJECT_BYTES_MAX)
    }

    /// What the device key signs under these record bytes.
    #[must_use]
    pub fn to_sign(record: &[u8]) -> ToSign {
        ToSign(Hasher::new(Domain::ApprovalRecord).field(record).finish())
    }
}
