//! Status lists given out: which credentials are withdrawn, for whoever checks without the server. Made anew every quarter of an
//! hour, when first asked for, from the state of credentials and the standing of their installations.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use signer_core::{
    status::{ENTRIES, STATUS_LIST_PERIOD_SECONDS, Status, Statuses},
    time::UnixSeconds,
    trust::Life,
    wire::ProblemCode,
};

use super::{KeyPurpose, Refusal, Service, ServiceResult, sign::blocking};

/// Status lists of one day: 2^26 places, so that a random one is nearly always free.
pub(super) const LISTS_PER_DAY: u32 = 64;
const DAY_SECONDS: u64 = 86_400;

/// A signed list.
type Signed = Bytes;

/// The lists of this quarter of an hour that somebody has asked for.
#[derive(Debug, Default)]
pub(super) struct StatusLists {
    made: Mutex<(u64, HashMap<u32, Signed>)>,
    /// One list is made at a time: whoever asks for all of them is served, and does not take every core.
    making: tokio::sync::Mutex<()>,
}

impl StatusLists {
    fn find(&self, period: u64, number: u32) -> Option<Signed> {
        let made = self.lock();
        made.1.get(&number).filter(|_| made.0 == period).cloned()
    }

    fn keep(&self, period: u64, number: u32, list: &Signed) {
        let mut made = self.lock();
        if made.0 < period {
            *made = (period, HashMap::new());
        }
        // One that was begun in the quarter before is not kept for this one.
        if made.0 == period {
            made.1.insert(number, list.clone());
        }
    }

    /// Forgets what was made: something that stands in every list has changed.
    pub(super) fn forget(&self) {
        *self.lock() = (0, HashMap::new());
    }

    fn lock(&self) -> MutexGuard<'_, (u64, HashMap<u32, Signed>)> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Addresses of the lists in which a living credential may have its place, used or not: who has them all asks for nobody.
    #[must_use]
    pub fn status_list_addresses(&self) -> Vec<String> {
        self.live_lists().map(|number| self.issuer.status_uri.of_list(number)).collect()
    }

    /// Seconds until the lists are made anew.
    #[must_use]
    pub fn status_list_seconds_left(&self) -> u64 {
        STATUS_LIST_PERIOD_SECONDS - self.now().0 % STATUS_LIST_PERIOD_SECONDS
    }

    /// A status list, signed.
    ///
    /// # Errors
    /// `not_found` for a list in which no credential lives.
    pub async fn status_list(&self, number: u32) -> ServiceResult<Bytes> {
        if !self.live_lists().any(|live| live == number) {
            return Err(Refusal::new(ProblemCode::NotFound).into());
        }
        let now = self.now();
        let period = now.0 / STATUS_LIST_PERIOD_SECONDS;
        if let Some(list) = self.status_lists.find(period, number) {
            return Ok(list);
        }
        let _making = self.status_lists.making.lock().await;
        if let Some(list) = self.status_lists.find(period, number) {
            return Ok(list);
        }
        let list = Bytes::from(self.make_list(number, now).await?);
        self.status_lists.keep(period, number, &list);
        Ok(list)
    }

    async fn make_list(&self, number: u32, now: UnixSeconds) -> ServiceResult<Vec<u8>> {
        self.keys.in_use(KeyPurpose::List)?.can_sign()?;
        let withdrawals = self.store.withdrawals(number).await?;
        let forgotten = self.issued_before_restore(number, now).await?;
        let key = self.keys.in_use(KeyPurpose::List)?;
        let uri = self.issuer.status_uri.clone();
        let public = *key.verifying_key();
        let unsigned = blocking(move || {
            let mut statuses = Statuses::default();
            if let Some(known) = forgotten {
                for index in 0..ENTRIES {
                    let _there = statuses.set(index, Status::Suspended);
                }
                for index in known {
                    let _there = statuses.set(index, Status::Valid);
                }
            }
            for withdrawal in withdrawals {
                let status = if withdrawal.suspended { Status::Suspended } else { Status::Revoked };
                // A place beyond the end would be one that was never given out.
                let _there = statuses.set(withdrawal.index, status);
            }
            statuses.prepare(&uri, number, now, &public)
        });
        key.sign_envelope(unsigned.await?).await
    }

    /// After a restore nobody knows what was withdrawn since the backup, and a newer list would say that it is valid again. So
    /// every place given out before the restore is suspended for as long as its credential can live; phones get new ones.
    /// `None` where nothing was forgotten, else the places given out since.
    async fn issued_before_restore(&self, number: u32, now: UnixSeconds) -> ServiceResult<Option<Vec<u32>>> {
        let restored = self.store.restored_at();
        let day = u64::from(number / LISTS_PER_DAY);
        let over = now >= restored.plus(Life::Emergency.seconds());
        if restored == UnixSeconds(0) || over || day > restored.0 / DAY_SECONDS {
            return Ok(None);
        }
        Ok(Some(self.store.issued_since(number, restored).await?))
    }

    /// Lists of the days whose credentials may still live.
    fn live_lists(&self) -> impl Iterator<Item = u32> + use<> {
        let today = self.now().0 / DAY_SECONDS;
        let life = self.credential_life().seconds();
        let first = self.now().minus(life).0 / DAY_SECONDS;
        let number =
            |day: u64| u32::try_from(day).unwrap_or(u32::MAX / LISTS_PER_DAY).saturating_mul(LISTS_PER_DAY);
        (first..=today).flat_map(move |day| number(day)..number(day).saturating_add(LISTS_PER_DAY))
    }
}
