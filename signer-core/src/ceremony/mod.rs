//! Enrolment and share refresh, round by round. Each round is a type of its own; what fails is dropped, and with it every
//! secret of the run.
//!
//! ```text
//! device                                             server
//! DeviceEnrolment::start ──── EnrolStart ──────────▶ ServerEnrolment::start
//! DeviceEnrolment::keys  ◀─── EnrolStarted ─────────
//!                        ──── EnrolKeys ───────────▶ ServerEnrolment::keys
//! EnrolmentKeyed::ready  ◀─── EnrolKeyed ───────────
//! SharesReady::confirm   ──── EnrolConfirm ────────▶ ServerConfirming::check, CheckedConfirmation::evaluate   (durable here)
//! Unproven::prove        ◀─── Confirmed ────────────
//! ```
//!
//! A refresh has the same shape: a PIN proof instead of the code, a tossed offset instead of key generation.

mod device;
mod proof;
mod resting;
mod server;

pub use self::{device::*, proof::*, resting::*, server::*};
use crate::{
    certificate::request_digest,
    device_key::DevicePublicKeyBytes,
    domain::{Domain, Hasher, Macer, expand},
    ids::{CeremonyId, Epoch},
    lost_code::HolderKeysDigest,
    pin::GateKey,
    secret::SecretBytes,
    suite::{GroupPublicKey, KeyContext, PROTOCOL_VERSION, SuiteError},
    time::UnixSeconds,
    wire::{Confirmation, RefreshPayload},
};

/// How long a challenge or a fetch answer is good for, seconds.
pub const FRESH_SECONDS: u64 = 600;

/// Why a ceremony failed. It is over; a retry starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CeremonyError {
    /// The other party's message is wrong.
    #[error("the other party's message failed its checks")]
    Peer,
    /// The device's confirming contribution is wrong though it comes from whoever knows the PIN: what is left of the key
    /// must end, for under `es256` a wrong contribution tests a guess at the server's share.
    #[error("the device's contribution is wrong")]
    Cheating,
    /// Own material or computation failed.
    #[error("own computation failed")]
    Own,
    /// The message belongs to another ceremony.
    #[error("message belongs to another ceremony")]
    OtherCeremony,
}

impl From<SuiteError> for CeremonyError {
    fn from(error: SuiteError) -> Self {
        match error {
            SuiteError::Peer => Self::Peer,
            SuiteError::OwnMaterial => Self::Own,
        }
    }
}

/// Which key, which generation, from which ceremony, for which device. What is signed first is this, or bound to it: see
/// [`first_digest`], which is also its own request hash.
///
/// The ceremony tells two attempts at the same epoch apart: without it, the proof of one attempt's shares would pass for a
/// proof of the other's, and a phone whose late confirmation won would erase the shares that live.
///
/// An enrolment also names what the phone leaves for its holder, by its hash; a refresh leaves nothing new (`None`).
#[must_use]
pub fn statement(
    context: &KeyContext,
    public_key: &GroupPublicKey,
    device_key: &DevicePublicKeyBytes,
    ceremony: CeremonyId,
    holder_keys: Option<&HolderKeysDigest>,
) -> [u8; 32] {
    let domain =
        if context.epoch == Epoch(0) { Domain::EnrolmentStatement } else { Domain::RefreshStatement };
    let hash = with_context(Hasher::new(domain), context)
        .field(&public_key.0)
        .field(&device_key.0)
        .field(ceremony.as_bytes());
    match holder_keys {
        Some(keys) => hash.field(&keys.0).finish(),
        None => hash.finish(),
    }
}

/// What new shares sign first: the hash of a certification request that is bound to the [`statement`], for a new key of a
/// suite that has certificates; else the statement itself.
///
/// # Errors
/// [`SuiteError::OwnMaterial`] if the public key is not one of the suite.
pub fn first_digest(
    context: &KeyContext,
    public_key: &GroupPublicKey,
    device_key: &DevicePublicKeyBytes,
    ceremony: CeremonyId,
    holder_keys: Option<&HolderKeysDigest>,
) -> Result<[u8; 32], SuiteError> {
    let statement = statement(context, public_key, device_key, ceremony, holder_keys);
    if context.suite.has_certificates() && context.epoch == Epoch(0) {
        request_digest(public_key, &statement).map_err(|_| SuiteError::OwnMaterial)
    } else {
        Ok(statement)
    }
}

fn with_context(hash: Hasher, context: &KeyContext) -> Hasher {
    hash.number(PROTOCOL_VERSION.into())
        .number(context.suite.number().into())
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
}

fn mac_with_context(mac: Macer, context: &KeyContext) -> Macer {
    mac.number(PROTOCOL_VERSION.into())
        .number(context.suite.number().into())
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
}

/// Gate MAC over the end of a ceremony.
fn confirmation_mac(
    gate_key: &GateKey,
    context: &KeyContext,
    public_key: &GroupPublicKey,
    fetched_at: UnixSeconds,
    confirmation: &Confirmation,
) -> Macer {
    mac_with_context(Macer::new(gate_key.expose(), Domain::GateConfirm), context)
        .field(&public_key.0)
        .field(confirmation.ceremony.as_bytes())
        .number(fetched_at.0)
        .field(confirmation.seeds.as_slice())
        .field(confirmation.contribution.as_slice())
}

/// PIN proof outside signing: a MAC under the gate key over a labelled server challenge.
fn proof_mac(gate_key: &GateKey, context: &KeyContext, payload: &RefreshPayload) -> Macer {
    mac_with_context(Macer::new(gate_key.expose(), Domain::GateProof), context)
        .number(payload.issued_at.0)
        .field(&payload.challenge)
        .field(payload.token.0.expose())
        .number(payload.unheard.into())
        .field(&payload.unique)
}

/// Commitment to the server's part of the refresh offset.
fn offset_commitment(context: &KeyContext, ceremony: CeremonyId, part: &SecretBytes<32>) -> [u8; 32] {
    with_context(Hasher::new(Domain::RefreshCommitment), context)
        .field(ceremony.as_bytes())
        .field(part.expose())
        .finish()
}

/// The offset both parties tossed: neither could choose it. Erased as soon as it is used.
fn offset(
    context: &KeyContext,
    ceremony: CeremonyId,
    server: &SecretBytes<32>,
    device: &SecretBytes<32>,
) -> SecretBytes<64> {
    let mut parts = SecretBytes::new([0; 64]);
    let (left, right) = parts.expose_mut().split_at_mut(32);
    left.copy_from_slice(server.expose());
    right.copy_from_slice(device.expose());
    expand(
        parts.expose(),
        Domain::RefreshOffset,
        &[context.key.as_bytes(), &context.epoch.0.to_be_bytes(), ceremony.as_bytes()],
    )
}
