//! Generations of the key-encryption key, and what is wrapped under which: `spec/hsm.md`.

use async_trait::async_trait;
use signer_core::{time::UnixSeconds, wrap::KekId};

use super::StoreResult;

/// Where the key of a generation is. Numbers are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KekSource {
    /// In a file of the data folder.
    File,
    /// Beside the generation, wrapped by a key of a token.
    Unwrapped,
    /// In a token, for good.
    Token,
}

impl KekSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::File, Self::Unwrapped, Self::Token];

    /// Its number in the store.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Unwrapped => 1,
            Self::Token => 2,
        }
    }

    /// Its name, as the configuration says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Unwrapped => "kek",
            Self::Token => "every",
        }
    }
}

/// Where a generation stands. Numbers are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KekState {
    /// Made; nothing is wrapped under it until every node holds it.
    Prepared,
    /// What is wrapped now is wrapped under it.
    Current,
    /// Still needed for what was wrapped before.
    Old,
    /// Nothing is wrapped under it, and nothing may be.
    Retired,
}

impl KekState {
    /// Every state, by number.
    pub const ALL: [Self; 4] = [Self::Prepared, Self::Current, Self::Old, Self::Retired];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Current => "current",
            Self::Old => "old",
            Self::Retired => "retired",
        }
    }
}

/// A generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekRow {
    /// Its number, from 1.
    pub generation: u32,
    /// What wrapped secrets name it by.
    pub id: KekId,
    /// Where its key is.
    pub source: KekSource,
    /// Its key as a token wrapped it; none for other sources.
    pub token_wrapped: Option<Vec<u8>>,
    /// Nothing, wrapped under it.
    pub check: Vec<u8>,
    /// Where it stands.
    pub state: KekState,
    /// When it was made.
    pub made: UnixSeconds,
    /// When it came into its state.
    pub changed: UnixSeconds,
}

/// A column of wrapped secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrappedColumn {
    /// Shares, with what belongs to them.
    Shares,
    /// Chains of certificates.
    Chains,
    /// Secrets of credentials' digits.
    Digits,
    /// Names of organisations' documents.
    Documents,
    /// Secrets of links.
    Links,
    /// The server's own keys.
    ServerKeys,
    /// Enrolments and refreshes under way.
    Ceremonies,
}

impl WrappedColumn {
    /// Every column.
    pub const ALL: [Self; 7] = [
        Self::Shares,
        Self::Chains,
        Self::Digits,
        Self::Documents,
        Self::Links,
        Self::ServerKeys,
        Self::Ceremonies,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shares => "shares",
            Self::Chains => "certificates",
            Self::Digits => "digits",
            Self::Documents => "documents",
            Self::Links => "links",
            Self::ServerKeys => "server_keys",
            Self::Ceremonies => "ceremonies",
        }
    }
}

/// A wrapped secret, and what its place is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedRow {
    /// Its column.
    pub column: WrappedColumn,
    /// What its row is known by, as it stands in the associated data.
    pub row: Vec<u8>,
    /// Epoch of a share, or the number of a ceremony's part; 0 for others.
    pub epoch: u32,
    /// The secret, wrapped.
    pub wrapped: Vec<u8>,
}

/// What a node has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekNode {
    /// The newest generation it holds.
    pub holds: u32,
    /// The generation it wraps under.
    pub wraps: u32,
}

/// What became of a retirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// It is retired.
    Done,
    /// There is no old generation with this number.
    NotOld,
    /// Something is still wrapped under it.
    InUse,
    /// A node may still wrap under it.
    NodesBehind,
}

/// Generations of the key-encryption key.
#[async_trait]
pub trait Keks: Send + Sync {
    /// All generations, oldest first.
    async fn keks(&self) -> StoreResult<Vec<KekRow>>;

    /// Adds the first generation, or prepares the next. False if there is one of this number, or one is being prepared.
    async fn add_kek(&self, row: KekRow, now: UnixSeconds) -> StoreResult<bool>;

    /// Writes down what this node has, unless it stands there, and forgets nodes that are gone.
    async fn hold_keks(&self, has: KekNode, now: UnixSeconds) -> StoreResult<()>;

    /// What each node at work has, this one too.
    async fn kek_nodes(&self) -> StoreResult<Vec<KekNode>>;

    /// Puts a prepared generation to use if every node at work holds it; the one before becomes old.
    async fn put_kek_to_use(&self, generation: u32, now: UnixSeconds) -> StoreResult<bool>;

    /// Some of what a column has under a key, at most `limit`.
    async fn wrapped_under(
        &self,
        column: WrappedColumn,
        kek: KekId,
        limit: u32,
    ) -> StoreResult<Vec<WrappedRow>>;

    /// How much a column has under a key.
    async fn count_under(&self, column: WrappedColumn, kek: KekId) -> StoreResult<u64>;

    /// Replaces wrapped secrets by others of the same content, each only where it still is what was read. How many were.
    async fn rewrap(&self, rows: Vec<(WrappedRow, Vec<u8>)>, now: UnixSeconds) -> StoreResult<u64>;

    /// Retires an old generation, if nothing is under it or an older one and no node wraps under it.
    async fn retire_kek(&self, generation: u32, now: UnixSeconds) -> StoreResult<Retirement>;
}
