//! Key generation: the crate's DKG (FROST, ePrint 2020/852, figure 1), one type per round.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::fmt;

use frost_secp256k1::{
    Identifier, Signature,
    keys::{
        KeyPackage, PublicKeyPackage, SigningShare, VerifiableSecretSharingCommitment,
        dkg::{self, round1, round2},
    },
};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::{DEVICE, PARTICIPANTS, SERVER, participant, points, rng::Bridge, shares::ServerMaterial};
use crate::{
    codec,
    secret::SecretBytes,
    suite::{
        DeviceKeygen, DeviceOpening, DeviceShare, GroupPublicKey, KeygenMessage, ServerKeygen, ServerShare,
        SuiteError,
    },
};

/// Longest message of this suite's key generation, bytes.
const MESSAGE_BYTES_MAX: usize = 256;

/// DKG round 1: commitments to the two coefficients, and a proof that the first one's secret is known.
#[derive(Encode, Decode)]
struct Round1 {
    #[cbor(n(0), with = "minicbor::bytes")]
    constant: [u8; 33],
    #[cbor(n(1), with = "minicbor::bytes")]
    linear: [u8; 33],
    #[cbor(n(2), with = "minicbor::bytes")]
    proof: [u8; 65],
}

/// DKG round 2: the receiver's point of the sender's polynomial.
#[derive(Encode, Decode, Zeroize)]
#[zeroize(drop)]
struct Round2 {
    #[cbor(n(0), with = "minicbor::bytes")]
    share: [u8; 32],
}

/// The server's answer: its round 1, and its round 2 for the device.
#[derive(Encode, Decode)]
struct ServerHello {
    #[n(0)]
    round1: Round1,
    #[n(1)]
    round2: Round2,
}

impl Round1 {
    fn encode(package: &round1::Package) -> Option<Self> {
        let [constant, linear] = <[Vec<u8>; 2]>::try_from(package.commitment().serialize().ok()?).ok()?;
        Some(Self {
            constant: constant.try_into().ok()?,
            linear: linear.try_into().ok()?,
            proof: package.proof_of_knowledge().serialize().ok()?.try_into().ok()?,
        })
    }

    fn decode(&self) -> Option<round1::Package> {
        let (r, mu) = self.proof.split_at_checked(33)?;
        points::point(&self.constant)?;
        points::point(&self.linear)?;
        points::point(r)?;
        points::scalar(mu)?;
        let commitment = VerifiableSecretSharingCommitment::deserialize([self.constant, self.linear]).ok()?;
        Some(round1::Package::new(commitment, Signature::deserialize(&self.proof).ok()?))
    }
}

impl Round2 {
    fn encode(package: &round2::Package) -> Option<Self> {
        let share = Zeroizing::new(package.signing_share().serialize());
        Some(Self { share: share.as_slice().try_into().ok()? })
    }

    fn decode(&self) -> Option<round2::Package> {
        points::scalar(&self.share)?;
        Some(round2::Package::new(SigningShare::deserialize(&self.share).ok()?))
    }
}

/// Decodes a message of the other party.
fn read<'b, T: Decode<'b, ()> + Encode<()>>(message: &'b KeygenMessage) -> Result<T, SuiteError> {
    codec::decode(message.as_slice(), MESSAGE_BYTES_MAX).map_err(|_| SuiteError::Peer)
}

/// Encodes a message of our own.
fn write<T: Encode<()>>(value: &T) -> Result<KeygenMessage, SuiteError> {
    KeygenMessage::new(codec::encode(value)).ok_or(SuiteError::OwnMaterial)
}

/// Round 2: checks the peer's proof, gives our secret state and the peer's point of our polynomial.
fn part2(
    secret: round1::SecretPackage,
    peer: Identifier,
    package: round1::Package,
) -> Result<(Held, Round2), SuiteError> {
    // A package of our own sent back to us: its proof is for another number and would fail; said before it is computed.
    if secret.commitment() == package.commitment() {
        return Err(SuiteError::Peer);
    }
    let received = BTreeMap::from([(peer, package)]);
    let (secret, sent) = dkg::part2(secret, &received).map_err(|_| SuiteError::Peer)?;
    let round2 = sent.get(&peer).and_then(Round2::encode).ok_or(SuiteError::OwnMaterial)?;
    Ok((Held { secret, peer, received }, round2))
}

/// What a party holds between rounds 2 and 3.
struct Held {
    secret: round2::SecretPackage,
    peer: Identifier,
    received: BTreeMap<Identifier, round1::Package>,
}

impl Held {
    /// Round 3: checks the peer's point against its commitments.
    fn part3(&self, round2: &Round2) -> Result<(KeyPackage, PublicKeyPackage), SuiteError> {
        let package = round2.decode().ok_or(SuiteError::Peer)?;
        let points = BTreeMap::from([(self.peer, package)]);
        dkg::part3(&self.secret, &self.received, &points).map_err(|_| SuiteError::Peer)
    }
}

fn group_key(keys: &PublicKeyPackage) -> Option<GroupPublicKey> {
    keys.verifying_key().serialize().ok()?.try_into().ok().map(GroupPublicKey)
}

/// The device after its hello.
pub(super) struct DeviceRound1 {
    secret: round1::SecretPackage,
}

impl DeviceRound1 {
    pub(super) fn start(rng: &mut dyn CryptoRng) -> Result<(Self, KeygenMessage), SuiteError> {
        let (secret, package) = dkg::part1(participant(DEVICE)?, PARTICIPANTS, PARTICIPANTS, Bridge(rng))
            .map_err(|_| SuiteError::OwnMaterial)?;
        let hello = Round1::encode(&package).ok_or(SuiteError::OwnMaterial)?;
        Ok((Self { secret }, write(&hello)?))
    }
}

impl DeviceKeygen for DeviceRound1 {
    fn keys(
        self: Box<Self>,
        hello: &KeygenMessage,
        _: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn DeviceOpening>, KeygenMessage), SuiteError> {
        let hello: ServerHello = read(hello)?;
        let package = hello.round1.decode().ok_or(SuiteError::Peer)?;
        let (held, keys) = part2(self.secret, participant(SERVER)?, package)?;
        let (key, public) = held.part3(&hello.round2)?;
        let share = Zeroizing::new(key.signing_share().serialize());
        let share = SecretBytes::from_slice(&share).map(DeviceShare).ok_or(SuiteError::OwnMaterial)?;
        let public_key = group_key(&public).ok_or(SuiteError::Peer)?;
        Ok((Box::new(DeviceRound2 { share, public_key }), write(&keys)?))
    }
}

/// The device after its keys message. Its share is complete; it waits to hear that the server's is.
pub(super) struct DeviceRound2 {
    share: DeviceShare,
    public_key: GroupPublicKey,
}

impl DeviceOpening for DeviceRound2 {
    fn open(self: Box<Self>, opening: &KeygenMessage) -> Result<(DeviceShare, GroupPublicKey), SuiteError> {
        if opening.as_slice().is_empty() { Ok((self.share, self.public_key)) } else { Err(SuiteError::Peer) }
    }
}

/// The server after its hello.
pub(super) struct ServerRound2 {
    held: Held,
}

impl ServerRound2 {
    pub(super) fn start(
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, KeygenMessage), SuiteError> {
        let hello: Round1 = read(hello)?;
        let device = hello.decode().ok_or(SuiteError::Peer)?;
        let (secret, package) = dkg::part1(participant(SERVER)?, PARTICIPANTS, PARTICIPANTS, Bridge(rng))
            .map_err(|_| SuiteError::OwnMaterial)?;
        let round1 = Round1::encode(&package).ok_or(SuiteError::OwnMaterial)?;
        let (held, round2) = part2(secret, participant(DEVICE)?, device)?;
        Ok((Self { held }, write(&ServerHello { round1, round2 })?))
    }
}

impl ServerKeygen for ServerRound2 {
    fn finish(
        self: Box<Self>,
        keys: &KeygenMessage,
    ) -> Result<(ServerShare, GroupPublicKey, KeygenMessage), SuiteError> {
        let keys: Round2 = read(keys)?;
        let (key, public) = self.held.part3(&keys)?;
        let share = ServerMaterial::from_dkg(&key, &public).ok_or(SuiteError::Peer)?.encode();
        let public_key = group_key(&public).ok_or(SuiteError::Peer)?;
        let opening = KeygenMessage::new(Vec::new()).ok_or(SuiteError::OwnMaterial)?;
        Ok((share, public_key, opening))
    }
}

macro_rules! redacted {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )*};
}

redacted! { DeviceRound1 DeviceRound2 ServerRound2 }
