//! The device's side of enrolment and refresh.

use alloc::boxed::Box;

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use super::{CeremonyError, confirmation_mac, first_digest, offset, offset_commitment, proof_mac};
use crate::{
    codec::{self, Blob},
    device_key::DevicePublicKeyBytes,
    ids::{CeremonyId, KeyId},
    lost_code::HolderKeys,
    pin::{FreshKey, MaskedKey, PinCost, PinMask, Salt, UnlockedKey},
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, DeviceKeygen, DeviceNonce, DeviceOpening, GroupPublicKey, KeyContext,
        KeygenMessage, SigningContext, SuiteId,
    },
    time::UnixSeconds,
    wire::{
        Confirmation, Confirmed, EnrolKeyed, EnrolKeys, EnrolStart, EnrolStarted, EnrolmentCode, Presented,
        RefreshChallenged, RefreshKeyed, RefreshKeys, RefreshPayload, RefreshStart, Token, WireSecret,
    },
};

/// Enrolment, after its first message.
#[derive(Debug)]
pub struct DeviceEnrolment {
    context: KeyContext,
    device_key: DevicePublicKeyBytes,
    holder_keys: HolderKeys,
    keygen: Box<dyn DeviceKeygen>,
}

impl DeviceEnrolment {
    /// Starts an enrolment of `device_key` with the code an operator gave. `holder_keys` are left with the server.
    ///
    /// # Errors
    /// [`CeremonyError::Own`] if the suite's computation fails.
    pub fn start(
        suite: SuiteId,
        device_key: DevicePublicKeyBytes,
        code: EnrolmentCode,
        holder_keys: HolderKeys,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, EnrolStart), CeremonyError> {
        let key = KeyId::random(rng);
        let context = KeyContext { suite, key, epoch: crate::ids::Epoch(0), device: device_key.device_id() };
        let (keygen, hello) = suite.get().device_hello(&context, rng)?;
        let start = EnrolStart { code, device_key, key, suite, hello, holder_keys };
        Ok((Self { context, device_key, holder_keys, keygen }, start))
    }

    /// Second round: answers the server's hello and commits to the nonce of the first signature. `hedge` is a secret of
    /// this device that is new for every ceremony.
    ///
    /// # Errors
    /// [`CeremonyError::Peer`] if the server's message is wrong.
    pub fn keys(
        self,
        started: &EnrolStarted,
        hedge: &SecretBytes<32>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(EnrolmentKeyed, EnrolKeys), CeremonyError> {
        let (opening, keys) = self.keygen.keys(&started.hello, rng)?;
        let (nonce, commitment) = self.context.suite.get().device_commit(hedge, rng)?;
        let message = EnrolKeys { ceremony: started.ceremony, keys, commitment: commitment.clone() };
        let next = EnrolmentKeyed {
            context: self.context,
            device_key: self.device_key,
            holder_keys: self.holder_keys,
            ceremony: started.ceremony,
            opening,
            nonce,
            commitment,
        };
        Ok((next, message))
    }
}

/// Enrolment, after its second message.
#[derive(Debug)]
pub struct EnrolmentKeyed {
    context: KeyContext,
    device_key: DevicePublicKeyBytes,
    holder_keys: HolderKeys,
    ceremony: CeremonyId,
    opening: Box<dyn DeviceOpening>,
    nonce: DeviceNonce,
    commitment: Commitment,
}

impl EnrolmentKeyed {
    /// Takes the server's opening: both shares exist now. Also returns the first device token.
    ///
    /// # Errors
    /// [`CeremonyError::Peer`] if the server's message is wrong.
    pub fn ready(
        self,
        keyed: EnrolKeyed,
        rng: &mut dyn CryptoRng,
    ) -> Result<(SharesReady, Token), CeremonyError> {
        let (share, public_key) = self.opening.open(&keyed.opening)?;
        let seed = SecretBytes::random(rng);
        let ready = SharesReady {
            fresh: FreshKey::new(self.context, public_key, share, seed),
            device_key: self.device_key,
            holder_keys: Some(self.holder_keys),
            ceremony: self.ceremony,
            nonce: self.nonce,
            device: self.commitment,
            server: keyed.commitment,
            seeding: keyed.seeding,
            fetched_at: keyed.fetched_at,
        };
        Ok((ready, keyed.token))
    }
}

/// Refresh, after the PIN proof.
#[derive(Debug)]
pub struct DeviceRefresh {
    unlocked: UnlockedKey,
    device_key: DevicePublicKeyBytes,
}

impl DeviceRefresh {
    /// Proves the PIN over the server's challenge.
    ///
    /// # Errors
    /// [`CeremonyError::Peer`] if the challenge is for another epoch.
    pub fn start(
        unlocked: UnlockedKey,
        device_key: DevicePublicKeyBytes,
        challenged: &RefreshChallenged,
        presented: Presented,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, RefreshStart), CeremonyError> {
        let context = *unlocked.context();
        if challenged.epoch != context.epoch {
            return Err(CeremonyError::Peer);
        }
        let mut unique = [0; 16];
        rng.fill_bytes(&mut unique);
        let mut payload = RefreshPayload {
            key: context.key,
            epoch: context.epoch,
            issued_at: challenged.issued_at,
            challenge: challenged.challenge,
            token: presented.token,
            unheard: presented.unheard,
            unique,
            mac: [0; 32],
        };
        payload.mac = proof_mac(&unlocked.gate_key(), &context, &payload).tag();
        let payload = Blob::new(codec::encode(&payload)).ok_or(CeremonyError::Own)?;
        Ok((Self { unlocked, device_key }, RefreshStart { payload }))
    }

    /// After the server's commitment: sends the device's part of the offset and commits to the confirming nonce. `hedge`
    /// is a secret of this device that is new for every ceremony.
    ///
    /// # Errors
    /// [`CeremonyError::Own`] if the suite's computation fails.
    pub fn keys(
        self,
        ceremony: CeremonyId,
        server_commitment: [u8; 32],
        hedge: &SecretBytes<32>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(RefreshOffset, RefreshKeys), CeremonyError> {
        let part = SecretBytes::random(rng);
        let suite = self.unlocked.context().suite.get();
        let (nonce, commitment) = suite.device_commit(hedge, rng)?;
        let message =
            RefreshKeys { ceremony, part: WireSecret(part.duplicate()), commitment: commitment.clone() };
        let next = RefreshOffset {
            unlocked: self.unlocked,
            device_key: self.device_key,
            ceremony,
            server_commitment,
            part,
            nonce,
            commitment,
        };
        Ok((next, message))
    }
}

/// Refresh, after the device's part of the offset.
#[derive(Debug)]
pub struct RefreshOffset {
    unlocked: UnlockedKey,
    device_key: DevicePublicKeyBytes,
    ceremony: CeremonyId,
    server_commitment: [u8; 32],
    part: SecretBytes<32>,
    nonce: DeviceNonce,
    commitment: Commitment,
}

impl RefreshOffset {
    /// Checks the server's opening and moves the share: the fresh key has the next epoch and a new seed.
    ///
    /// # Errors
    /// [`CeremonyError::Peer`] if the opening does not match the commitment.
    pub fn ready(self, keyed: RefreshKeyed, rng: &mut dyn CryptoRng) -> Result<SharesReady, CeremonyError> {
        let old = *self.unlocked.context();
        let new = KeyContext { epoch: old.epoch.next(), ..old };
        if offset_commitment(&new, self.ceremony, &keyed.part.0) != self.server_commitment {
            return Err(CeremonyError::Peer);
        }
        let offset = offset(&new, self.ceremony, &keyed.part.0, &self.part);
        Ok(SharesReady {
            fresh: self.unlocked.offset(&offset, SecretBytes::random(rng)),
            device_key: self.device_key,
            holder_keys: None,
            ceremony: self.ceremony,
            nonce: self.nonce,
            device: self.commitment,
            server: keyed.commitment,
            seeding: keyed.seeding,
            fetched_at: keyed.fetched_at,
        })
    }
}

/// New shares exist on both sides, in memory; the device may now mask its own and prove that they work together.
#[derive(Debug)]
pub struct SharesReady {
    fresh: FreshKey,
    device_key: DevicePublicKeyBytes,
    holder_keys: Option<HolderKeys>,
    ceremony: CeremonyId,
    nonce: DeviceNonce,
    device: Commitment,
    server: Commitment,
    seeding: KeygenMessage,
    fetched_at: UnixSeconds,
}

impl SharesReady {
    /// The key; the mask must be derived for exactly this context.
    #[must_use]
    pub const fn context(&self) -> &KeyContext {
        self.fresh.context()
    }

    /// Masks the share (this once), answers the server's question for seeds and makes the device's part of the first
    /// signature. The caller stores the
    /// [`Unproven`] key durably, beside an older one, before it sends the confirmation.
    ///
    /// # Errors
    /// [`CeremonyError::Peer`] if the server's commitment is wrong.
    pub fn confirm(
        self,
        mask: PinMask,
        salt: Salt,
        cost: PinCost,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Unproven, Confirmation), CeremonyError> {
        let context = *self.fresh.context();
        let public_key = *self.fresh.public_key();
        let holder_keys = self.holder_keys.as_ref().map(HolderKeys::digest);
        let digest =
            first_digest(&context, &public_key, &self.device_key, self.ceremony, holder_keys.as_ref())?;
        let signing = SigningContext {
            key: context,
            public_key,
            request_hash: digest,
            fetched_at: self.fetched_at,
            index: 0,
            digest: &digest,
        };
        let suite = context.suite.get();
        let part = self.fresh.part();
        let seeds = suite.device_seeding(&context, part.seed, &digest, &self.seeding, rng)?;
        let commitments = Commitments { device: &self.device, server: &self.server };
        let contribution = suite.contribute(part, self.nonce, &signing, commitments)?;
        let (masked, gate_key) = MaskedKey::new(self.fresh, mask, salt, cost);
        let mut confirmation = Confirmation {
            ceremony: self.ceremony,
            gate_key: WireSecret(gate_key.expose().duplicate()),
            seeds,
            contribution,
            mac: [0; 32],
        };
        confirmation.mac =
            confirmation_mac(&gate_key, &context, &public_key, self.fetched_at, &confirmation).tag();
        let Self { device_key, ceremony, holder_keys, .. } = self;
        Ok((Unproven { masked, device_key, ceremony, holder_keys }, confirmation))
    }
}

/// A masked key whose first signature has not been seen. It may be stored, but not used.
#[derive(Debug, Encode, Decode)]
pub struct Unproven {
    #[n(0)]
    masked: MaskedKey,
    #[n(1)]
    device_key: DevicePublicKeyBytes,
    #[n(2)]
    ceremony: CeremonyId,
    #[n(3)]
    holder_keys: Option<HolderKeys>,
}

impl Unproven {
    /// The key.
    #[must_use]
    pub fn context(&self) -> &KeyContext {
        self.masked.context()
    }

    /// The group public key.
    #[must_use]
    pub fn public_key(&self) -> GroupPublicKey {
        *self.masked.public_key()
    }

    /// Whether `confirmed` brings a valid first signature of this ceremony: then the key is good.
    #[must_use]
    pub fn is_proven_by(&self, confirmed: &Confirmed) -> bool {
        let (context, public_key) = (self.context(), self.public_key());
        let holder_keys = self.holder_keys.as_ref().map(HolderKeys::digest);
        let digest =
            first_digest(context, &public_key, &self.device_key, self.ceremony, holder_keys.as_ref());
        let suite = self.context().suite.get();
        digest.is_ok_and(|digest| suite.verify(&self.public_key(), &digest, &confirmed.signature))
    }

    /// The key, once its first signature is seen.
    ///
    /// # Errors
    /// The unproven key back, if the signature is not valid.
    pub fn prove(self, confirmed: &Confirmed) -> Result<MaskedKey, Box<Self>> {
        if self.is_proven_by(confirmed) { Ok(self.masked) } else { Err(Box::new(self)) }
    }
}
