//! Generations of the key-encryption key: the next one, what is under which, and the job that brings everything under the
//! newest, a part at a time, beside the work of the day. It keeps no notes: what is left to do is what is still under an old one.

use std::{sync::Arc, time::Duration};

use signer_core::{
    wire::{KekLeft, KekView, KeksView, ProblemCode},
    wrap::{KekId, Location},
};

use super::{Refusal, Service, ServiceError, ServiceResult};
use crate::{
    store::{KekRow, KekState, Retirement, WrappedColumn, WrappedRow},
    wrap::KekError,
};

/// How often a node looks for another generation.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause between two parts of the job: others write too.
const PAUSE: Duration = Duration::from_millis(5);
/// Secrets of one part. The largest take 9 KB.
const PART: u32 = 64;
/// Most that are read in search of one that is not damaged.
const PART_MAX: u32 = 4_096;

impl Service {
    /// The generations, and what is left under the old ones.
    ///
    /// # Errors
    /// [`super::ServiceError::Store`].
    pub async fn keks(&self) -> ServiceResult<KeksView> {
        let rows = self.store.keks().await?;
        let nodes = self.store.kek_nodes().await?;
        let prepared = rows.iter().find(|row| row.state == KekState::Prepared).map(|row| row.generation);
        let current = rows.iter().find(|row| row.state == KekState::Current).map_or(0, |row| row.generation);
        let behind = nodes
            .iter()
            .filter(|node| node.wraps < current || prepared.is_some_and(|next| node.holds < next));
        let behind = behind.count();
        let mut generations = Vec::new();
        for row in rows {
            generations.push(self.kek_view(row).await?);
        }
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(KeksView { generations, nodes: count(nodes.len()), nodes_behind: count(behind) })
    }

    async fn kek_view(&self, row: KekRow) -> ServiceResult<KekView> {
        let mut left = Vec::new();
        if row.state == KekState::Old {
            for column in WrappedColumn::ALL {
                let rows = self.store.count_under(column, row.id).await?;
                if rows > 0 {
                    left.push(KekLeft { what: column.name().into(), rows });
                }
            }
        }
        Ok(KekView {
            generation: row.generation,
            id: row.id.to_string(),
            source: row.source.name().into(),
            state: row.state.name().into(),
            made: row.made.0,
            changed: row.changed.0,
            left,
        })
    }

    /// Makes the next generation. It is put to use as soon as every node holds it, which may be now.
    ///
    /// # Errors
    /// `not_found` unless `generation` is one more than the newest; `invalid_value` while one is being prepared, or if a file
    /// has the name of the new one.
    pub async fn rotate_kek(&self, generation: u32) -> ServiceResult<KeksView> {
        let newest = self.store.keks().await?.last().map_or(0, |row| row.generation);
        if generation.checked_sub(1) != Some(newest) {
            return Err(Refusal::new(ProblemCode::NotFound).into());
        }
        let made = match self.wrapping.make_next(&*self.store, self.now()).await {
            Err(error @ KekError::Exists(_)) => {
                return Err(Refusal::because(ProblemCode::InvalidValue, error.to_string()).into());
            }
            made => made?,
        };
        if !made {
            let text = "the next generation is being prepared: a node does not hold it yet";
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        tracing::info!("the next key-encryption key is prepared");
        self.follow_keks(true).await?;
        self.keks().await
    }

    /// Retires an old generation.
    ///
    /// # Errors
    /// `not_found` if there is no old one with this number; `invalid_value` while something is under it or a node may wrap
    /// under it.
    pub async fn retire_kek(&self, generation: u32) -> ServiceResult<()> {
        let invalid = |text| Refusal::because(ProblemCode::InvalidValue, text);
        match self.store.retire_kek(generation, self.now()).await? {
            Retirement::Done => {
                tracing::info!(generation, "a key-encryption key is retired");
                self.follow_keks(false).await?;
                Ok(())
            }
            Retirement::NotOld => Err(Refusal::new(ProblemCode::NotFound).into()),
            Retirement::InUse => {
                Err(invalid("something is still wrapped under it: wait until nothing is left").into())
            }
            Retirement::NodesBehind => Err(invalid("a node still wraps under it").into()),
        }
    }

    /// Takes up what the store says of generations, and with `promote` puts the prepared one to use if every node holds it.
    async fn follow_keks(&self, promote: bool) -> ServiceResult<Vec<KekRow>> {
        let rows = self.wrapping.follow(&*self.store, self.now()).await?;
        let prepared = rows.iter().find(|row| row.state == KekState::Prepared);
        let Some(next) = prepared.filter(|_| promote) else { return Ok(rows) };
        if !self.store.put_kek_to_use(next.generation, self.now()).await? {
            return Ok(rows);
        }
        tracing::info!(generation = next.generation, "a key-encryption key is put to use");
        Ok(self.wrapping.follow(&*self.store, self.now()).await?)
    }

    /// One look and one part of the job. Whether there is more to do.
    async fn tend_keks(&self) -> ServiceResult<bool> {
        let leads = self.store.leads();
        let rows = self.follow_keks(leads).await?;
        if !leads {
            return Ok(false);
        }
        for old in rows.iter().filter(|row| row.state == KekState::Old) {
            for column in WrappedColumn::ALL {
                if self.rewrap_part(column, old.id).await? > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Brings some secrets of a column under the newest key; how many.
    async fn rewrap_part(&self, column: WrappedColumn, old: KekId) -> ServiceResult<u64> {
        let mut limit = PART;
        loop {
            let rows = self.store.wrapped_under(column, old, limit).await?;
            let all = rows.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            let mut wrapped = Vec::with_capacity(rows.len());
            for row in rows {
                match self.rewrapped(&row).await {
                    Ok(new) => wrapped.push((row, new)),
                    // The next ones would not fare better.
                    Err(error @ ServiceError::Token(_)) => return Err(error),
                    // It stays where it is, and keeps its key from being retired.
                    Err(error) => tracing::error!(%error, what = column.name(), "a secret is not rewrapped"),
                }
            }
            if !wrapped.is_empty() {
                return Ok(self.store.rewrap(wrapped, self.now()).await?);
            }
            if all || limit >= PART_MAX {
                return Ok(0);
            }
            // All of these are damaged. Those behind them may not be.
            limit = limit.saturating_mul(8);
        }
    }

    async fn rewrapped(&self, row: &WrappedRow) -> ServiceResult<Vec<u8>> {
        let location = location(row);
        let secret = self.unwrap_secret(&location, &row.wrapped).await?;
        Ok(self.wrap_secret(&location, &secret).await?)
    }
}

/// The place a secret was wrapped for.
fn location(of: &WrappedRow) -> Location<'_> {
    let (table, column) = match of.column {
        WrappedColumn::Shares => ("key_share", "wrapped"),
        WrappedColumn::Chains => ("certificate", "wrapped_chain"),
        WrappedColumn::Digits => ("credential", "wrapped_otp"),
        WrappedColumn::Documents => ("credential", "wrapped_document"),
        WrappedColumn::Links => ("request_link", "wrapped_secret"),
        WrappedColumn::ServerKeys => ("server_key", "wrapped"),
        WrappedColumn::Ceremonies => ("ceremony", "state"),
    };
    Location { table, row: &of.row, column, epoch: of.epoch }
}

/// Follows the store's generations and does the job, as long as the server runs.
pub(crate) async fn tend_keks(service: Arc<Service>) {
    loop {
        let more = service.tend_keks().await.unwrap_or_else(|error| {
            tracing::error!(%error, "key-encryption keys");
            false
        });
        tokio::time::sleep(if more { PAUSE } else { LOOK_EVERY }).await;
    }
}
