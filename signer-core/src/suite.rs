//! The one interface of both signature suites: key generation, nonce commitments, contribution, finish, refresh.
//!
//! Byte strings that cross the network are opaque here and decoded strictly by the suite. The order in which
//! a caller may use these functions is fixed by [`crate::ceremony`] and [`crate::signing`], which are what applications use.
//!
//! ```text
//! key generation   device_hello ─▶ server_hello ─▶ DeviceKeygen::keys ─▶ ServerKeygen::finish ─▶ DeviceOpening::open
//! share refresh    offset_device_share, offset_server_share with the same offset: same group public key
//! seeding          server_seeding ─▶ device_seeding ─▶ ServerSeeding::finish: what new shares need beside themselves
//! one signature    device_commit ─▶ server_commit ─▶ contribute ─▶ finish ─▶ verify
//! ```

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    codec::Blob,
    domain::{Domain, Macer},
    ids::{DeviceId, Epoch, KeyId},
    secret::{Secret, SecretBytes},
    time::UnixSeconds,
};

/// Version of every message and transcript of this crate.
pub const PROTOCOL_VERSION: u8 = 1;
/// Longest signature of any suite, bytes.
pub const SIGNATURE_BYTES_MAX: usize = 72;
/// Longest nonce commitment of any suite, bytes.
pub const COMMITMENT_BYTES_MAX: usize = 160;
/// Longest contribution to one signature, bytes.
pub const CONTRIBUTION_BYTES_MAX: usize = 9 * 1024;
/// Longest key generation message, bytes.
pub const KEYGEN_BYTES_MAX: usize = 32 * 1024;

/// A signature suite. Numbers are final: they are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum SuiteId {
    /// RFC 9591 FROST(secp256k1, SHA-256), 2 of 2.
    #[n(1)]
    FrostSecp256k1Sha256,
    /// Two-party ECDSA over P-256 with SHA-256: ordinary signatures (FIPS 186-5).
    #[n(2)]
    Es256,
}

impl SuiteId {
    /// Every suite.
    pub const ALL: [Self; 2] = [Self::FrostSecp256k1Sha256, Self::Es256];

    /// Name used in text formats: `es256` or `frost-secp256k1-sha256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrostSecp256k1Sha256 => "frost-secp256k1-sha256",
            Self::Es256 => "es256",
        }
    }

    /// The suite with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Number used in hash inputs, equal to its CBOR form.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::FrostSecp256k1Sha256 => 1,
            Self::Es256 => 2,
        }
    }

    /// Whether its keys have X.509 certificates: its signatures are then ordinary ECDSA P-256 ones, and what is signed
    /// first is a certification request.
    #[must_use]
    pub const fn has_certificates(self) -> bool {
        match self {
            Self::FrostSecp256k1Sha256 => false,
            Self::Es256 => true,
        }
    }

    /// The implementation.
    #[must_use]
    pub fn get(self) -> &'static dyn Suite {
        match self {
            Self::FrostSecp256k1Sha256 => &crate::frost::Frost,
            Self::Es256 => &crate::es256::Es256,
        }
    }
}

/// The key outsiders verify with: a SEC1 compressed point, 33 bytes. The suite says on which curve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct GroupPublicKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 33]);

impl fmt::Debug for GroupPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupPublicKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A finished signature in its suite's standard encoding: FROST `R || z`, 65 bytes (RFC 9591 §6.5); ES256 `r || s`,
/// 64 bytes with low s (RFC 7518 §3.4).
pub type Signature = Blob<SIGNATURE_BYTES_MAX>;
/// One party's nonce commitment.
pub type Commitment = Blob<COMMITMENT_BYTES_MAX>;
/// The device's part of one signature. A secret: with the phone's storage it gives away the PIN.
pub type Contribution = Blob<CONTRIBUTION_BYTES_MAX>;
/// A key generation message. A secret.
pub type KeygenMessage = Blob<KEYGEN_BYTES_MAX>;

/// The device's key share: one scalar, big endian. In memory only, between the PIN and its use.
#[derive(Debug)]
pub struct DeviceShare(pub SecretBytes<32>);

/// The device's share plus its mask: what storage holds. Every PIN unmasks it to a plausible share.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct MaskedShare(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl fmt::Debug for MaskedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskedShare(redacted)")
    }
}

/// The server's key share in the suite's own encoding, to be wrapped before it is stored.
pub struct ServerShare(pub Zeroizing<Vec<u8>>);

impl fmt::Debug for ServerShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerShare(redacted)")
    }
}

/// The device's nonce for one signature. Not `Clone`; [`Suite::contribute`] takes it by value, also when it fails.
pub struct DeviceNonce(Secret<Vec<u8>>);

impl DeviceNonce {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self(Secret::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for DeviceNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceNonce(redacted)")
    }
}

/// Which key a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct KeyContext {
    /// The suite.
    #[n(0)]
    pub suite: SuiteId,
    /// The key.
    #[n(1)]
    pub key: KeyId,
    /// The generation of its shares.
    #[n(2)]
    pub epoch: Epoch,
    /// The installation that holds the device's share.
    #[n(3)]
    pub device: DeviceId,
}

/// Everything that is fixed before a nonce exists, for one digest of a request.
#[derive(Debug, Clone, Copy)]
pub struct SigningContext<'a> {
    /// The key.
    pub key: KeyContext,
    /// Its group public key.
    pub public_key: GroupPublicKey,
    /// Hash of the request object: what is signed, for whom, with which text.
    pub request_hash: [u8; 32],
    /// When the server answered the fetch, by the store's clock.
    pub fetched_at: UnixSeconds,
    /// Position of the digest in the request, from 0.
    pub index: u32,
    /// What is signed: 32 bytes.
    pub digest: &'a [u8; 32],
}

impl SigningContext<'_> {
    /// What the server's nonces for this context and this device commitment are drawn from. Every field that enters the
    /// transcript before the nonce enters the seed, so that no second input leads to the same nonce.
    pub(crate) fn nonce_seed(&self, nonce_key: &SecretBytes<32>, device: &Commitment) -> SecretBytes<32> {
        Macer::new(nonce_key, Domain::ServerNonce)
            .number(PROTOCOL_VERSION.into())
            .number(self.key.suite.number().into())
            .field(self.key.key.as_bytes())
            .number(self.key.epoch.0.into())
            .field(self.key.device.as_bytes())
            .field(&self.public_key.0)
            .field(&self.request_hash)
            .number(self.fetched_at.0)
            .number(self.index.into())
            .field(self.digest)
            .field(device.as_slice())
            .derive()
    }
}

/// What the device holds of a key while it is unlocked: the share, and the master seed that is masked beside it.
#[derive(Debug, Clone, Copy)]
pub struct DevicePart<'a> {
    /// The share.
    pub share: &'a DeviceShare,
    /// The master seed, 32 bytes.
    pub seed: &'a SecretBytes<32>,
}

/// Why a suite refused. It never says more: details of secret computations stay inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// The other party's bytes are malformed, out of range, off the curve, the identity, or a proof fails.
    #[error("the other party's message is not valid for this suite")]
    Peer,
    /// Our own stored material does not decode. A fault on this side; the other party is not to blame.
    #[error("own key material is damaged")]
    OwnMaterial,
}

/// What became of a contribution whose gate MAC was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    /// The contribution is wrong by the account of two implementations: the key must end.
    #[error("the device's contribution is wrong")]
    Cheating,
    /// The implementations disagree, or own material is damaged: alarm, nobody is blamed, nothing is released.
    #[error("the server's own computation failed")]
    ServerFault,
}

/// A signature suite. Implementations hold no state.
pub trait Suite: Sync + fmt::Debug {
    /// Which suite this is.
    fn id(&self) -> SuiteId;

    /// Key generation, device's first message.
    ///
    /// # Errors
    /// [`SuiteError`] if the computation fails.
    fn device_hello(
        &self,
        context: &KeyContext,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn DeviceKeygen>, KeygenMessage), SuiteError>;

    /// Key generation, server's first message, in answer to `hello`.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if `hello` is not valid.
    fn server_hello(
        &self,
        context: &KeyContext,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn ServerKeygen>, KeygenMessage), SuiteError>;

    /// Draws the device's nonce for one digest. `hedge` is any secret of the device; it is mixed in so that a failing
    /// generator alone does not repeat a nonce.
    ///
    /// # Errors
    /// [`SuiteError`] if the computation fails.
    fn device_commit(
        &self,
        hedge: &SecretBytes<32>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(DeviceNonce, Commitment), SuiteError>;

    /// The server's commitment, derived from `nonce_key` and everything in `context` and `device`: same input, same nonce;
    /// any other input, another nonce.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if `device` is not a valid commitment.
    fn server_commit(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        device: &Commitment,
    ) -> Result<Commitment, SuiteError>;

    /// The device's part of the signature. The nonce is gone afterwards, whatever happens.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if the server's commitment is not valid.
    fn contribute(
        &self,
        key: DevicePart<'_>,
        nonce: DeviceNonce,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
    ) -> Result<Contribution, SuiteError>;

    /// Checks the form of a commitment and a contribution (lengths, canonical scalars, points on the curve and not the
    /// identity) without touching a secret. Called before an attempt is reserved.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if a rule is broken.
    fn check_syntax(&self, device: &Commitment, contribution: &Contribution) -> Result<(), SuiteError>;

    /// Completes the signature and verifies it as an outsider would; `None` if no valid one comes out. The server's own part
    /// never leaves this function. Called only after the gate MAC was found right, and after the caller has checked that
    /// the server's commitment is the one [`Suite::server_commit`] made of the same arguments.
    ///
    /// # Errors
    /// [`FinishError::ServerFault`] if own material is damaged.
    fn complete(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> Result<Option<Signature>, FinishError>;

    /// Whose fault it is that [`Suite::complete`] gave nothing for the same arguments: everything is computed again by the
    /// second implementation.
    fn judge(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> FinishError;

    /// [`Suite::complete`], and if nothing came of it, [`Suite::judge`].
    ///
    /// # Errors
    /// [`FinishError`].
    fn finish(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> Result<Signature, FinishError> {
        self.complete(share, nonce_key, context, commitments, contribution)?
            .ok_or_else(|| self.judge(share, nonce_key, context, commitments, contribution))
    }

    /// Whether the suite signs this digest at all. ECDSA signs none that is 0 modulo the group order.
    fn is_signable(&self, digest: &[u8; 32]) -> bool;

    /// Whether `signature` is a valid signature over `digest`: the outsider's check.
    fn verify(&self, public_key: &GroupPublicKey, digest: &[u8; 32], signature: &Signature) -> bool;

    /// `share + mask` in the suite's scalar field; the mask is reduced from 64 bytes, so that it is uniform.
    fn mask(&self, share: &DeviceShare, mask: &SecretBytes<64>) -> MaskedShare;

    /// `masked − mask`. Never fails: every mask gives a share.
    fn unmask(&self, masked: &MaskedShare, mask: &SecretBytes<64>) -> DeviceShare;

    /// The device's share moved by `offset` (reduced from 64 bytes).
    fn offset_device_share(&self, share: &DeviceShare, offset: &SecretBytes<64>) -> DeviceShare;

    /// The server's share moved by the same offset, so that the group public key stays.
    ///
    /// # Errors
    /// [`SuiteError::OwnMaterial`] if `share` does not decode or the new share would be zero.
    fn offset_server_share(
        &self,
        share: &ServerShare,
        offset: &SecretBytes<64>,
    ) -> Result<ServerShare, SuiteError>;

    /// Begins the seeding of a new server share: the message asks for seeds without telling which. `session` names the
    /// ceremony and everything it stands on.
    ///
    /// # Errors
    /// [`SuiteError::OwnMaterial`] if `share` does not decode.
    fn server_seeding(
        &self,
        share: ServerShare,
        session: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn ServerSeeding>, KeygenMessage), SuiteError>;

    /// Answers [`Suite::server_seeding`] with seeds made of the master seed.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if `asked` is not valid.
    fn device_seeding(
        &self,
        context: &KeyContext,
        seed: &SecretBytes<32>,
        session: &[u8; 32],
        asked: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<KeygenMessage, SuiteError>;
}

/// Both parties' nonce commitments for one digest.
#[derive(Debug, Clone, Copy)]
pub struct Commitments<'a> {
    /// The device's.
    pub device: &'a Commitment,
    /// The server's.
    pub server: &'a Commitment,
}

/// Server, waiting for the seeds of a new share.
pub trait ServerSeeding: Send + fmt::Debug {
    /// Takes the seeds: the share is complete. Whether they are the right ones, the first signature shows.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if the message is not well formed.
    fn finish(self: Box<Self>, seeds: &KeygenMessage) -> Result<ServerShare, SuiteError>;
}

/// Device, after its hello.
pub trait DeviceKeygen: Send + fmt::Debug {
    /// Takes the server's hello, answers with the device's keys message.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if the hello is not valid.
    fn keys(
        self: Box<Self>,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn DeviceOpening>, KeygenMessage), SuiteError>;
}

/// Device, after its keys message.
pub trait DeviceOpening: Send + fmt::Debug {
    /// Takes the server's opening: the device's share and the group public key.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if the opening is not valid.
    fn open(self: Box<Self>, opening: &KeygenMessage) -> Result<(DeviceShare, GroupPublicKey), SuiteError>;
}

/// Server, after its hello.
pub trait ServerKeygen: Send + fmt::Debug {
    /// Takes the device's keys message: the server's share, the group public key, the opening for the device.
    ///
    /// # Errors
    /// [`SuiteError::Peer`] if the message is not valid.
    fn finish(
        self: Box<Self>,
        keys: &KeygenMessage,
    ) -> Result<(ServerShare, GroupPublicKey, KeygenMessage), SuiteError>;
}
