//! What wraps every secret of the store: the generations of the key-encryption key that this node holds. `spec/hsm.md`.

mod file;

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
use crate::{
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
    /// The generation is in a token, and this server has none.
    #[error("key-encryption key, generation {0}: it is in a token, which this server cannot use")]
    NoToken(u32),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A generation that is held.
#[derive(Debug, Clone)]
struct Held {
    generation: u32,
    key: Arc<Kek>,
}

/// The generations that are held, and the one that is wrapped under.
#[derive(Debug, Clone, Default)]
struct Ring {
    held: Vec<Held>,
    wraps: u32,
}

impl Ring {
    fn key(&self, wanted: impl Fn(&Held) -> bool) -> Option<&Kek> {
        self.held.iter().find(|held| wanted(held)).map(|held| &*held.key)
    }

    fn has(&self) -> KekNode {
        let holds = self.held.iter().map(|held| held.generation).max().unwrap_or_default();
        KekNode { holds, wraps: self.wraps }
    }
}

/// Wraps and unwraps.
pub struct Wrapping {
    folder: PathBuf,
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
    /// Makes the first key in `folder`, before there is a store that needs it.
    ///
    /// # Errors
    /// [`KekError::Io`].
    pub fn prepare(folder: &Path, random: &dyn Random) -> Result<(), KekError> {
        if file::make_first(folder, &mut *random.rng())? {
            tracing::warn!(
                path = %file::path(folder, 1).display(),
                "MADE A KEY-ENCRYPTION KEY IN A FILE. Whoever reads this file and the store has every server share. \
                 For trying out only: real deployments keep this key in an HSM."
            );
        }
        Ok(())
    }

    /// Takes up the keys of a store's generations, and tells the store which this node has.
    ///
    /// # Errors
    /// [`KekError`], if one of them cannot be used.
    pub async fn open(
        store: &dyn Store,
        folder: &Path,
        random: Arc<dyn Random>,
        now: UnixSeconds,
    ) -> Result<Self, KekError> {
        let wrapping = Self {
            folder: folder.to_owned(),
            random,
            ring: RwLock::default(),
            looks: tokio::sync::Mutex::default(),
            said: AtomicU32::new(0),
        };
        if store.keks().await?.is_empty() {
            let first = wrapping.row(1, &file::load(folder, 1)?, now);
            store.add_kek(first, now).await?;
        }
        wrapping.follow(store, now).await?;
        // Another may have been put to use before this node was counted.
        wrapping.follow(store, now).await?;
        Ok(wrapping)
    }

    /// What this node has.
    #[must_use]
    pub fn has(&self) -> KekNode {
        self.ring().has()
    }

    /// Wraps a secret for its place.
    ///
    /// # Errors
    /// [`WrapError`].
    pub async fn wrap_secret(&self, location: &Location<'_>, secret: &[u8]) -> Result<Vec<u8>, WrapError> {
        let ring = self.ring();
        let key = ring.key(|held| held.generation == ring.wraps);
        let key = key.ok_or(WrapError::UnknownKek(KekId::from_bytes([0; 4])))?;
        Ok(wrap::wrap(key, location, secret, &mut *self.random.rng())?.as_bytes().to_vec())
    }

    /// Takes a secret back from its place.
    ///
    /// # Errors
    /// [`WrapError`].
    pub async fn unwrap_secret(
        &self,
        location: &Location<'_>,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        let wrapped = Wrapped::from_bytes(wrapped.to_vec())?;
        let id = wrapped.kek_id().ok_or(WrapError::Malformed)?;
        let ring = self.ring();
        let key = ring.key(|held| held.key.id() == id).ok_or(WrapError::UnknownKek(id))?;
        wrap::unwrap(key, location, &wrapped)
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
        file::make(&self.folder, next, &mut *self.random.rng())?;
        let added = store.add_kek(self.row(next, &file::load(&self.folder, next)?, now), now).await?;
        if !added {
            // Another node was first: its key is the one to be copied here.
            let path = file::path(&self.folder, next);
            std::fs::remove_file(&path).map_err(|source| KekError::Io { path, source })?;
        }
        Ok(added)
    }

    /// Takes up what the store says of generations, and tells it what this node has then. What it says.
    ///
    /// # Errors
    /// [`KekError`], if a generation in use is not held.
    pub async fn follow(&self, store: &dyn Store, now: UnixSeconds) -> Result<Vec<KekRow>, KekError> {
        let _alone = self.looks.lock().await;
        let rows = store.keks().await?;
        self.learn(&rows)?;
        // Each time: a node that was away for a moment may have been forgotten.
        store.hold_keks(self.has(), now).await?;
        Ok(rows)
    }

    fn learn(&self, rows: &[KekRow]) -> Result<(), KekError> {
        let known = self.ring();
        let mut ring = Ring::default();
        for row in rows.iter().filter(|row| row.state != KekState::Retired) {
            let held = known.held.iter().find(|held| held.generation == row.generation);
            match held.map_or_else(|| self.load(row), |held| Ok(held.clone())) {
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
        let retired = |row: &&KekRow| {
            row.state == KekState::Retired && row.source == KekSource::File && row.generation < used
        };
        rows.iter().filter(retired).try_for_each(|row| file::put_away(&self.folder, row.generation))
    }

    fn load(&self, row: &KekRow) -> Result<Held, KekError> {
        let key = match row.source {
            KekSource::File => file::load(&self.folder, row.generation)?,
            KekSource::Unwrapped | KekSource::Token => return Err(KekError::NoToken(row.generation)),
        };
        let check = Wrapped::from_bytes(row.check.clone());
        let opened = check.and_then(|check| wrap::unwrap(&key, &CHECK, &check));
        if key.id() != row.id || opened.is_err() {
            return Err(KekError::Other(row.generation));
        }
        Ok(Held { generation: row.generation, key: Arc::new(key) })
    }

    fn row(&self, generation: u32, key: &Kek, now: UnixSeconds) -> KekRow {
        let check = wrap::wrap(key, &CHECK, &[], &mut *self.random.rng());
        KekRow {
            generation,
            id: key.id(),
            source: KekSource::File,
            token_wrapped: None,
            check: check.map(|check| check.as_bytes().to_vec()).unwrap_or_default(),
            state: KekState::Prepared,
            made: now,
            changed: now,
        }
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

const CHECK: Location<'static> = Location { table: "kek", row: b"check", column: "check_value", epoch: 0 };
