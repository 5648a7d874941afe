//! How the server's side of a ceremony rests between two messages, so that the next one may come to another server process:
//! as a seed and what the phone sent. The stage is computed again from them.
//!
//! What a round draws follows from the seed and from everything that the round answers. A store that was set back may
//! therefore give one round twice, but never answer two messages with the same secrets. What it answered is kept as a hash: a stage
//! that does not come out as it was is nobody's fault but the server's.

use alloc::vec::Vec;
use core::convert::Infallible;

use minicbor::{Decode, Encode};
use rand_core::{CryptoRng, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use super::{CeremonyError, ServerConfirming, ServerEnrolment, ServerKey, ServerRefresh};
use crate::{
    codec::{self, CodecError},
    device_key::DevicePublicKeyBytes,
    domain::{Domain, Hasher, Macer},
    ids::CeremonyId,
    lost_code::HolderKeys,
    secret::SecretBytes,
    suite::{GroupPublicKey, KeyContext, KeygenMessage},
    time::UnixSeconds,
    wire::{EnrolKeyed, EnrolKeys, EnrolStarted, RefreshKeyed, RefreshKeys, Token, WireSecret},
};

/// Longest encoding of a resting ceremony, bytes: both key generation messages and what goes with them.
const BYTES_MAX: usize = 96 * 1024;

/// Rounds that draw.
const FIRST: u64 = 1;
const SECOND: u64 = 2;

/// What one round draws from: block `i` is HMAC-SHA-256(key of the round; [`Domain::CeremonyStream`], i). Every call starts a
/// new block.
struct Draws {
    key: SecretBytes<32>,
    next: u64,
}

impl Draws {
    /// `answers` is the message that the round answers, `at` when.
    fn new(seed: &WireSecret, round: u64, answers: &[u8], at: UnixSeconds) -> Self {
        let mac = Macer::new(&seed.0, Domain::CeremonyRandomness).number(round).field(answers).number(at.0);
        Self { key: mac.derive(), next: 0 }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Zeroizing::new(Macer::new(&self.key, Domain::CeremonyStream).number(self.next).tag());
            chunk.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
            // 2^64 blocks are never drawn, so the counter does not come round.
            self.next = self.next.wrapping_add(1);
        }
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = Zeroizing::new([0; 4]);
        self.fill(&mut *bytes);
        Ok(u32::from_le_bytes(*bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = Zeroizing::new([0; 8]);
        self.fill(&mut *bytes);
        Ok(u64::from_le_bytes(*bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Draws {}

/// An enrolment whose hello was answered.
#[derive(Debug, Encode, Decode)]
pub struct RestingEnrolment {
    #[n(0)]
    seed: WireSecret,
    #[n(1)]
    context: KeyContext,
    #[n(2)]
    device_key: DevicePublicKeyBytes,
    #[n(3)]
    holder_keys: HolderKeys,
    #[n(4)]
    hello: KeygenMessage,
    #[n(5)]
    started: UnixSeconds,
    /// Hash of the answer.
    #[cbor(n(6), with = "minicbor::bytes")]
    answer: [u8; 32],
}

/// An enrolment whose keys message was answered.
#[derive(Debug, Encode, Decode)]
pub struct RestingEnrolmentKeys {
    #[n(0)]
    before: RestingEnrolment,
    #[n(1)]
    keys: EnrolKeys,
    #[n(2)]
    at: UnixSeconds,
    #[cbor(n(3), with = "minicbor::bytes")]
    answer: [u8; 32],
}

/// A refresh that a PIN proof opened.
#[derive(Debug, Encode, Decode)]
pub struct RestingRefresh {
    #[n(0)]
    seed: WireSecret,
    /// Of the old shares.
    #[n(1)]
    old: KeyContext,
    #[n(2)]
    device_key: DevicePublicKeyBytes,
    #[n(3)]
    public_key: GroupPublicKey,
    #[n(4)]
    started: UnixSeconds,
    #[cbor(n(5), with = "minicbor::bytes")]
    answer: [u8; 32],
}

/// A refresh whose keys message was answered.
#[derive(Debug, Encode, Decode)]
pub struct RestingRefreshKeys {
    #[n(0)]
    before: RestingRefresh,
    #[n(1)]
    keys: RefreshKeys,
    #[n(2)]
    at: UnixSeconds,
    #[cbor(n(3), with = "minicbor::bytes")]
    answer: [u8; 32],
}

/// A ceremony between two messages. Its bytes hold secrets: they are wrapped before they are stored.
pub trait Resting: Sized {
    /// The bytes to be wrapped.
    fn to_bytes(&self) -> Zeroizing<Vec<u8>>;

    /// Decodes unwrapped bytes.
    ///
    /// # Errors
    /// [`CodecError`] if they are not of this stage.
    fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError>;
}

macro_rules! resting {
    ($($type:ident)*) => {$(
        impl Resting for $type {
            fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
                Zeroizing::new(codec::encode(self))
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
                codec::decode(bytes, BYTES_MAX)
            }
        }
    )*};
}

resting! { RestingEnrolment RestingEnrolmentKeys RestingRefresh RestingRefreshKeys }

impl RestingEnrolment {
    /// Answers a device's hello, as [`ServerEnrolment::start`].
    ///
    /// # Errors
    /// [`CeremonyError`] if the hello or the context is wrong.
    pub fn start(
        context: KeyContext,
        device_key: DevicePublicKeyBytes,
        holder_keys: HolderKeys,
        hello: KeygenMessage,
        now: UnixSeconds,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, EnrolStarted), CeremonyError> {
        let seed = WireSecret(SecretBytes::random(rng));
        let mut resting =
            Self { seed, context, device_key, holder_keys, hello, started: now, answer: [0; 32] };
        let (_, started) = resting.stage()?;
        resting.answer = answered(&codec::encode(&started));
        Ok((resting, started))
    }

    /// The ceremony, and its answer, as they are each time.
    fn stage(&self) -> Result<(ServerEnrolment, EnrolStarted), CeremonyError> {
        let rng = &mut Draws::new(&self.seed, FIRST, self.hello.as_slice(), self.started);
        ServerEnrolment::start(self.context, self.device_key, self.holder_keys, &self.hello, rng)
    }

    fn again(&self) -> Result<ServerEnrolment, CeremonyError> {
        let (stage, started) = self.stage()?;
        same(&self.answer, &codec::encode(&started)).map(|()| stage)
    }

    /// Takes the device's keys, as [`ServerEnrolment::keys`].
    ///
    /// # Errors
    /// [`CeremonyError`] if the message is wrong.
    pub fn keys(
        self,
        keys: EnrolKeys,
        token: Token,
        now: UnixSeconds,
    ) -> Result<(RestingEnrolmentKeys, EnrolKeyed), CeremonyError> {
        let mut resting = RestingEnrolmentKeys { before: self, keys, at: now, answer: [0; 32] };
        let (_, mut keyed) = resting.stage()?;
        resting.answer = answered(&codec::encode(&keyed));
        keyed.token = token;
        Ok((resting, keyed))
    }
}

impl RestingEnrolmentKeys {
    /// With a token of zeros: the token does not enter the ceremony.
    fn stage(&self) -> Result<(ServerConfirming, EnrolKeyed), CeremonyError> {
        let before = self.before.again()?;
        let rng = &mut Draws::new(&self.before.seed, SECOND, &message(&self.keys), self.at);
        before.keys(&self.keys, WireSecret(SecretBytes::new([0; 32])), self.at, rng)
    }

    /// The ceremony at its last stage.
    ///
    /// # Errors
    /// [`CeremonyError::Own`] if it does not come out as it was.
    pub fn confirming(&self) -> Result<ServerConfirming, CeremonyError> {
        let (stage, keyed) = self.stage().map_err(|_| CeremonyError::Own)?;
        same(&self.answer, &codec::encode(&keyed)).map(|()| stage)
    }
}

impl RestingRefresh {
    /// Draws the server's part of the offset, as [`ServerRefresh::start`].
    pub fn start(
        old: &KeyContext,
        device_key: DevicePublicKeyBytes,
        public_key: GroupPublicKey,
        now: UnixSeconds,
        rng: &mut dyn CryptoRng,
    ) -> (Self, CeremonyId, [u8; 32]) {
        let seed = WireSecret(SecretBytes::random(rng));
        let mut resting = Self { seed, old: *old, device_key, public_key, started: now, answer: [0; 32] };
        let (_, ceremony, commitment) = resting.stage();
        resting.answer = opened(ceremony, &commitment);
        (resting, ceremony, commitment)
    }

    /// Key, epoch and device of the old shares.
    #[must_use]
    pub const fn old(&self) -> &KeyContext {
        &self.old
    }

    fn stage(&self) -> (ServerRefresh, CeremonyId, [u8; 32]) {
        let rng = &mut Draws::new(&self.seed, FIRST, &[], self.started);
        ServerRefresh::start(&self.old, self.device_key, self.public_key, rng)
    }

    fn again(&self) -> Result<ServerRefresh, CeremonyError> {
        let (stage, ceremony, commitment) = self.stage();
        if opened(ceremony, &commitment) == self.answer { Ok(stage) } else { Err(CeremonyError::Own) }
    }

    /// Takes the device's part, as [`ServerRefresh::keys`]. `old` is the key that [`RestingRefresh::old`] names.
    ///
    /// # Errors
    /// [`CeremonyError`] if the message is wrong.
    pub fn keys(
        self,
        old: &ServerKey,
        keys: RefreshKeys,
        now: UnixSeconds,
    ) -> Result<(RestingRefreshKeys, RefreshKeyed), CeremonyError> {
        let mut resting = RestingRefreshKeys { before: self, keys, at: now, answer: [0; 32] };
        let (_, keyed) = resting.stage(old)?;
        resting.answer = answered(&Zeroizing::new(codec::encode(&keyed)));
        Ok((resting, keyed))
    }
}

impl RestingRefreshKeys {
    /// Key, epoch and device of the old shares.
    #[must_use]
    pub const fn old(&self) -> &KeyContext {
        &self.before.old
    }

    fn stage(&self, old: &ServerKey) -> Result<(ServerConfirming, RefreshKeyed), CeremonyError> {
        let before = self.before.again()?;
        let rng = &mut Draws::new(&self.before.seed, SECOND, &message(&self.keys), self.at);
        before.keys(old, &self.keys, self.at, rng)
    }

    /// The ceremony at its last stage. `old` is the key that [`RestingRefreshKeys::old`] names.
    ///
    /// # Errors
    /// [`CeremonyError::Own`] if it does not come out as it was.
    pub fn confirming(&self, old: &ServerKey) -> Result<ServerConfirming, CeremonyError> {
        let (stage, keyed) = self.stage(old).map_err(|_| CeremonyError::Own)?;
        same(&self.answer, &Zeroizing::new(codec::encode(&keyed))).map(|()| stage)
    }
}

/// A message of the phone as it enters the draws.
fn message<T: Encode<()>>(message: &T) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(codec::encode(message))
}

fn answered(bytes: &[u8]) -> [u8; 32] {
    Hasher::new(Domain::CeremonyAnswer).field(bytes).finish()
}

fn opened(ceremony: CeremonyId, commitment: &[u8; 32]) -> [u8; 32] {
    Hasher::new(Domain::CeremonyAnswer).field(ceremony.as_bytes()).field(commitment).finish()
}

fn same(answer: &[u8; 32], bytes: &[u8]) -> Result<(), CeremonyError> {
    if answered(bytes) == *answer { Ok(()) } else { Err(CeremonyError::Own) }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;
    use crate::{
        ids::{DeviceId, Epoch, KeyId},
        suite::SuiteId,
    };

    fn drawn(seed: u8, round: u64, answers: &[u8], at: u64) -> [u8; 80] {
        let mut bytes = [0; 80];
        let seed = WireSecret(SecretBytes::new([seed; 32]));
        Draws::new(&seed, round, answers, UnixSeconds(at)).fill(&mut bytes);
        bytes
    }

    #[test]
    fn what_a_round_draws_follows_from_all_that_it_answers() {
        let one = drawn(1, SECOND, b"keys", 7);
        assert_eq!(one, drawn(1, SECOND, b"keys", 7));
        assert_ne!(one[..32], one[32..64]);
        for other in [
            drawn(2, SECOND, b"keys", 7),
            drawn(1, FIRST, b"keys", 7),
            drawn(1, SECOND, b"keyt", 7),
            drawn(1, SECOND, b"keys", 8),
        ] {
            assert_ne!(one[..32], other[..32]);
            assert_ne!(one[48..], other[48..]);
        }
    }

    #[test]
    fn a_ceremony_that_does_not_come_out_as_it_was_is_the_servers_fault() {
        let context = KeyContext {
            suite: SuiteId::Es256,
            key: KeyId::from_bytes([1; 16]),
            epoch: Epoch(0),
            device: DeviceId::from_bytes([2; 16]),
        };
        let rng = &mut StdRng::seed_from_u64(3);
        let (key, public_key) = (DevicePublicKeyBytes([3; 33]), GroupPublicKey([2; 33]));
        let (resting, id, commitment) = RestingRefresh::start(&context, key, public_key, UnixSeconds(9), rng);
        let bytes = resting.to_bytes();
        let mut again = RestingRefresh::from_bytes(&bytes).unwrap();
        assert_eq!((again.stage().1, again.stage().2), (id, commitment));
        again.again().unwrap();
        again.started = UnixSeconds(10);
        assert_eq!(again.again().unwrap_err(), CeremonyError::Own);
        assert!(RestingRefreshKeys::from_bytes(&bytes).is_err(), "another stage");
        assert!(RestingEnrolment::from_bytes(&bytes).is_err(), "another ceremony");
    }
}
