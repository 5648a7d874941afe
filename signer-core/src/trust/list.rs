//! The content of a trust list, with the rules that make it one.

use alloc::{collections::BTreeSet, vec::Vec};

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::VerifyingKey;

use super::{
    ROOTS_MAX, TRUST_LIST_OLD_SECONDS,
    entry::{Issuer, IssuerId, KeyUse, Life, TrustedKey, compressed, decode_point},
};
use crate::{
    credential::{IssuerKey, IssuerKeys, Kid},
    time::UnixSeconds,
};

/// Numbers and times stay exact in the numbers of JavaScript.
const NUMBER_END: u64 = 1 << 53;

/// The content of a trust list: in order, without repetition, each key with one issuer and one use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustList {
    pub(super) number: u64,
    pub(super) issued: UnixSeconds,
    pub(super) life: Life,
    pub(super) issuers: Vec<Issuer>,
    pub(super) keys: Vec<TrustedKey>,
    pub(super) roots: Vec<VerifyingKey>,
}

/// Why entries do not make a trust list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustListFault {
    /// A number or a time of 2⁵³ or more.
    #[error("a number or a time is out of range")]
    Number,
    /// Two issuers with one number or one address, or the number 0.
    #[error("issuers have distinct numbers from 1 on and distinct addresses of their status lists")]
    Issuers,
    /// A key twice (also under another issuer or use), or a root among the keys.
    #[error("each key stands once: one issuer, one use, and not a root")]
    Repeated,
    /// A key of nobody, without kinds of document where they are needed or with them elsewhere, or valid never.
    #[error(
        "a key names a listed issuer, kinds of document only for credentials, and a time that is not empty"
    )]
    Key,
    /// No root, too many, or one twice.
    #[error("a list names one to eight roots, each once")]
    Roots,
}

impl TrustList {
    /// The list of these entries, put in order.
    ///
    /// # Errors
    /// [`TrustListFault`], the rule that is broken.
    pub fn new(
        number: u64,
        issued: UnixSeconds,
        life: Life,
        mut issuers: Vec<Issuer>,
        mut keys: Vec<TrustedKey>,
        mut roots: Vec<VerifyingKey>,
    ) -> Result<Self, TrustListFault> {
        issuers.sort_by_key(|issuer| issuer.id);
        keys.iter_mut().for_each(|key| key.document_types.sort_unstable());
        keys.sort_by_cached_key(TrustedKey::point);
        roots.sort_by_cached_key(compressed);
        let list = Self { number, issued, life, issuers, keys, roots };
        list.check().map(|()| list)
    }

    fn check(&self) -> Result<(), TrustListFault> {
        let times = self.keys.iter().flat_map(|key| [key.not_before.0, key.not_after.0]);
        if times.chain([self.number, self.issued.0]).any(|number| number >= NUMBER_END) {
            return Err(TrustListFault::Number);
        }
        let (mut ids, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        let mut all = self.issuers.iter();
        if !all.all(|one| one.id.0 != 0 && ids.insert(one.id) && addresses.insert(&one.status_uri)) {
            return Err(TrustListFault::Issuers);
        }
        let mut points: BTreeSet<_> = self.roots.iter().map(compressed).collect();
        if self.roots.is_empty() || self.roots.len() > ROOTS_MAX || points.len() != self.roots.len() {
            return Err(TrustListFault::Roots);
        }
        if !self.keys.iter().all(|key| points.insert(key.point())) {
            return Err(TrustListFault::Repeated);
        }
        let sound = |key: &TrustedKey| {
            let types = &key.document_types;
            ids.contains(&key.issuer)
                && key.not_before < key.not_after
                && types.is_empty() == (key.key_use != KeyUse::Credentials)
                && types.is_sorted_by(|one, next| one < next)
        };
        if self.keys.iter().all(sound) { Ok(()) } else { Err(TrustListFault::Key) }
    }

    /// Its number; a newer list has a higher one.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When the root signed it. Raises a verifier's clock floor.
    #[must_use]
    pub const fn issued(&self) -> UnixSeconds {
        self.issued
    }

    /// How long credentials are accepted.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.life
    }

    /// The issuers, by number.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// The issuer with this number.
    #[must_use]
    pub fn issuer(&self, id: IssuerId) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.id == id)
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// The keys of one use.
    pub fn keys_for(&self, key_use: KeyUse) -> impl Iterator<Item = &TrustedKey> {
        self.keys.iter().filter(move |key| key.key_use == key_use)
    }

    /// The keys of one use that `kid` may mean.
    pub(crate) fn matching(&self, key_use: KeyUse, kid: Kid) -> impl Iterator<Item = &TrustedKey> {
        self.keys_for(key_use).filter(move |key| key.kid() == kid)
    }

    /// The keys that may sign the next list.
    #[must_use]
    pub fn roots(&self) -> &[VerifyingKey] {
        &self.roots
    }

    /// Whether at `now` it is seven days old.
    #[must_use]
    pub fn is_old(&self, now: UnixSeconds) -> bool {
        now >= self.issued.plus(TRUST_LIST_OLD_SECONDS)
    }

    /// The keys for credentials, as [`verify`](crate::credential::verify) takes them.
    #[must_use]
    pub fn issuer_keys(&self) -> IssuerKeys {
        let keys = self.keys_for(KeyUse::Credentials).map(|key| IssuerKey {
            issuer: key.issuer,
            key: key.key,
            document_types: key.known_types(),
            not_before: key.not_before,
            not_after: key.not_after,
        });
        IssuerKeys::new(keys.collect())
    }
}

struct Roots(Vec<VerifyingKey>);

impl Encode<()> for TrustList {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.map(6)?.u8(1)?.u64(self.number)?;
        e.u8(2)?.u64(self.issued.0)?;
        e.u8(3)?.u64(self.life.seconds())?;
        e.u8(4)?.encode_with(&self.issuers, ctx)?;
        e.u8(5)?.encode_with(&self.keys, ctx)?;
        e.u8(6)?.array(u64::try_from(self.roots.len()).unwrap_or_default())?;
        self.roots.iter().try_for_each(|root| e.bytes(&compressed(root))?.ok())
    }
}

impl<'b> Decode<'b, ()> for TrustList {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.map()? != Some(6) {
            return Err(DecodeError::message("a trust list has six entries"));
        }
        entry(d, 1)?;
        let number = d.u64()?;
        entry(d, 2)?;
        let issued = UnixSeconds(d.u64()?);
        entry(d, 3)?;
        let life = Life::from_seconds(d.u64()?).ok_or_else(|| DecodeError::message("unknown life"))?;
        entry(d, 4)?;
        let issuers = Vec::decode(d, ctx)?;
        entry(d, 5)?;
        let keys = Vec::decode(d, ctx)?;
        entry(d, 6)?;
        let Roots(roots) = Roots::decode(d, ctx)?;
        Self::new(number, issued, life, issuers, keys, roots)
            .map_err(|_| DecodeError::message("the entries break a rule of the list"))
    }
}

impl<'b> Decode<'b, ()> for Roots {
    fn decode(d: &mut Decoder<'b>, _: &mut ()) -> Result<Self, DecodeError> {
        let count = d.array()?.ok_or_else(|| DecodeError::message("indefinite length"))?;
        (0..count).map(|_| decode_point(d)).collect::<Result<_, _>>().map(Self)
    }
}

fn entry(d: &mut Decoder<'_>, expected: u8) -> Result<(), DecodeError> {
    if d.u8()? == expected { Ok(()) } else { Err(DecodeError::message("unknown or misplaced entry")) }
}
