//! One enrolment between two parties in this thread, message by message, with its cost on each side.

use std::time::Duration;

use rand::{SeedableRng as _, rngs::StdRng};
use signer_core::{
    ceremony::{DeviceEnrolment, ServerEnrolment, ServerKey},
    codec::{self, Text},
    device_key::DevicePublicKeyBytes,
    domain::sha256,
    history::HistoryKey,
    ids::DeviceId,
    lost_code::HolderKeys,
    pin::{MaskedKey, PinCost, PinMask, Salt},
    secret::SecretBytes,
    suite::{GroupPublicKey, KeyContext, SuiteId},
    time::UnixSeconds,
    wire::{Confirmed, EnrolConfirm, EnrolmentCode, WireSecret},
};

use crate::alternate::thread_cpu;

/// When everything here happens.
pub const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// What one side of an enrolment cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// CPU time of the ceremony's computations.
    pub cpu: Duration,
    /// Bytes it sent, encoded, without envelope and HTTP.
    pub sent: usize,
}

impl Cost {
    fn take<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = thread_cpu();
        let result = work();
        self.cpu += thread_cpu() - start;
        result
    }
}

/// Both parties of a key, and what it cost to make it.
#[derive(Debug)]
pub struct Enrolled {
    /// Which key.
    pub context: KeyContext,
    /// Its group public key.
    pub public_key: GroupPublicKey,
    /// What the server wraps and stores.
    pub server: ServerKey,
    /// What the phone stores.
    pub device: MaskedKey,
    /// From the device's first message to the confirmed first signature.
    pub device_cost: Cost,
    /// The same on the server.
    pub server_cost: Cost,
}

/// The mask of the device's key. Stretching the PIN is left out.
#[must_use]
pub fn mask(context: &KeyContext) -> PinMask {
    PinMask::derive(&SecretBytes::new([4; 32]), context)
}

/// What a phone leaves with the server for its holder.
#[must_use]
pub fn holder_keys(device: DeviceId) -> HolderKeys {
    let secret = SecretBytes::new([6; 32]);
    HolderKeys { history: HistoryKey::derive(&secret, device).public(), lost_code: sha256(device.as_bytes()) }
}

/// Enrols, with randomness of this number.
///
/// # Panics
/// If anything fails.
#[must_use]
pub fn enrol(suite: SuiteId, number: u64) -> Enrolled {
    let mut rng = StdRng::seed_from_u64(number);
    // Bytes that are never parsed: no message of the ceremony itself is signed by the device key.
    let device_key = DevicePublicKeyBytes([2; 33]);
    let (mut on_device, mut on_server) = (Cost::default(), Cost::default());
    let code = EnrolmentCode(Text::new("0000-0000-0000-0000".into()).unwrap());
    let (hedge, keys) = (SecretBytes::random(&mut rng), holder_keys(device_key.device_id()));

    let (device, start) =
        on_device.take(|| DeviceEnrolment::start(suite, device_key, code, keys, &mut rng).unwrap());
    on_device.sent += codec::encode(&start).len();
    let context = KeyContext {
        suite,
        key: start.key,
        epoch: signer_core::ids::Epoch(0),
        device: device_key.device_id(),
    };
    let (server, started) =
        on_server.take(|| ServerEnrolment::start(context, device_key, keys, &start.hello, &mut rng).unwrap());
    on_server.sent += codec::encode(&started).len();
    let (device, keys) = on_device.take(|| device.keys(&started, &hedge, &mut rng).unwrap());
    on_device.sent += codec::encode(&keys).len();
    let token = WireSecret(SecretBytes::random(&mut rng));
    let (server, keyed) = on_server.take(|| server.keys(&keys, token, NOW, &mut rng).unwrap());
    on_server.sent += codec::encode(&keyed).len();
    let (ready, _token) = on_device.take(|| device.ready(keyed, &mut rng).unwrap());
    let (mask, salt) = (mask(&context), Salt::random(&mut rng));
    let (unproven, confirmation) =
        on_device.take(|| ready.confirm(mask, salt, PinCost::FLOOR, &mut rng).unwrap());
    let confirm = EnrolConfirm(confirmation);
    on_device.sent += codec::encode(&confirm).len();
    let proven = on_server.take(|| server.check(confirm.0).unwrap().evaluate().unwrap());
    let confirmed = Confirmed { signature: proven.proof };
    on_server.sent += codec::encode(&confirmed).len();
    let device = on_device.take(|| unproven.prove(&confirmed).unwrap());

    Enrolled {
        context,
        public_key: proven.public_key,
        server: proven.key,
        device,
        device_cost: on_device,
        server_cost: on_server,
    }
}
