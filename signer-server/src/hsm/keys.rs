//! Keys in the token: how they are made, found and looked at, and what they do.

use cryptoki::{
    error::Error,
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use p256::ecdsa::VerifyingKey;
use zeroize::Zeroizing;

use super::{
    TokenError,
    desk::{Failed, Seat, is_lost},
};

/// Length of a key that wraps, bytes.
const AES_BYTES: u64 = 32;
const TAG_BITS: u64 = 128;
const TAG_BYTES: usize = 16;
/// What a token is tried with: no associated data of a secret looks like it.
const TRIAL: &[u8] = b"signer/token/trial";
/// The curve P-256 by its object identifier 1.2.840.10045.3.1.7, DER.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// How a key is named in the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) label: String,
    pub(super) id: Vec<u8>,
}

/// A key that wraps: AES-256, not to be read by anybody.
#[derive(Debug, Clone)]
pub(crate) struct AesKey(pub(super) Name);

/// A pair of P-256 that signs; the private half is not to be read by anybody.
#[derive(Debug, Clone)]
pub(crate) struct SigningPair(pub(super) Name);

/// What a key must be besides hidden.
struct Kind {
    class: ObjectClass,
    attributes: Vec<Attribute>,
    /// The fault that is named where they differ.
    otherwise: &'static str,
}

impl Name {
    fn attributes(&self) -> [Attribute; 2] {
        [Attribute::Label(self.label.clone().into_bytes()), Attribute::Id(self.id.clone())]
    }

    fn find(&self, session: &Session, class: ObjectClass) -> Result<Vec<ObjectHandle>, Error> {
        let [label, id] = self.attributes();
        session.find_objects(&[Attribute::Class(class), label, id])
    }

    /// The one key of this name, looked at when the session meets it first. No two kinds have one name.
    fn handle(&self, seat: &mut Seat, kind: impl Fn() -> Kind) -> Result<ObjectHandle, Failed> {
        if let Some(handle) = seat.found.get(self) {
            return Ok(*handle);
        }
        let kind = kind();
        let handle = match self.find(&seat.session, kind.class)?.as_slice() {
            [one] => *one,
            [] => return Err(self.fault("missing; restore the token's backup, or bring its keys here")),
            _ => return Err(self.fault("there twice")),
        };
        self.look_at(&seat.session, handle, &kind)?;
        seat.found.insert(self.clone(), handle);
        Ok(handle)
    }

    /// A key that somebody may read is not used, however it came there.
    fn look_at(&self, session: &Session, handle: ObjectHandle, kind: &Kind) -> Result<(), Failed> {
        let hidden = [Attribute::Sensitive(true), Attribute::Extractable(false)];
        let asked: Vec<AttributeType> =
            kind.attributes.iter().chain(&hidden).map(Attribute::attribute_type).collect();
        let found = session.get_attributes(handle, &asked)?;
        let has_all = |wanted: &[Attribute]| wanted.iter().all(|wanted| found.contains(wanted));
        if !has_all(&kind.attributes) {
            return Err(self.fault(kind.otherwise));
        }
        if !has_all(&hidden) {
            return Err(self.fault("it can be read out of the token (CKA_SENSITIVE, CKA_EXTRACTABLE)"));
        }
        Ok(())
    }

    /// Takes everything of this name out of the token.
    pub(super) fn destroy(&self, seat: &mut Seat) -> Result<(), Failed> {
        for class in [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            for handle in self.find(&seat.session, class)? {
                seat.session.destroy_object(handle)?;
            }
        }
        seat.found.remove(self);
        Ok(())
    }

    fn fault(&self, fault: &'static str) -> Failed {
        Failed::Token(TokenError::Key { label: self.label.clone(), fault })
    }
}

impl AesKey {
    fn kind() -> Kind {
        let attributes = vec![Attribute::KeyType(KeyType::AES), Attribute::ValueLen(AES_BYTES.into())];
        Kind { class: ObjectClass::SECRET_KEY, attributes, otherwise: "not an AES key of 256 bits" }
    }

    pub(super) fn make(&self, seat: &mut Seat) -> Result<(), Failed> {
        let mut wanted = vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::ValueLen(AES_BYTES.into()),
        ];
        wanted.extend(self.0.attributes());
        let handle = seat.session.generate_key(&Mechanism::AesKeyGen, &wanted)?;
        self.0.look_at(&seat.session, handle, &Self::kind())
    }

    /// Wraps, and looks whether it comes back: what is kept here may be the only copy.
    pub(super) fn wrap(
        &self,
        seat: &mut Seat,
        mut nonce: [u8; 12],
        associated: &[u8],
        secret: &[u8],
    ) -> Result<([u8; 12], Vec<u8>), Failed> {
        let handle = self.0.handle(seat, Self::kind)?;
        let params = GcmParams::new(&mut nonce, associated, TAG_BITS.into())?;
        let wrapped = seat.session.encrypt(&Mechanism::AesGcm(params), handle, secret)?;
        if wrapped.len() != secret.len().saturating_add(TAG_BYTES) {
            return Err(self.0.fault("its AES-GCM does not end with a tag of 16 bytes"));
        }
        // A token that draws nonces of its own has written it over the proposal.
        if *decrypt(&seat.session, handle, nonce, associated, &wrapped)? != *secret {
            return Err(self.0.fault("what it wraps it does not unwrap"));
        }
        Ok((nonce, wrapped))
    }

    pub(super) fn unwrap(
        &self,
        seat: &mut Seat,
        nonce: [u8; 12],
        associated: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let handle = self.0.handle(seat, Self::kind)?;
        match decrypt(&seat.session, handle, nonce, associated, wrapped) {
            Err(error) if !is_lost(&error) => {
                // Libraries say the same of altered bytes and of a token that fails: what it wraps itself decides.
                let mut fresh = [0; 12];
                seat.session.generate_random_slice(&mut fresh)?;
                self.wrap(seat, fresh, TRIAL, TRIAL)?;
                decrypt(&seat.session, handle, nonce, associated, wrapped).map_err(|error| {
                    if is_lost(&error) { error.into() } else { Failed::Token(TokenError::Altered) }
                })
            }
            unwrapped => Ok(unwrapped?),
        }
    }
}

impl SigningPair {
    fn kind() -> Kind {
        let attributes = vec![Attribute::KeyType(KeyType::EC)];
        Kind { class: ObjectClass::PRIVATE_KEY, attributes, otherwise: "not a key of an elliptic curve" }
    }

    pub(super) fn make(&self, seat: &mut Seat) -> Result<VerifyingKey, Failed> {
        let mut public = vec![
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(P256.to_vec()),
        ];
        public.extend(self.0.attributes());
        let mut private = vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        private.extend(self.0.attributes());
        let (public, private) =
            seat.session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)?;
        self.0.look_at(&seat.session, private, &Self::kind())?;
        let attributes = seat.session.get_attributes(public, &[AttributeType::EcPoint])?;
        let point = attributes.iter().find_map(|attribute| match attribute {
            Attribute::EcPoint(point) => Some(point.as_slice()),
            _ => None,
        });
        point.and_then(point_of).ok_or_else(|| self.0.fault("its public half is not a point of P-256"))
    }

    pub(super) fn sign(&self, seat: &mut Seat, digest: &[u8; 32]) -> Result<[u8; 64], Failed> {
        let handle = self.0.handle(seat, Self::kind)?;
        let signature = seat.session.sign(&Mechanism::Ecdsa, handle, digest)?;
        signature.try_into().map_err(|_| self.0.fault("its signature is not 64 bytes"))
    }
}

/// CKA_EC_POINT: an octet string in DER, or the bare point from libraries that are older than that rule.
fn point_of(attribute: &[u8]) -> Option<VerifyingKey> {
    let bare = attribute.strip_prefix(&[0x04, 0x41]).filter(|point| point.len() == 65);
    VerifyingKey::from_sec1_bytes(bare.unwrap_or(attribute)).ok()
}

fn decrypt(
    session: &Session,
    key: ObjectHandle,
    mut nonce: [u8; 12],
    associated: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let params = GcmParams::new(&mut nonce, associated, TAG_BITS.into())?;
    session.decrypt(&Mechanism::AesGcm(params), key, wrapped).map(Zeroizing::new)
}
