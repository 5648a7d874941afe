//! The server's side of enrolment and refresh, in memory. Between two messages it rests as [`super::resting`] says.

use alloc::{boxed::Box, vec::Vec};

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    CeremonyError, EnrolmentProof, FRESH_SECONDS, confirmation_mac, first_digest, mac_with_context, offset,
    offset_commitment, proof_mac, statement,
};
use crate::{
    certificate::assemble_request,
    codec::{self, CodecError},
    device_key::DevicePublicKeyBytes,
    domain::{Domain, Hasher, Macer},
    ids::{CeremonyId, Epoch},
    lost_code::HolderKeys,
    pin::GateKey,
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, Contribution, FinishError, GroupPublicKey, KeyContext, KeygenMessage,
        ServerKeygen, ServerSeeding, ServerShare, Signature, SigningContext, SuiteError,
    },
    time::UnixSeconds,
    wire::{
        Confirmation, EnrolKeyed, EnrolKeys, EnrolStarted, RefreshChallenged, RefreshKeyed, RefreshKeys,
        RefreshPayload, RefreshStart, Token, WireSecret,
    },
};

/// What the server keeps of a key, wrapped under its key-encryption key.
#[derive(Debug)]
pub struct ServerKey {
    /// The share.
    pub share: ServerShare,
    /// Tells a right PIN from a wrong one.
    pub gate_key: GateKey,
    /// Derives this share's nonces; drawn with the share, so that two shares never have one.
    pub nonce_key: SecretBytes<32>,
}

#[derive(Encode, Decode)]
struct ServerKeyBytes {
    #[cbor(n(0), with = "minicbor::bytes")]
    share: Vec<u8>,
    #[n(1)]
    gate_key: WireSecret,
    #[n(2)]
    nonce_key: WireSecret,
}

impl ServerKey {
    /// The bytes to be wrapped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = ServerKeyBytes {
            share: self.share.0.to_vec(),
            gate_key: WireSecret(self.gate_key.expose().duplicate()),
            nonce_key: WireSecret(self.nonce_key.duplicate()),
        };
        let encoded = Zeroizing::new(codec::encode(&bytes));
        zeroize::Zeroize::zeroize(&mut bytes.share);
        encoded
    }

    /// Decodes unwrapped bytes.
    ///
    /// # Errors
    /// [`CodecError`] if they are not a server key.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let key: ServerKeyBytes = codec::decode(bytes, 64 * 1024)?;
        Ok(Self {
            share: ServerShare(Zeroizing::new(key.share)),
            gate_key: GateKey::new(key.gate_key.0),
            nonce_key: key.nonce_key.0,
        })
    }
}

/// Enrolment, after the server's hello.
#[derive(Debug)]
pub struct ServerEnrolment {
    context: KeyContext,
    device_key: DevicePublicKeyBytes,
    holder_keys: HolderKeys,
    ceremony: CeremonyId,
    keygen: Box<dyn ServerKeygen>,
}

impl ServerEnrolment {
    /// Answers a device's hello. `context` must name the device of `device_key` and epoch 0.
    ///
    /// # Errors
    /// [`CeremonyError::Peer`] if the hello is wrong, [`CeremonyError::Own`] if the context is.
    pub fn start(
        context: KeyContext,
        device_key: DevicePublicKeyBytes,
        holder_keys: HolderKeys,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, EnrolStarted), CeremonyError> {
        if context.device != device_key.device_id() || context.epoch != Epoch(0) {
            return Err(CeremonyError::Own);
        }
        let ceremony = CeremonyId::random(rng);
        let (keygen, hello) = context.suite.get().server_hello(&context, hello, rng)?;
        let started = EnrolStarted { ceremony, hello };
        Ok((Self { context, device_key, holder_keys, ceremony, keygen }, started))
    }

    /// Takes the device's keys: both shares exist now. `token` is the first device token.
    ///
    /// # Errors
    /// [`CeremonyError`] if the message is wrong.
    pub fn keys(
        self,
        keys: &EnrolKeys,
        token: Token,
        now: UnixSeconds,
        rng: &mut dyn CryptoRng,
    ) -> Result<(ServerConfirming, EnrolKeyed), CeremonyError> {
        if keys.ceremony != self.ceremony {
            return Err(CeremonyError::OtherCeremony);
        }
        let (share, public_key, opening) = self.keygen.finish(&keys.keys)?;
        let new = NewKey {
            context: self.context,
            device_key: self.device_key,
            holder_keys: Some(self.holder_keys),
            ceremony: self.ceremony,
            public_key,
            nonce_key: SecretBytes::random(rng),
            device: keys.commitment.clone(),
            fetched_at: now,
        };
        let (confirming, commitment, seeding) = new.confirming(share, rng)?;
        Ok((confirming, EnrolKeyed { opening, fetched_at: now, commitment, token, seeding }))
    }
}

/// Challenge for a PIN proof. Stateless: derived from the nonce key, the epoch and the time.
#[must_use]
pub fn refresh_challenge(key: &ServerKey, context: &KeyContext, now: UnixSeconds) -> RefreshChallenged {
    let challenge =
        mac_with_context(Macer::new(&key.nonce_key, Domain::ProofChallenge), context).number(now.0).tag();
    RefreshChallenged { epoch: context.epoch, issued_at: now, challenge }
}

/// A refresh payload whose form is right. Nothing secret has been touched.
#[derive(Debug)]
pub struct CheckedRefresh {
    payload: RefreshPayload,
}

impl CheckedRefresh {
    /// Idempotency key of the payload.
    #[must_use]
    pub fn payload_hash(context: &KeyContext, start: &RefreshStart) -> [u8; 32] {
        Hasher::new(Domain::Payload)
            .field(b"refresh")
            .field(context.device.as_bytes())
            .field(start.payload.as_slice())
            .finish()
    }

    /// Decodes the payload and checks which key it names.
    ///
    /// # Errors
    /// [`CodecError`] if it is not canonical or names another key.
    pub fn new(context: &KeyContext, start: &RefreshStart) -> Result<Self, CodecError> {
        let payload: RefreshPayload =
            codec::decode(start.payload.as_slice(), crate::wire::REFRESH_PAYLOAD_BYTES_MAX)?;
        if payload.key == context.key { Ok(Self { payload }) } else { Err(CodecError::Malformed) }
    }

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

    /// When the challenge was made, if it is one of ours, for this epoch, and still good.
    #[must_use]
    pub fn based_on(&self, key: &ServerKey, context: &KeyContext, now: UnixSeconds) -> Option<UnixSeconds> {
        let issued_at = self.payload.issued_at;
        let fresh = issued_at <= now && now.distance(issued_at) <= FRESH_SECONDS;
        let ours = refresh_challenge(key, context, issued_at).challenge == self.payload.challenge;
        (fresh && ours && self.payload.epoch == context.epoch).then_some(issued_at)
    }

    /// Evaluates the gate. Only after a reservation.
    #[must_use]
    pub fn pin_is_right(&self, key: &ServerKey, context: &KeyContext) -> bool {
        proof_mac(&key.gate_key, context, &self.payload).verify(&self.payload.mac)
    }
}

/// Refresh, after the PIN proof.
#[derive(Debug)]
pub struct ServerRefresh {
    context: KeyContext,
    device_key: DevicePublicKeyBytes,
    public_key: GroupPublicKey,
    ceremony: CeremonyId,
    part: SecretBytes<32>,
}

impl ServerRefresh {
    /// Draws the server's part of the offset. Returns the ceremony and the commitment for the device. `old` is the
    /// key's present context.
    pub fn start(
        old: &KeyContext,
        device_key: DevicePublicKeyBytes,
        public_key: GroupPublicKey,
        rng: &mut dyn CryptoRng,
    ) -> (Self, CeremonyId, [u8; 32]) {
        let context = KeyContext { epoch: old.epoch.next(), ..*old };
        let ceremony = CeremonyId::random(rng);
        let part = SecretBytes::random(rng);
        let commitment = offset_commitment(&context, ceremony, &part);
        (Self { context, device_key, public_key, ceremony, part }, ceremony, commitment)
    }

    /// Takes the device's part, opens the server's, and moves the share of `old`.
    ///
    /// # Errors
    /// [`CeremonyError`] if the message is wrong.
    pub fn keys(
        self,
        old: &ServerKey,
        keys: &RefreshKeys,
        now: UnixSeconds,
        rng: &mut dyn CryptoRng,
    ) -> Result<(ServerConfirming, RefreshKeyed), CeremonyError> {
        if keys.ceremony != self.ceremony {
            return Err(CeremonyError::OtherCeremony);
        }
        let offset = offset(&self.context, self.ceremony, &self.part, &keys.part.0);
        let share = self.context.suite.get().offset_server_share(&old.share, &offset)?;
        let new = NewKey {
            context: self.context,
            device_key: self.device_key,
            holder_keys: None,
            ceremony: self.ceremony,
            public_key: self.public_key,
            nonce_key: SecretBytes::random(rng),
            device: keys.commitment.clone(),
            fetched_at: now,
        };
        let (confirming, commitment, seeding) = new.confirming(share, rng)?;
        Ok((confirming, RefreshKeyed { part: WireSecret(self.part), fetched_at: now, commitment, seeding }))
    }
}

/// New shares exist on both sides, in memory; the first signature is awaited.
#[derive(Debug)]
pub struct ServerConfirming {
    new: NewKey,
    seeding: Box<dyn ServerSeeding>,
    server: Commitment,
}

/// What is known of a new key before its first signature.
#[derive(Debug)]
struct NewKey {
    context: KeyContext,
    device_key: DevicePublicKeyBytes,
    holder_keys: Option<HolderKeys>,
    ceremony: CeremonyId,
    public_key: GroupPublicKey,
    nonce_key: SecretBytes<32>,
    device: Commitment,
    fetched_at: UnixSeconds,
}

impl NewKey {
    /// Commits to the nonce of the first signature and asks for the seeds of `share`.
    fn confirming(
        self,
        share: ServerShare,
        rng: &mut dyn CryptoRng,
    ) -> Result<(ServerConfirming, Commitment, KeygenMessage), SuiteError> {
        let digest = self.digest()?;
        let suite = self.context.suite.get();
        let server = suite.server_commit(&share, &self.nonce_key, &self.signing(&digest), &self.device)?;
        let (seeding, asked) = suite.server_seeding(share, &digest, rng)?;
        Ok((ServerConfirming { new: self, seeding, server: server.clone() }, server, asked))
    }

    fn digest(&self) -> Result<[u8; 32], SuiteError> {
        let holder_keys = self.holder_keys.as_ref().map(HolderKeys::digest);
        first_digest(&self.context, &self.public_key, &self.device_key, self.ceremony, holder_keys.as_ref())
    }

    /// The certification request that `proof` signs, where it signs one.
    fn request(&self, proof: &Signature) -> Result<Option<Vec<u8>>, CeremonyError> {
        if !self.context.suite.has_certificates() || self.context.epoch != Epoch(0) {
            return Ok(None);
        }
        let holder_keys = self.holder_keys.as_ref().map(HolderKeys::digest);
        let binding =
            statement(&self.context, &self.public_key, &self.device_key, self.ceremony, holder_keys.as_ref());
        let request = assemble_request(&self.public_key, &binding, proof.as_slice());
        request.map(Some).map_err(|_| CeremonyError::Own)
    }

    const fn signing<'a>(&self, digest: &'a [u8; 32]) -> SigningContext<'a> {
        SigningContext {
            key: self.context,
            public_key: self.public_key,
            request_hash: *digest,
            fetched_at: self.fetched_at,
            index: 0,
            digest,
        }
    }
}

impl ServerConfirming {
    /// Checks the form of a confirmation and its gate MAC, and takes the seeds. Failure destroys the new shares; nothing
    /// about the old ones was tested.
    ///
    /// # Errors
    /// [`CeremonyError::OtherCeremony`], [`CeremonyError::Peer`].
    pub fn check(self, confirmation: Confirmation) -> Result<CheckedConfirmation, CeremonyError> {
        let Self { new, seeding, server } = self;
        if confirmation.ceremony != new.ceremony {
            return Err(CeremonyError::OtherCeremony);
        }
        let gate_key = GateKey::new(confirmation.gate_key.0.duplicate());
        let mac = confirmation_mac(&gate_key, &new.context, &new.public_key, new.fetched_at, &confirmation);
        if !mac.verify(&confirmation.mac) {
            return Err(CeremonyError::Peer);
        }
        new.context.suite.get().check_syntax(&new.device, &confirmation.contribution)?;
        let share = seeding.finish(&confirmation.seeds)?;
        Ok(CheckedConfirmation { new, share, server, gate_key, contribution: confirmation.contribution })
    }
}

/// A confirmation whose form is right. It may be evaluated once the key is taken exclusively.
#[derive(Debug)]
pub struct CheckedConfirmation {
    new: NewKey,
    share: ServerShare,
    server: Commitment,
    gate_key: GateKey,
    contribution: Contribution,
}

/// Shares that made their first signature: to be stored before the signature is sent.
#[derive(Debug)]
pub struct ProvenKey {
    /// Which key.
    pub context: KeyContext,
    /// The device key it is bound to.
    pub device_key: DevicePublicKeyBytes,
    /// What the phone left for its holder; none from a refresh.
    pub holder_keys: Option<HolderKeys>,
    /// The ceremony that made the shares.
    pub ceremony: CeremonyId,
    /// The group public key.
    pub public_key: GroupPublicKey,
    /// What the server keeps, to be wrapped.
    pub key: ServerKey,
    /// The first signature, over [`super::first_digest`].
    pub proof: Signature,
    /// The certification request it signs, DER, if it signs one.
    pub request: Option<Vec<u8>>,
}

impl ProvenKey {
    /// What outsiders are shown of an enrolment; none of a refresh.
    #[must_use]
    pub fn enrolment(&self) -> Option<EnrolmentProof> {
        let holder_keys = self.holder_keys.as_ref()?.digest();
        Some(EnrolmentProof { ceremony: self.ceremony, holder_keys, signature: self.proof.clone() })
    }
}

impl CheckedConfirmation {
    /// Idempotency key of a refresh's confirmation. `context` is that of the new shares.
    #[must_use]
    pub fn payload_hash(context: &KeyContext, confirmation: &Confirmation) -> [u8; 32] {
        Hasher::new(Domain::Payload)
            .field(b"refresh-confirm")
            .field(context.device.as_bytes())
            .field(&Zeroizing::new(codec::encode(confirmation)))
            .finish()
    }

    /// The new shares' key, epoch and device.
    #[must_use]
    pub const fn context(&self) -> &KeyContext {
        &self.new.context
    }

    /// Completes the first signature. Failure destroys the new shares.
    ///
    /// # Errors
    /// [`CeremonyError::Cheating`] if the contribution is wrong: in a refresh the key must end, for the new share is the
    /// old one moved by what the device knows. [`CeremonyError::Own`] if the server failed.
    pub fn evaluate(self) -> Result<ProvenKey, CeremonyError> {
        let Self { new, share, server, gate_key, contribution } = self;
        let digest = new.digest()?;
        let commitments = Commitments { device: &new.device, server: &server };
        let suite = new.context.suite.get();
        let proof = suite
            .finish(&share, &new.nonce_key, &new.signing(&digest), commitments, &contribution)
            .map_err(|error| match error {
            FinishError::Cheating => CeremonyError::Cheating,
            FinishError::ServerFault => CeremonyError::Own,
        })?;
        let request = new.request(&proof)?;
        let NewKey { context, device_key, holder_keys, ceremony, public_key, nonce_key, .. } = new;
        let key = ServerKey { share, gate_key, nonce_key };
        Ok(ProvenKey { context, device_key, holder_keys, ceremony, public_key, key, proof, request })
    }
}
