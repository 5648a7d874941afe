//! A device's key at its four stations: fresh, masked, unlocked, and as a gate key on the server.

use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use zeroize::Zeroizing;

use super::{PinCost, PinMask, Salt};
use crate::{
    domain::{Domain, Hasher, Macer},
    secret::{Secret, SecretBytes},
    suite::{DevicePart, DeviceShare, GroupPublicKey, KeyContext, MaskedShare},
};

/// The key through which the server tells a right PIN from a wrong one: a hash of what only the right PIN unmasks.
/// The server keeps it wrapped like a share.
#[derive(Debug)]
pub struct GateKey(SecretBytes<32>);

impl GateKey {
    /// The gate key with these bytes.
    #[must_use]
    pub const fn new(bytes: SecretBytes<32>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be sent at enrolment or wrapped.
    #[must_use]
    pub const fn expose(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// A MAC under this key, to be given its fields: [`Domain::GateApprove`], [`Domain::GateConfirm`] or
    /// [`Domain::GateProof`].
    #[must_use]
    pub fn mac(&self, domain: Domain) -> Macer {
        Macer::new(&self.0, domain)
    }

    fn derive(
        context: &KeyContext,
        public_key: &GroupPublicKey,
        share: &DeviceShare,
        seed: &SecretBytes<32>,
    ) -> Self {
        let hash = Hasher::new(Domain::GateKey)
            .number(context.suite.number().into())
            .field(context.key.as_bytes())
            .number(context.epoch.0.into())
            .field(context.device.as_bytes())
            .field(&public_key.0)
            .field(share.0.expose())
            .field(seed.expose());
        Self(Secret::new(hash.finish()))
    }
}

/// A device's key that no PIN has masked yet: what a ceremony gives.
pub struct FreshKey {
    context: KeyContext,
    public_key: GroupPublicKey,
    share: DeviceShare,
    seed: SecretBytes<32>,
}

impl FreshKey {
    /// A key as a ceremony made it: `share` has never been masked, `seed` is fresh.
    #[must_use]
    pub const fn new(
        context: KeyContext,
        public_key: GroupPublicKey,
        share: DeviceShare,
        seed: SecretBytes<32>,
    ) -> Self {
        Self { context, public_key, share, seed }
    }

    /// Which key this is.
    #[must_use]
    pub const fn context(&self) -> &KeyContext {
        &self.context
    }

    /// Its group public key.
    #[must_use]
    pub const fn public_key(&self) -> &GroupPublicKey {
        &self.public_key
    }

    /// Its gate key.
    #[must_use]
    pub fn gate_key(&self) -> GateKey {
        GateKey::derive(&self.context, &self.public_key, &self.share, &self.seed)
    }

    /// Its share and seed, for the signature that completes the ceremony.
    pub(crate) const fn part(&self) -> DevicePart<'_> {
        DevicePart { share: &self.share, seed: &self.seed }
    }
}

/// A device's key as the phone stores it: share and seed under the mask of a PIN.
///
/// Its CBOR form carries a checksum against bit rot, over the masked bytes; damage is a decoding error. The checksum
/// says nothing about the PIN.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskedKey {
    context: KeyContext,
    public_key: GroupPublicKey,
    share: MaskedShare,
    seed: [u8; 32],
    salt: Salt,
    cost: PinCost,
}

impl MaskedKey {
    /// Masks `fresh`, which is gone afterwards, and gives the gate key for the server. `mask` must come from a PIN
    /// stretched with `salt` and `cost`, and from the context of `fresh`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a share is masked exactly once, a mask is used once")]
    pub fn new(fresh: FreshKey, mask: PinMask, salt: Salt, cost: PinCost) -> (Self, GateKey) {
        let gate = fresh.gate_key();
        let share = fresh.context.suite.get().mask(&fresh.share, &mask.share);
        let seed = *xor(fresh.seed.expose(), mask.seed.expose());
        let (context, public_key) = (fresh.context, fresh.public_key);
        (Self { context, public_key, share, seed, salt, cost }, gate)
    }

    /// Which key this is.
    #[must_use]
    pub const fn context(&self) -> &KeyContext {
        &self.context
    }

    /// Its group public key.
    #[must_use]
    pub const fn public_key(&self) -> &GroupPublicKey {
        &self.public_key
    }

    /// Salt of its PIN.
    #[must_use]
    pub const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Cost of stretching its PIN.
    #[must_use]
    pub const fn cost(&self) -> PinCost {
        self.cost
    }

    /// Takes the mask off. Never fails and takes no branch on the PIN: whether it was the right one, only the server
    /// can tell.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a mask is used once")]
    pub fn unmask(&self, mask: PinMask) -> UnlockedKey {
        UnlockedKey {
            context: self.context,
            public_key: self.public_key,
            share: self.context.suite.get().unmask(&self.share, &mask.share),
            seed: Secret::new(*xor(&self.seed, mask.seed.expose())),
        }
    }

    fn checksum(&self) -> [u8; 8] {
        let digest = Hasher::new(Domain::MaskedChecksum)
            .number(self.context.suite.number().into())
            .field(self.context.key.as_bytes())
            .number(self.context.epoch.0.into())
            .field(self.context.device.as_bytes())
            .field(&self.public_key.0)
            .field(&self.share.0)
            .field(&self.seed)
            .field(&self.salt.0)
            .number(self.cost.memory_kib().into())
            .number(self.cost.passes().into())
            .finish();
        let mut sum = [0; 8];
        sum.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        sum
    }
}

/// Shows what is public.
impl fmt::Debug for MaskedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskedKey")
            .field("context", &self.context)
            .field("public_key", &self.public_key)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// The stored form.
#[derive(Encode, Decode)]
struct Image {
    #[n(0)]
    context: KeyContext,
    #[n(1)]
    public_key: GroupPublicKey,
    #[n(2)]
    share: MaskedShare,
    #[cbor(n(3), with = "minicbor::bytes")]
    seed: [u8; 32],
    #[n(4)]
    salt: Salt,
    #[n(5)]
    cost: PinCost,
    #[cbor(n(6), with = "minicbor::bytes")]
    checksum: [u8; 8],
}

impl<C> Encode<C> for MaskedKey {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
        let Self { context, public_key, share, seed, salt, cost } = *self;
        Image { context, public_key, share, seed, salt, cost, checksum: self.checksum() }.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for MaskedKey {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        let Image { context, public_key, share, seed, salt, cost, checksum } = Image::decode(d, ctx)?;
        let key = Self { context, public_key, share, seed, salt, cost };
        if key.checksum() == checksum { Ok(key) } else { Err(DecodeError::message("masked key is damaged")) }
    }
}

/// A device's key with the mask off: in memory, between the PIN and its use. There is no way to mask it again.
pub struct UnlockedKey {
    context: KeyContext,
    public_key: GroupPublicKey,
    share: DeviceShare,
    seed: SecretBytes<32>,
}

impl UnlockedKey {
    /// Which key this is.
    #[must_use]
    pub const fn context(&self) -> &KeyContext {
        &self.context
    }

    /// Its group public key.
    #[must_use]
    pub const fn public_key(&self) -> &GroupPublicKey {
        &self.public_key
    }

    /// The gate key that goes with the PIN given. The server's is the same if the PIN was right.
    #[must_use]
    pub fn gate_key(&self) -> GateKey {
        GateKey::derive(&self.context, &self.public_key, &self.share, &self.seed)
    }

    /// The share moved by `offset`, in the next epoch, with a new `seed`: a new share, which may be masked. `offset` is
    /// tossed by both parties; nobody keeps it.
    #[must_use]
    pub fn offset(self, offset: &SecretBytes<64>, seed: SecretBytes<32>) -> FreshKey {
        let share = self.context.suite.get().offset_device_share(&self.share, offset);
        let context = KeyContext { epoch: self.context.epoch.next(), ..self.context };
        FreshKey { context, public_key: self.public_key, share, seed }
    }

    /// Share and seed, for one contribution.
    pub(crate) const fn part(&self) -> DevicePart<'_> {
        DevicePart { share: &self.share, seed: &self.seed }
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

redacted! { FreshKey UnlockedKey }

fn xor(one: &[u8; 32], other: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new(*one);
    out.iter_mut().zip(other).for_each(|(to, with)| *to ^= with);
    out
}
