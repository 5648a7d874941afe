//! What wraps every secret of the store: the generations of the key-encryption key that this node holds. `spec/hsm.md`.
//!
//! | file | what |
//! |---|---|
//! | `file` | keys in files |
//! | `pkcs11` | keys in a token, and keys that a token wrapped |
//! | `page` | keys in memory, kept from the swap |

mod file;
mod page;
mod pkcs11;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use signer_core::{
    time::UnixSeconds,
    wrap::{self, Kek, KekId, Location, WrapError, Wrapped},
};
use zeroize::Zeroizing;

pub(crate) use self::file::write_private;
use self::{page::Locked, pkcs11::TokenKek};
use crate::{
    hsm::{Token, TokenError},
    ports::Random,
    store::{KekNode, KekRow, KekSource, KekState, Store, StoreError},
};

/// Why a key-encryption key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// The file cannot be read or written.
    #[error("key-encryption key {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not hold 32 bytes.
    #[error(
        "key-encryption key {0}: not 32 bytes; restore the right file, the store cannot be read without it"
    )]
    Form(PathBuf),
    /// The store has a generation whose file is not there: a new key would not open it.
    #[error(
        "key-encryption key {0}: missing, but the store exists; restore the file, or copy it from another node: the store cannot be read without it"
    )]
    Missing(PathBuf),
    /// A key is not the one that the store's secrets are wrapped under.
    #[error("key-encryption key, generation {0}: not the key of this store")]
    Other(u32),
    /// A file of this name is there, and it is not known what it is.
    #[error(
        "key-encryption key {0}: there already, and nobody knows whether it leaked; put it elsewhere (a backup may need it), then rotate again"
    )]
    Exists(PathBuf),
    /// The list is from before a rotation that this node took part in: somebody changed it, or the store is an earlier one.
    #[error(
        "key-encryption key: the store wraps under generation {current}, but this node was at {used} ({mark}); the store's list was changed, or the \
         store was restored to before a rotation. Only after a restore: delete {mark}, give the .retired files that the store needs \
         their names back, put the files of later generations elsewhere, start, and rotate at once"
    )]
    Behind {
        /// What the store says is current; 0 if nothing is.
        current: u32,
        /// What this node wrapped under.
        used: u32,
        /// Where that is written down.
        mark: PathBuf,
    },
    /// The list brings a generation back that this node saw retired: somebody changed it, or the store is an earlier one.
    #[error(
        "key-encryption key: the store's list needs a generation that was retired ({0} says so); the list was changed, or the \
         store was restored to before that. Only after a restore: delete that file, start, and rotate at once"
    )]
    Retired(PathBuf),
    /// The generation is in a token, and this server has none.
    #[error(
        "key-encryption key, generation {0}: it is in a token; set hsm.module, hsm.token and hsm.pin_file"
    )]
    NoToken(u32),
    /// The token.
    #[error("key-encryption key: {0}")]
    Token(#[from] TokenError),
    /// The key would be in memory that may be swapped to a disk.
    #[error("key-encryption key: its memory cannot be locked: {0}; raise LimitMEMLOCK (ulimit -l)")]
    Memory(region::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a secret could not be wrapped or unwrapped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// A wrong key or damaged bytes.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The token that has the key.
    #[error(transparent)]
    Token(TokenError),
}

impl From<TokenError> for SecretError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Altered => Self::Wrap(WrapError::Altered),
            error => Self::Token(error),
        }
    }
}

/// A key, where it is.
#[derive(Debug, Clone)]
enum Key {
    Memory(Arc<Locked<Kek>>),
    Token(TokenKek),
}

impl Key {
    fn memory(key: Kek) -> Result<Self, KekError> {
        Locked::new(key).map(|page| Self::Memory(Arc::new(page))).map_err(KekError::Memory)
    }

    fn id(&self) -> KekId {
        match self {
            Self::Memory(key) => key.id(),
            Self::Token(key) => key.id(),
        }
    }

    async fn wrap(
        &self,
        location: &Location<'_>,
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Wrapped, SecretError> {
        match self {
            Self::Memory(key) => Ok(wrap::wrap(key, location, secret, &mut *random.rng())?),
            Self::Token(key) => key.wrap(location, secret, random).await,
        }
    }

    async fn unwrap(
        &self,
        location: &Location<'_>,
        wrapped: &Wrapped,
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        match self {
            Self::Memory(key) => Ok(wrap::unwrap(key, location, wrapped)?),
            Self::Token(key) => key.unwrap(location, wrapped).await,
        }
    }
}

/// A generation that is held.
#[derive(Debug, Clone)]
struct Held {
    generation: u32,
    key: Key,
}

/// The generations that are held, and the one that is wrapped under.
#[derive(Debug, Clone, Default)]
struct Ring {
    held: Vec<Held>,
    wraps: u32,
}

impl Ring {
    fn key(&self, wanted: impl Fn(&Held) -> bool) -> Option<&Key> {
        self.held.iter().find(|held| wanted(held)).map(|held| &held.key)
    }

    fn has(&self) -> KekNode {
        let holds = self.held.iter().map(|held| held.generation).max().unwrap_or_default();
        KekNode { holds, wraps: self.wraps }
    }
}

/// Wraps and unwraps.
pub struct Wrapping {
    folder: PathBuf,
    /// Where the next key is made.
    source: KekSource,
    token: Option<Token>,
    random: Arc<dyn Random>,
    ring: RwLock<Arc<Ring>>,
    /// One look at a time: what an older look saw must not take the place of what a newer one saw.
    looks: tokio::sync::Mutex<()>,
    /// The prepared generation whose absence was said already.
    said: AtomicU32,
}

impl std::fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wrapping").field("has", &self.ring().has()).finish_non_exhaustive()
    }
}

impl Wrapping {
    /// Makes the first key in `folder`, before there is a store that needs it, if keys are in files.
    ///
    /// # Errors
    /// [`KekError::Io`].
    pub fn prepare(source: KekSource, folder: &Path, random: &dyn Random) -> Result<(), KekError> {
        if source == KekSource::File && file::make_first(folder, &mut *random.rng())? {
            tracing::warn!(
                path = %file::path(folder, 1).display(),
                "MADE A KEY-ENCRYPTION KEY IN A FILE. Whoever reads this file and the store has every server share. \
                 For trying out only: real deployments keep this key in an HSM."
            );
        }
        Ok(())
    }

    /// Takes up the keys of a store's generations, and tells the store which this node has. The next ones come from `source`.
    ///
    /// # Errors
    /// [`KekError`], if one of them cannot be used.
    pub async fn open(
        store: &dyn Store,
        folder: &Path,
        source: KekSource,
        token: Option<Token>,
        random: Arc<dyn Random>,
        now: UnixSeconds,
    ) -> Result<Self, KekError> {
        let wrapping = Self {
            folder: folder.to_owned(),
            source,
            token,
            random,
            ring: RwLock::default(),
            looks: tokio::sync::Mutex::default(),
            said: AtomicU32::new(0),
        };
        if store.keks().await?.is_empty() {
            let first = match source {
                KekSource::File => wrapping.row_of_file(1, now).await?,
                _ => wrapping.make(&[], 1, now).await?,
            };
            wrapping.add(store, first, now).await?;
        }
        wrapping.follow(store, now).await?;
        // Another may have been put to use before this node was counted.
        let rows = wrapping.follow(store, now).await?;
        if rows.iter().any(|row| row.state == KekState::Current && row.source != source) {
            tracing::warn!(
                "the key-encryption key in use is not where the configuration wants it: `signer-server kek rotate`"
            );
        }
        Ok(wrapping)
    }

    /// The token, if this server has one.
    #[must_use]
    pub(crate) const fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// What this node has.
    #[must_use]
    pub fn has(&self) -> KekNode {
        self.ring().has()
    }

    /// Wraps a secret for its place.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn wrap_secret(&self, location: &Location<'_>, secret: &[u8]) -> Result<Vec<u8>, SecretError> {
        let ring = self.ring();
        let key = ring.key(|held| held.generation == ring.wraps);
        let key = key.ok_or(WrapError::UnknownKek(KekId::from_bytes([0; 4])))?;
        Ok(key.wrap(location, secret, &*self.random).await?.as_bytes().to_vec())
    }

    /// Takes a secret back from its place.
    ///
    /// # Errors
    /// [`SecretError`].
    pub async fn unwrap_secret(
        &self,
        location: &Location<'_>,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let wrapped = Wrapped::from_bytes(wrapped.to_vec())?;
        let id = wrapped.kek_id().ok_or(WrapError::Malformed)?;
        let ring = self.ring();
        let key = ring.key(|held| held.key.id() == id).ok_or(WrapError::UnknownKek(id))?;
        key.unwrap(location, &wrapped).await
    }

    /// Makes the key of the next generation, and the store prepare it. False if one is being prepared.
    ///
    /// # Errors
    /// [`KekError::Exists`] if there is a file of that name; the others.
    pub async fn make_next(&self, store: &dyn Store, now: UnixSeconds) -> Result<bool, KekError> {
        let rows = store.keks().await?;
        if rows.iter().any(|row| row.state == KekState::Prepared) {
            return Ok(false);
        }
        let next = rows.last().map_or(0, |row| row.generation).saturating_add(1);
        let made = self.make(&rows, next, now).await?;
        self.add(store, made, now).await
    }

    /// Makes the key of a generation that follows `rows`.
    async fn make(&self, rows: &[KekRow], generation: u32, now: UnixSeconds) -> Result<KekRow, KekError> {
        let token = || self.token.as_ref().ok_or(KekError::NoToken(generation));
        match self.source {
            KekSource::File => {
                file::make(&self.folder, generation, &mut *self.random.rng())?;
                self.row_of_file(generation, now).await
            }
            KekSource::Unwrapped => {
                let known = rows.iter().rev().find_map(|row| row.token_wrapped.as_deref());
                let (key, wrapped) = pkcs11::draw(token()?, generation, known, &*self.random).await?;
                let row = self.row(generation, &Key::memory(key)?, now).await?;
                Ok(KekRow { token_wrapped: Some(wrapped), ..row })
            }
            KekSource::Token => {
                let key = TokenKek::make(token()?, generation, &*self.random).await?;
                let row = self.row(generation, &Key::Token(key.clone()), now).await;
                if row.is_err() {
                    key.destroy().await;
                }
                row
            }
        }
    }

    /// Tells the store of a key that was made. False if another node was first: then this key is done away with.
    async fn add(&self, store: &dyn Store, row: KekRow, now: UnixSeconds) -> Result<bool, KekError> {
        let (generation, id, source) = (row.generation, row.id, row.source);
        if store.add_kek(row, now).await? {
            return Ok(true);
        }
        match source {
            // The first file is there before the store, and may be the one that was copied here.
            KekSource::File if generation == 1 => {}
            KekSource::File => {
                let path = file::path(&self.folder, generation);
                std::fs::remove_file(&path).map_err(|source| KekError::Io { path, source })?;
            }
            KekSource::Unwrapped => {}
            KekSource::Token => {
                if let Some(token) = &self.token {
                    TokenKek::find(token, generation, id).destroy().await;
                }
            }
        }
        Ok(false)
    }

    /// Takes up what the store says of generations, and tells it what this node has then. What it says.
    ///
    /// # Errors
    /// [`KekError`], if a generation in use is not held.
    pub async fn follow(&self, store: &dyn Store, now: UnixSeconds) -> Result<Vec<KekRow>, KekError> {
        let _alone = self.looks.lock().await;
        let rows = store.keks().await?;
        self.learn(&rows).await?;
        // Each time: a node that was away for a moment may have been forgotten.
        store.hold_keks(self.has(), now).await?;
        Ok(rows)
    }

    async fn learn(&self, rows: &[KekRow]) -> Result<(), KekError> {
        let known = self.ring();
        let mut ring = Ring::default();
        for row in rows.iter().filter(|row| row.state != KekState::Retired) {
            let held = match known.held.iter().find(|held| held.generation == row.generation) {
                Some(held) => Ok(held.clone()),
                None => self.load(row).await,
            };
            match held {
                Ok(held) => ring.held.push(held),
                // The others wait for this node.
                Err(error) if row.state == KekState::Prepared => {
                    if self.said.swap(row.generation, Ordering::Relaxed) != row.generation {
                        tracing::warn!(%error, generation = row.generation, "THE NEXT KEY-ENCRYPTION KEY IS NOT HERE");
                    }
                }
                Err(error) => return Err(error),
            }
            if row.state == KekState::Current {
                ring.wraps = row.generation;
            }
        }
        let used = file::mark(&self.folder)?;
        if ring.wraps < used || ring.wraps == 0 {
            let mark = file::mark_path(&self.folder);
            return Err(KekError::Behind { current: ring.wraps, used, mark });
        }
        if ring.wraps > used {
            file::set_mark(&self.folder, ring.wraps)?;
        }
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        let retired = |row: &&KekRow| row.state == KekState::Retired && row.generation < used;
        rows.iter().filter(retired).try_for_each(|row| match row.source {
            KekSource::File => file::put_away(&self.folder, row.generation),
            KekSource::Unwrapped | KekSource::Token => file::note_retired(&self.folder, row.generation),
        })
    }

    async fn load(&self, row: &KekRow) -> Result<Held, KekError> {
        let other = KekError::Other(row.generation);
        let token = || {
            if let Some(path) = file::noted_retired(&self.folder, row.generation) {
                return Err(KekError::Retired(path));
            }
            self.token.as_ref().ok_or(KekError::NoToken(row.generation))
        };
        let key = match row.source {
            KekSource::File => Key::memory(file::load(&self.folder, row.generation)?)?,
            KekSource::Unwrapped => {
                let wrapped = row.token_wrapped.as_deref().ok_or(other)?;
                let key = pkcs11::undraw(token()?, row.generation, wrapped).await;
                Key::memory(key.map_err(|error| unusable(error, row.generation))?)?
            }
            KekSource::Token => Key::Token(TokenKek::find(token()?, row.generation, row.id)),
        };
        let other = KekError::Other(row.generation);
        let Ok(check) = Wrapped::from_bytes(row.check.clone()) else { return Err(other) };
        if key.id() != row.id {
            return Err(other);
        }
        key.unwrap(&CHECK, &check).await.map_err(|error| unusable(error, row.generation))?;
        Ok(Held { generation: row.generation, key })
    }

    async fn row_of_file(&self, generation: u32, now: UnixSeconds) -> Result<KekRow, KekError> {
        self.row(generation, &Key::memory(file::load(&self.folder, generation)?)?, now).await
    }

    async fn row(&self, generation: u32, key: &Key, now: UnixSeconds) -> Result<KekRow, KekError> {
        let check = key.wrap(&CHECK, &[], &*self.random).await;
        Ok(KekRow {
            generation,
            id: key.id(),
            source: self.source,
            token_wrapped: None,
            check: check.map_err(|error| unusable(error, generation))?.as_bytes().to_vec(),
            state: KekState::Prepared,
            made: now,
            changed: now,
        })
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A token that fails is no sign of another key.
fn unusable(error: SecretError, generation: u32) -> KekError {
    match error {
        SecretError::Token(error) => error.into(),
        SecretError::Wrap(_) => KekError::Other(generation),
    }
}

const CHECK: Location<'static> = Location { table: "kek", row: b"check", column: "check_value", epoch: 0 };
