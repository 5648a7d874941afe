//! The server's own keys: issuer of credentials, of status lists and of credentials of businesses, signer of answers,
//! certification authority, signer of deliveries to webhooks, signer of the audit log's checkpoints, secrets of device tokens, of online use (hashes of short codes, salts of disclosures) and of names told to relying parties. Each is
//! made once and wrapped; the issuer's and that of webhooks are followed by others.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use p256::ecdsa::{SigningKey, VerifyingKey};
use rand::Rng as _;
use signer_core::{
    audit::CheckpointKey,
    credential::{DocumentType, IssuerKey, IssuerKeys},
    secret::SecretBytes,
    time::UnixSeconds,
    trust::{IssuerId, KeyUse, Life, TrustedKey},
};

use super::{
    ServiceError, ServiceResult,
    own_key::{OwnKey, location},
};
use crate::{
    hsm::Token,
    ports::Random,
    store::{IssuerKeyRow, ServerKeyRow, Store},
    wrap::Wrapping,
};

/// Name of the authority's key in the store.
const AUTHORITY: &str = "authority";
/// Life of a key, seconds: about two years.
const KEY_SECONDS: u64 = 2 * 366 * 86_400;
/// Life of the answer key, which no other follows, seconds: about twenty years.
const ANSWER_KEY_SECONDS: u64 = 20 * 366 * 86_400;
/// How long before the end of a key in use each start warns, seconds.
const WARN_SECONDS: u64 = 60 * 86_400;

/// What the keys are for that do not stay. These follow one another; the others are for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Credentials.
    Issuer,
    /// Status lists.
    List,
    /// Credentials of businesses.
    Business,
    /// Deliveries to webhooks. Not in trust lists.
    Webhook,
}

impl KeyPurpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Issuer, Self::List, Self::Business, Self::Webhook];

    /// Its name in the store and in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::List => "list",
            Self::Business => "business",
            Self::Webhook => "webhook",
        }
    }

    /// What a trust list says of its keys, if it lists them.
    #[must_use]
    pub const fn key_use(self) -> Option<KeyUse> {
        match self {
            Self::Issuer => Some(KeyUse::Credentials),
            Self::List => Some(KeyUse::StatusLists),
            Self::Business => Some(KeyUse::Businesses),
            Self::Webhook => None,
        }
    }

    /// Name of the key with this number, from 1.
    fn row(self, number: u32) -> String {
        if number == 1 { self.name().into() } else { format!("{}.{number}", self.name()) }
    }
}

impl std::str::FromStr for KeyPurpose {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == text).ok_or(())
    }
}

/// One of the keys that follow one another.
#[derive(Clone)]
struct Numbered {
    number: u32,
    key: OwnKey,
    created: UnixSeconds,
    /// None of the first key, which was in use from the start, and of one that waits.
    activated: Option<UnixSeconds>,
    /// Since when the trust list given out names it, while it waits.
    listed: Option<UnixSeconds>,
}

/// A key that waits to be put to use.
pub(super) struct Waiting {
    /// Its public half.
    pub(super) key: VerifyingKey,
    /// When it was made.
    pub(super) made: UnixSeconds,
    /// Since when the trust list given out names it.
    pub(super) listed: Option<UnixSeconds>,
}

/// The keys of every purpose, by number.
struct Series {
    keys: [Vec<Numbered>; KeyPurpose::ALL.len()],
    issuer_keys: Arc<IssuerKeys>,
}

/// The server's own keys, in memory.
pub struct ServerKeys {
    pub(super) answer: SigningKey,
    pub(super) authority: OwnKey,
    pub(super) device_token: SecretBytes<32>,
    pub(super) online: SecretBytes<32>,
    pub(super) names: SecretBytes<32>,
    audit: SecretBytes<32>,
    answer_made: UnixSeconds,
    issuer: IssuerId,
    series: RwLock<Series>,
}

impl std::fmt::Debug for ServerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKeys(redacted)")
    }
}

impl ServerKeys {
    /// Loads the keys, or makes those that are missing. `issuer` is this server's number in trust lists.
    ///
    /// # Errors
    /// [`ServiceError`] if the store or the wrapping fails.
    pub async fn load_or_make(
        store: &dyn Store,
        wrapping: &Wrapping,
        random: &dyn Random,
        issuer: IssuerId,
        now: UnixSeconds,
    ) -> ServiceResult<Self> {
        for purpose in KeyPurpose::ALL {
            own_key(store, wrapping, random, purpose.name(), now).await?;
        }
        let (answer, answer_made) = answer_key(store, wrapping, random, now).await?;
        let authority = own_key(store, wrapping, random, AUTHORITY, now).await?;
        let (device_token, _) =
            secret(store, wrapping, random, "device-token", now, |_| Some(Vec::new())).await?;
        let (online, _) = secret(store, wrapping, random, "online", now, |_| Some(Vec::new())).await?;
        let (names, _) = secret(store, wrapping, random, "names", now, |_| Some(Vec::new())).await?;
        let (audit, _) = secret(store, wrapping, random, "audit", now, |_| Some(Vec::new())).await?;
        let series = Series::load(store, wrapping, issuer).await?;
        for purpose in KeyPurpose::ALL {
            let end = in_use(series.of(purpose)).map(|key| key.created.plus(KEY_SECONDS));
            if end.is_none_or(|end| end <= now.plus(WARN_SECONDS)) {
                tracing::warn!(
                    purpose = purpose.name(),
                    "THE KEY IN USE ENDS SOON: `signer-server keys rotate`"
                );
            }
        }
        let series = RwLock::new(series);
        Ok(Self { answer, authority, device_token, online, names, audit, answer_made, issuer, series })
    }

    /// Public keys of the issuer, for every credential that may still live.
    #[must_use]
    pub fn issuer_keys(&self) -> Arc<IssuerKeys> {
        Arc::clone(&self.read().issuer_keys)
    }

    /// The key that signs checkpoints of the audit log of this name.
    pub(super) fn checkpoints(&self, log: &str) -> ServiceResult<CheckpointKey> {
        CheckpointKey::new(log, &self.audit).map_err(|_| ServiceError::Bug("the name of the audit log"))
    }

    /// Public key that verifies time and answers, SEC1 compressed.
    #[must_use]
    pub fn answer_key(&self) -> Vec<u8> {
        compressed(&self.answer)
    }

    /// The key in use.
    pub(super) fn in_use(&self, purpose: KeyPurpose) -> ServiceResult<OwnKey> {
        let series = self.read();
        let found = in_use(series.of(purpose)).map(|numbered| numbered.key.clone());
        found.ok_or(ServiceError::Bug("a purpose without a key"))
    }

    /// The key that waits to be put to use.
    pub(super) fn next(&self, purpose: KeyPurpose) -> Option<Waiting> {
        let series = self.read();
        let used = in_use(series.of(purpose))?.number;
        let next = series.of(purpose).iter().find(|key| key.number > used);
        next.map(|key| Waiting { key: *key.key.verifying_key(), made: key.created, listed: key.listed })
    }

    /// Public keys that may be met now: in use, waiting, or followed by another within the hour.
    pub(super) fn living(&self, purpose: KeyPurpose, now: UnixSeconds) -> Vec<VerifyingKey> {
        let series = self.read();
        let used = in_use(series.of(purpose)).map(|key| key.number);
        let living = lives(series.of(purpose)).filter(|(key, _, end)| *end > now || Some(key.number) == used);
        living.map(|(numbered, _, _)| *numbered.key.verifying_key()).collect()
    }

    /// Notes whether the trust list given out names the key that waits.
    pub(super) async fn note_listed(
        &self,
        store: &dyn Store,
        wrapping: &Wrapping,
        purpose: KeyPurpose,
        listed: bool,
        now: UnixSeconds,
    ) -> ServiceResult<()> {
        let used = in_use(self.read().of(purpose)).map_or(0, |key| key.number);
        store.note_listed(purpose.row(used.saturating_add(1)), listed, now).await?;
        self.reload(store, wrapping).await.map(|_| ())
    }

    /// Makes the key that is to follow the one in use, if none waits.
    pub(super) async fn make_next(
        &self,
        store: &dyn Store,
        wrapping: &Wrapping,
        random: &dyn Random,
        purpose: KeyPurpose,
        now: UnixSeconds,
    ) -> ServiceResult<()> {
        let used = in_use(self.read().of(purpose)).map_or(0, |key| key.number);
        own_key(store, wrapping, random, &purpose.row(used.saturating_add(1)), now).await?;
        self.reload(store, wrapping).await.map(|_| ())
    }

    /// Puts the key that waits to use. False if none does.
    pub(super) async fn activate(
        &self,
        store: &dyn Store,
        wrapping: &Wrapping,
        purpose: KeyPurpose,
        now: UnixSeconds,
    ) -> ServiceResult<bool> {
        let used = in_use(self.read().of(purpose)).map_or(0, |key| key.number);
        let done = store.activate_server_key(purpose.row(used.saturating_add(1)), now).await?;
        self.reload(store, wrapping).await?;
        Ok(done)
    }

    /// What a trust list says of these keys: those in use, those that wait, and those whose work may still be shown.
    pub(super) fn listed(&self, now: UnixSeconds) -> Vec<TrustedKey> {
        let answer = TrustedKey {
            issuer: self.issuer,
            key_use: KeyUse::Answers,
            key: *self.answer.verifying_key(),
            document_types: Vec::new(),
            not_before: self.answer_made.hour(),
            not_after: self.answer_made.plus(ANSWER_KEY_SECONDS),
        };
        let mut all = vec![answer];
        for purpose in KeyPurpose::ALL {
            let Some(key_use) = purpose.key_use() else { continue };
            all.extend(
                lives(self.read().of(purpose))
                    .filter(|(_, _, end)| end.plus(Life::Emergency.seconds()) > now)
                    .map(|(numbered, start, end)| TrustedKey {
                        issuer: self.issuer,
                        key_use,
                        key: *numbered.key.verifying_key(),
                        document_types: if purpose == KeyPurpose::Issuer {
                            document_types()
                        } else {
                            Vec::new()
                        },
                        not_before: start,
                        not_after: end,
                    }),
            );
        }
        all
    }

    /// Reads the keys anew. Whether another is in use now.
    pub(super) async fn reload(&self, store: &dyn Store, wrapping: &Wrapping) -> ServiceResult<bool> {
        let numbers =
            |series: &Series| KeyPurpose::ALL.map(|purpose| in_use(series.of(purpose)).map(|key| key.number));
        let read = Series::load(store, wrapping, self.issuer).await?;
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let changed = numbers(&series) != numbers(&read);
        *series = read;
        Ok(changed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Series> {
        self.series.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Series {
    async fn load(store: &dyn Store, wrapping: &Wrapping, issuer: IssuerId) -> ServiceResult<Self> {
        let mut keys: [Vec<Numbered>; KeyPurpose::ALL.len()] = Default::default();
        for (place, purpose) in keys.iter_mut().zip(KeyPurpose::ALL) {
            for IssuerKeyRow { key: row, activated, listed } in
                store.server_keys(purpose.name().into()).await?
            {
                let number = row.purpose.rsplit_once('.').map_or(Ok(1), |(_, number)| number.parse());
                let number = number.map_err(|_| ServiceError::Bug("stored name of a server key"))?;
                let key = OwnKey::unwrap(wrapping, &row).await?;
                place.push(Numbered { number, key, created: row.created, activated, listed });
            }
            place.sort_by_key(|numbered| numbered.number);
        }
        let [issuers, ..] = &keys;
        let issuer_keys = lives(issuers).map(|(numbered, not_before, not_after)| IssuerKey {
            issuer,
            key: *numbered.key.verifying_key(),
            document_types: DocumentType::ALL.to_vec(),
            not_before,
            not_after,
        });
        let issuer_keys = Arc::new(IssuerKeys::new(issuer_keys.collect()));
        Ok(Self { keys, issuer_keys })
    }

    fn of(&self, purpose: KeyPurpose) -> &[Numbered] {
        let all = KeyPurpose::ALL.iter().zip(&self.keys);
        all.filter(|(found, _)| **found == purpose)
            .map(|(_, keys)| keys.as_slice())
            .next()
            .unwrap_or_default()
    }
}

/// The last one that was put to use; the first where none was.
fn in_use(keys: &[Numbered]) -> Option<&Numbered> {
    keys.iter().rev().find(|key| key.activated.is_some()).or_else(|| keys.first())
}

/// Each key with the time it signs in: from when it was made, so that it can be listed before it signs, until the next one
/// came into use. The last credential before that may be dated with the hour it happened in.
fn lives(keys: &[Numbered]) -> impl Iterator<Item = (&Numbered, UnixSeconds, UnixSeconds)> {
    keys.iter().map(|key| {
        let follower = keys.iter().find(|other| other.number > key.number).and_then(|next| next.activated);
        let end = follower.map(|at| at.hour().plus(3_600));
        let natural = key.created.plus(KEY_SECONDS);
        (key, key.created.hour(), end.map_or(natural, |end| end.min(natural)))
    })
}

fn document_types() -> Vec<u32> {
    DocumentType::ALL.iter().map(|kind| kind.number().into()).collect()
}

fn compressed(key: &SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(true).as_bytes().to_vec()
}

fn parse(secret: &[u8]) -> Option<SigningKey> {
    SigningKey::from_slice(secret).ok()
}

/// The token, if a key for this purpose is made in it. Each delivery to a webhook is signed: too often for some tokens.
fn in_token<'a>(wrapping: &'a Wrapping, purpose: &str) -> Option<&'a Token> {
    wrapping.token().filter(|_| !purpose.starts_with(KeyPurpose::Webhook.name()))
}

/// The key of a row with this name, stored or drawn: in the token, if there is one.
async fn own_key(
    store: &dyn Store,
    wrapping: &Wrapping,
    random: &dyn Random,
    purpose: &str,
    now: UnixSeconds,
) -> ServiceResult<OwnKey> {
    let rows = store.server_keys(purpose.into()).await?;
    if let Some(row) = rows.iter().find(|row| row.key.purpose == purpose) {
        let key = OwnKey::unwrap(wrapping, &row.key).await?;
        if matches!(key, OwnKey::Memory(_)) && in_token(wrapping, purpose).is_some() {
            tracing::warn!(purpose, "this key was made before there was a token, and is not in it");
        }
        return Ok(key);
    }
    let (key, stored) = OwnKey::draw(in_token(wrapping, purpose), purpose, random).await?;
    let wrapped = match wrapping.wrap_secret(&location(purpose), &stored).await {
        Ok(wrapped) => wrapped,
        Err(error) => {
            key.discard(purpose).await;
            return Err(error.into());
        }
    };
    let offer = ServerKeyRow { purpose: purpose.into(), public_key: key.point(), wrapped, created: now };
    let row = store.server_key(offer, now).await?;
    if row.public_key != key.point() {
        // Another node was first.
        key.discard(purpose).await;
    }
    OwnKey::unwrap(wrapping, &row).await
}

/// The key that signs answers, always in memory: it signs each of them.
async fn answer_key(
    store: &dyn Store,
    wrapping: &Wrapping,
    random: &dyn Random,
    now: UnixSeconds,
) -> ServiceResult<(SigningKey, UnixSeconds)> {
    let public = |secret: &[u8]| parse(secret).map(|key| compressed(&key));
    let (secret, made) = secret(store, wrapping, random, "answer", now, public).await?;
    parse(secret.expose()).map(|key| (key, made)).ok_or(ServiceError::Bug("stored signing key"))
}

/// A secret of 32 bytes for which `public` gives a public half (empty for symmetric keys), stored or drawn.
async fn secret(
    store: &dyn Store,
    wrapping: &Wrapping,
    random: &dyn Random,
    purpose: &str,
    now: UnixSeconds,
    public: impl Fn(&[u8]) -> Option<Vec<u8>> + Send,
) -> ServiceResult<(SecretBytes<32>, UnixSeconds)> {
    let mut drawn = SecretBytes::new([0; 32]);
    // A P-256 scalar is out of range with probability 2^-32; draw again.
    let public_key = loop {
        random.rng().fill_bytes(drawn.expose_mut());
        if let Some(public_key) = public(drawn.expose()) {
            break public_key;
        }
    };
    let wrapped = wrapping.wrap_secret(&location(purpose), drawn.expose()).await?;
    let offer = ServerKeyRow { purpose: purpose.into(), public_key, wrapped, created: now };
    let row = store.server_key(offer, now).await?;
    Ok((unwrapped(wrapping, &row, public).await?, row.created))
}

async fn unwrapped(
    wrapping: &Wrapping,
    row: &ServerKeyRow,
    public: impl Fn(&[u8]) -> Option<Vec<u8>> + Send,
) -> ServiceResult<SecretBytes<32>> {
    let bytes = wrapping.unwrap_secret(&location(&row.purpose), &row.wrapped).await?;
    let secret = SecretBytes::from_slice(&bytes).ok_or(ServiceError::Bug("stored server key"))?;
    if public(secret.expose()).as_ref() != Some(&row.public_key) {
        return Err(ServiceError::Bug("stored server key does not match its public half"));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(activated: &[Option<u64>]) -> Vec<Numbered> {
        let key = OwnKey::Memory(SigningKey::from_slice(&[7; 32]).unwrap());
        let numbered = |(number, activated): (u32, &Option<u64>)| Numbered {
            number,
            key: key.clone(),
            created: UnixSeconds(3_600 * 100 + 5),
            activated: activated.map(UnixSeconds),
            listed: None,
        };
        (1..).zip(activated).map(numbered).collect()
    }

    #[test]
    fn reg_033_a_key_that_was_followed_signs_nothing_later() {
        for (activated, number) in
            [(&[None][..], 1), (&[None, None], 1), (&[None, Some(500_000)], 2), (&[None, Some(1), None], 2)]
        {
            assert_eq!(in_use(&keys(activated)).unwrap().number, number);
        }
        let keys = keys(&[None, Some(500_000), None]);
        let ends: Vec<_> = lives(&keys).map(|(_, start, end)| (start.0, end.0)).collect();
        let natural = 360_005 + KEY_SECONDS;
        assert_eq!(ends, [(360_000, 496_800 + 3_600), (360_000, natural), (360_000, natural)]);
    }
}
