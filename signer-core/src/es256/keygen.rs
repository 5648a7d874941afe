//! Key generation: the server commits to its public share, the device sends its own, the server opens. Neither can choose
//! its share by the other's, and each proves that it knows its own.
#![expect(clippy::arithmetic_side_effects, reason = "arithmetic of the curve, which has no overflow")]

use alloc::boxed::Box;
use core::fmt;

use p256::{ProjectivePoint, Scalar};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    material::Material,
    points::{self, Compressed},
    proof::{self, Proof},
    scalars,
};
use crate::{
    domain::{Domain, Hasher},
    secret::Secret,
    suite::{
        DeviceKeygen, DeviceOpening, DeviceShare, GroupPublicKey, KeyContext, KeygenMessage,
        PROTOCOL_VERSION, ServerKeygen, ServerShare, SuiteError,
    },
};

/// Roles in proofs.
const DEVICE: u64 = 1;
const SERVER: u64 = 2;

/// Names one run of key generation, by both parties' session nonces.
fn session(context: &KeyContext, device: &[u8; 32], server: &[u8; 32]) -> [u8; 32] {
    Hasher::new(Domain::Es256Keygen)
        .number(PROTOCOL_VERSION.into())
        .number(context.suite.number().into())
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
        .field(device)
        .field(server)
        .finish()
}

/// What a proof stands on. The server's is made before its commitment, which holds it; so that has none in it.
fn statement(session: &[u8; 32], role: u64, commitment: &[u8]) -> [u8; 32] {
    Hasher::new(Domain::Es256KeyProof).field(session).number(role).field(commitment).finish()
}

fn commitment(session: &[u8; 32], public: &Compressed, proof: &Proof, salt: &[u8; 32]) -> [u8; 32] {
    Hasher::new(Domain::Es256KeyCommitment).field(session).field(public).field(proof).field(salt).finish()
}

fn message(parts: &[&[u8]]) -> Result<KeygenMessage, SuiteError> {
    KeygenMessage::new(parts.concat()).ok_or(SuiteError::OwnMaterial)
}

/// A share, its public point, and the proof that the share is known.
struct Pair {
    share: Zeroizing<Scalar>,
    public: Compressed,
}

impl Pair {
    fn draw(session: &[u8; 32], rng: &mut dyn CryptoRng) -> Result<Self, SuiteError> {
        let share = scalars::hedged(rng, Domain::Es256Share, &[session]);
        let public = points::base_multiple(&share).ok_or(SuiteError::OwnMaterial)?;
        Ok(Self { share, public: points::shortened(&public) })
    }

    fn prove(&self, statement: &[u8; 32], rng: &mut dyn CryptoRng) -> Result<Proof, SuiteError> {
        let share = Zeroizing::new(scalars::bytes(&self.share));
        let t = scalars::hedged(rng, Domain::Es256ProofNonce, &[&*share, statement]);
        proof::prove(&self.share, &self.public, statement, &t).ok_or(SuiteError::OwnMaterial)
    }
}

/// Q = X_D + X_S, unless it is the identity.
fn sum(one: &ProjectivePoint, other: &ProjectivePoint) -> Option<points::Uncompressed> {
    points::uncompressed(&(*one + *other))
}

/// The other party's public share, if its proof holds.
fn proven(public: &[u8], statement: &[u8; 32], proof: &[u8]) -> Option<ProjectivePoint> {
    let point = points::from_compressed(public)?;
    proof::holds(&point, public, statement, proof).then_some(point)
}

/// The device after its hello.
pub(super) struct DeviceRound1 {
    context: KeyContext,
    nonce: [u8; 32],
}

impl DeviceRound1 {
    pub(super) fn start(
        context: &KeyContext,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, KeygenMessage), SuiteError> {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        Ok((Self { context: *context, nonce }, message(&[&nonce])?))
    }
}

impl DeviceKeygen for DeviceRound1 {
    fn keys(
        self: Box<Self>,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn DeviceOpening>, KeygenMessage), SuiteError> {
        let (nonce, commitment) = hello.as_slice().split_first_chunk::<32>().ok_or(SuiteError::Peer)?;
        let commitment = <[u8; 32]>::try_from(commitment).map_err(|_| SuiteError::Peer)?;
        let session = session(&self.context, &self.nonce, nonce);
        let own = Pair::draw(&session, rng)?;
        let proof = own.prove(&statement(&session, DEVICE, &commitment), rng)?;
        let keys = message(&[&own.public, &proof])?;
        Ok((Box::new(DeviceRound2 { session, commitment, own }), keys))
    }
}

/// The device after its keys message.
struct DeviceRound2 {
    session: [u8; 32],
    commitment: [u8; 32],
    own: Pair,
}

impl DeviceOpening for DeviceRound2 {
    fn open(self: Box<Self>, opening: &KeygenMessage) -> Result<(DeviceShare, GroupPublicKey), SuiteError> {
        let read = || {
            let (public, rest) = opening.as_slice().split_first_chunk::<33>()?;
            let (proof, salt) = rest.split_first_chunk::<64>()?;
            let salt = <&[u8; 32]>::try_from(salt).ok()?;
            if commitment(&self.session, public, proof, salt) != self.commitment {
                return None;
            }
            let server = proven(public, &statement(&self.session, SERVER, &[]), proof)?;
            sum(&points::from_compressed(&self.own.public)?, &server)
        };
        let public_key = read().ok_or(SuiteError::Peer)?;
        let public_key = GroupPublicKey(points::shortened(&public_key));
        Ok((DeviceShare(Secret::new(scalars::bytes(&self.own.share))), public_key))
    }
}

/// The server after its hello.
pub(super) struct ServerRound1 {
    session: [u8; 32],
    own: Pair,
    proof: Proof,
    salt: [u8; 32],
}

impl ServerRound1 {
    pub(super) fn start(
        context: &KeyContext,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, KeygenMessage), SuiteError> {
        let device = <&[u8; 32]>::try_from(hello.as_slice()).map_err(|_| SuiteError::Peer)?;
        let (mut nonce, mut salt) = ([0; 32], [0; 32]);
        rng.fill_bytes(&mut nonce);
        rng.fill_bytes(&mut salt);
        let session = session(context, device, &nonce);
        let own = Pair::draw(&session, rng)?;
        let proof = own.prove(&statement(&session, SERVER, &[]), rng)?;
        let answer = message(&[&nonce, &commitment(&session, &own.public, &proof, &salt)])?;
        Ok((Self { session, own, proof, salt }, answer))
    }
}

impl ServerKeygen for ServerRound1 {
    fn finish(
        self: Box<Self>,
        keys: &KeygenMessage,
    ) -> Result<(ServerShare, GroupPublicKey, KeygenMessage), SuiteError> {
        let commitment = commitment(&self.session, &self.own.public, &self.proof, &self.salt);
        let read = || {
            let (public, proof) = keys.as_slice().split_first_chunk::<33>()?;
            let device = proven(public, &statement(&self.session, DEVICE, &commitment), proof)?;
            sum(&points::from_compressed(&self.own.public)?, &device)
        };
        let public_key = read().ok_or(SuiteError::Peer)?;
        let material = Material::unseeded(&self.own.share, public_key).ok_or(SuiteError::OwnMaterial)?;
        let group_key = GroupPublicKey(points::shortened(&public_key));
        Ok((material.encode(), group_key, message(&[&self.own.public, &self.proof, &self.salt])?))
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

redacted! { DeviceRound1 DeviceRound2 ServerRound1 }
