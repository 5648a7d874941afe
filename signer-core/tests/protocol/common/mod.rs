//! A phone, a server that forgets nothing, and the messages between them.

mod bad;
mod enrol;
mod golden;
mod phone;
mod rng;
mod sign;

pub(crate) use self::{bad::*, enrol::*, golden::golden, phone::*, rng::Stream, sign::*};
pub(crate) use crate::SUITE;
use signer_core::{
    ceremony::{EnrolmentProof, ProvenKey, ServerKey},
    codec,
    device_key::DevicePublicKeyBytes,
    pin::MaskedKey,
    secret::SecretBytes,
    suite::{GroupPublicKey, KeyContext, Signature},
    time::UnixSeconds,
};

/// Longest message of any test, bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// 2026-11-20T10:15:00Z.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_795_169_700);
pub(crate) const PIN: &str = "490271";
/// A secret of the phone that is mixed into its nonces.
pub(crate) const HEDGE: SecretBytes<32> = SecretBytes::new([0x4e; 32]);

/// One enrolled key, both sides. Cloning it is what a backup or an image of a phone does.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) context: KeyContext,
    pub(crate) public_key: GroupPublicKey,
    pub(crate) device_key: DevicePublicKeyBytes,
    /// The first signature.
    pub(crate) proof: Signature,
    /// What outsiders are shown; of an enrolment only.
    pub(crate) enrolment: Option<EnrolmentProof>,
    /// What the phone stores.
    pub(crate) masked: MaskedKey,
    /// What the server stores, before it is wrapped.
    server: Vec<u8>,
    /// What a phone with the right PIN knows.
    pub(crate) gate_key: [u8; 32],
}

impl Pair {
    pub(crate) fn new(proven: ProvenKey, masked: MaskedKey) -> Self {
        let enrolment = proven.enrolment();
        let ProvenKey { context, device_key, public_key, key, proof, .. } = proven;
        let gate_key = *key.gate_key.expose().expose();
        let server = key.encode().to_vec();
        Self { context, public_key, device_key, proof, enrolment, masked, server, gate_key }
    }

    pub(crate) fn server(&self) -> ServerKey {
        ServerKey::decode(&self.server).unwrap()
    }

    /// The server's share in its suite's encoding.
    pub(crate) fn server_share(&self) -> Vec<u8> {
        self.server().share.0.to_vec()
    }
}

/// What a message becomes on its way, in bytes.
pub(crate) fn sent<T, U>(message: &T) -> U
where
    T: minicbor::Encode<()>,
    U: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    codec::decode(&codec::encode(message), 1 << 20).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
