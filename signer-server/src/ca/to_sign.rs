//! What waits for the authority's signature, wherever its key is.

use p256::{
    ecdsa::{
        Signature, VerifyingKey,
        signature::{Keypair, Verifier as _},
    },
    pkcs8::{self, ObjectIdentifier, spki::DynSignatureAlgorithmIdentifier},
};
use x509_cert::{
    builder::Builder,
    der::{Encode, asn1::BitString},
    spki::AlgorithmIdentifierOwned,
};

use super::CaError;

/// A certificate or list without its signature.
pub struct ToSign<B> {
    builder: B,
    key: PublicHalf,
    bytes: Vec<u8>,
}

impl<B> std::fmt::Debug for ToSign<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ToSign({} bytes)", self.bytes.len())
    }
}

impl<B: Builder<Output: Encode>> ToSign<B> {
    pub(super) fn new(mut builder: B, key: &VerifyingKey) -> Result<Self, CaError> {
        let key = PublicHalf(*key);
        let bytes = builder.finalize(&key)?;
        Ok(Self { builder, key, bytes })
    }

    /// The bytes to sign: ECDSA with SHA-256 over them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Finishes with the authority's signature, r ‖ s: checks it, and gives the whole in DER.
    ///
    /// # Errors
    /// [`CaError::Signature`] if it is not the authority's.
    pub fn complete(self, signature: &[u8; 64]) -> Result<Vec<u8>, CaError> {
        let signature = Signature::from_slice(signature).map_err(|_| CaError::Signature)?;
        self.key.0.verify(&self.bytes, &signature).map_err(|_| CaError::Signature)?;
        let signature = BitString::from_bytes(signature.to_der().as_bytes())?;
        Ok(self.builder.assemble(signature, &self.key)?.to_der()?)
    }
}

/// ecdsa-with-SHA256 (RFC 5758 §3.2), which has no parameters.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Stands where builders want a key pair, of which they use the public half.
struct PublicHalf(VerifyingKey);

impl Keypair for PublicHalf {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        self.0
    }
}

impl DynSignatureAlgorithmIdentifier for PublicHalf {
    fn signature_algorithm_identifier(&self) -> pkcs8::spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None })
    }
}
