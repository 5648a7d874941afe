//! The lists a verifier keeps, of all issuers, and what they say of one credential.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;

use super::{
    bits::Status,
    list::{StatusList, StatusListError},
};
use crate::{
    credential::{Refusal, Verified},
    time::UnixSeconds,
    trust::{IssuerId, TrustList},
};

/// The newest state seen of each list.
#[derive(Debug, Clone, Default)]
pub struct StatusLists(BTreeMap<(IssuerId, u32), StatusList>);

/// What a verifier knows of a credential that no list withdraws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawals {
    /// A fresh list says that it is valid.
    KnownTo(UnixSeconds),
    /// So does a list that is a day old or was made before the credential.
    ListOld(UnixSeconds),
    /// There is no such list.
    NotChecked,
}

impl StatusLists {
    /// Takes a list, in the place of an older state of it, or of one with the same date of which it takes nothing back.
    ///
    /// # Errors
    /// [`StatusListError::Older`] if a newer state was seen, [`StatusListError::Conflict`] if one with the same date says
    /// worse of a credential: what was seen stays.
    pub fn add(&mut self, list: StatusList) -> Result<(), StatusListError> {
        let place = (list.issuer(), list.number());
        if let Some(seen) = self.0.get(&place) {
            match seen.issued().cmp(&list.issued()) {
                Ordering::Greater => return Err(StatusListError::Older),
                Ordering::Equal if !list.covers(seen) => return Err(StatusListError::Conflict),
                _ => {}
            }
        }
        self.0.insert(place, list);
        Ok(())
    }

    /// Drops the lists whose key a newer trust list has no more: a stolen key could have dated one in the future, and no
    /// true list would follow it.
    pub fn retain_trusted(&mut self, trust: &TrustList) {
        self.0.retain(|_, list| list.is_trusted(trust));
    }

    /// The lists.
    pub fn iter(&self) -> impl Iterator<Item = &StatusList> {
        self.0.values()
    }

    /// The newest date of all lists: the verifier's clock cannot be before it.
    #[must_use]
    pub fn clock_floor(&self) -> UnixSeconds {
        self.iter().map(StatusList::issued).max().unwrap_or_default()
    }

    /// What is known of a code's credential at `now`. A withdrawal counts in an old list too.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] or [`Refusal::Suspended`].
    pub fn withdrawals(&self, code: &Verified, now: UnixSeconds) -> Result<Withdrawals, Refusal> {
        let place = code.status();
        let Some(list) = self.0.get(&(code.issuer(), place.list)) else { return Ok(Withdrawals::NotChecked) };
        match list.status(place.index) {
            None => Ok(Withdrawals::NotChecked),
            Some(Status::Revoked) => Err(Refusal::Revoked),
            Some(Status::Suspended) => Err(Refusal::Suspended),
            Some(Status::Valid) if list.is_old(now) || list.issued() < code.issued() => {
                Ok(Withdrawals::ListOld(list.issued()))
            }
            Some(Status::Valid) => Ok(Withdrawals::KnownTo(list.issued())),
        }
    }
}
