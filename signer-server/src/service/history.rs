//! The holder's history: sealing entries before the acts they tell are written, and reading them for the phone.

use std::{collections::HashMap, sync::Arc, sync::PoisonError};

use signer_core::{
    codec::Label,
    credential::Reason,
    history::{Act, Entry, HistoryKeyBytes, Name, ReasonName, Scan, SealedEntry},
    ids::{DeviceId, RelyingPartyId},
    time::UnixSeconds,
    wire::{Event, HISTORY_PAGE_MAX, HistoryPage, HistoryQuery, ProblemCode, Profile},
};

use super::{Refusal, Service, ServiceError, ServiceResult};
use crate::store::{CheckRow, Installation, Sealer, TellAsked};

/// Refusals of one verifier that are told to one phone within [`REFUSALS_SECONDS`]; more only fill the history.
const REFUSALS_MAX: u32 = 10;
const REFUSALS_SECONDS: u64 = 900;

/// The reason in the history where a code was used up and the holder is asked.
pub(super) const ASKED: &str = "asked";

/// Refusals told: how many, and since when.
pub(super) type Refusals = HashMap<(DeviceId, RelyingPartyId), (u32, UnixSeconds)>;

impl Service {
    /// Seals what the holder of an installation is told; `None` if its phone is from before there was a history. One key
    /// agreement on X25519: it is done before the write, and holds no lock.
    ///
    /// # Errors
    /// [`ServiceError::Bug`]: keys are checked at enrolment, entries are bounded by their types.
    pub(super) fn note(&self, installation: &Installation, act: Act) -> ServiceResult<Option<SealedEntry>> {
        let Some(key) = &installation.history_key else { return Ok(None) };
        let entry = Entry { at: self.now(), act };
        let sealed = key.seal(installation.device, &entry, &mut *self.rng());
        sealed.map(Some).map_err(|_| ServiceError::Bug("an entry that cannot be sealed"))
    }

    /// Whether entries can be sealed to a key that a new phone brings.
    pub(super) fn can_tell(&self, device: DeviceId, key: &HistoryKeyBytes) -> bool {
        let entry = Entry { at: self.now(), act: Act::PinChanged {} };
        key.seal(device, &entry, &mut *self.rng()).is_ok()
    }

    /// As [`Service::note`], for an installation that is not at hand; `None` also if there is none.
    pub(super) async fn note_for(&self, device: DeviceId, act: Act) -> ServiceResult<Option<SealedEntry>> {
        match self.store.installation(device).await? {
            Some(installation) => self.note(&installation, act),
            None => Ok(None),
        }
    }

    /// Seals only if the store finds that it is needed.
    pub(super) fn note_if_needed(&self, act: Act) -> Sealer {
        let (entry, random) = (Entry { at: self.now(), act }, Arc::clone(&self.random));
        Sealer::new(move |device, key: &HistoryKeyBytes| {
            let sealed = key.seal(device, &entry, &mut *random.rng());
            if sealed.is_err() {
                tracing::error!(%device, "a history entry cannot be sealed");
            }
            sealed.ok()
        })
    }

    /// Tells a holder that a short code opened a check: sealed in the middle of the transaction that finds whose it is.
    pub(super) fn tell_asked(&self) -> TellAsked {
        let (at, random) = (self.now(), Arc::clone(&self.random));
        TellAsked::new(move |check: &CheckRow, key: &HistoryKeyBytes| {
            let reason = code(ASKED).ok()?;
            let scan = scan_named(&check.verifier_name, check.profile, check.document_type, reason).ok()?;
            let entry = Entry { at, act: Act::Refused { scan } };
            key.seal(check.device, &entry, &mut *random.rng()).ok()
        })
    }

    /// Tells a holder of a refused check of their code. It is the whole act, so it is written by itself.
    ///
    /// # Errors
    /// [`ServiceError`]
    pub(super) async fn tell_refusal(
        &self,
        device: DeviceId,
        verifier: RelyingPartyId,
        scan: Scan,
    ) -> ServiceResult<()> {
        if !self.may_tell(device, verifier) {
            return Ok(());
        }
        let told = self.note_for(device, Act::Refused { scan }).await?;
        match told {
            Some(told) => self.store.append_history(device, told, self.now()).await?,
            None => return Ok(()),
        }
        self.tell(device, Event::History);
        Ok(())
    }

    fn may_tell(&self, device: DeviceId, verifier: RelyingPartyId) -> bool {
        let now = self.now();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, since) = refusals.entry((device, verifier)).or_insert((0, now));
        if *since <= now.minus(REFUSALS_SECONDS) {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        *count <= REFUSALS_MAX
    }

    pub(super) fn forget_refusals(&self, now: UnixSeconds) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.retain(|_, (_, since)| *since > now.minus(REFUSALS_SECONDS));
    }

    /// Entries of the calling device's history, also of one that was revoked.
    ///
    /// # Errors
    /// `invalid_value` if the limit is out of bounds.
    pub async fn history(&self, bytes: &[u8]) -> ServiceResult<HistoryPage> {
        let (query, caller) = self.open::<HistoryQuery>(bytes).await?;
        if !(1..=HISTORY_PAGE_MAX).contains(&query.limit) {
            let text = format!("limit is from 1 to {HISTORY_PAGE_MAX}");
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        // No history is so long: the answer is that there is nothing.
        let after = query.after.min(i64::MAX.unsigned_abs());
        let part = self.store.history(caller.installation.device, after, query.limit).await?;
        Ok(HistoryPage { time: caller.now, before: part.before, entries: part.entries, head: part.head })
    }
}

/// What the history says of an online check.
pub(super) fn scan(
    verifier: &str,
    profile: Profile,
    document_type: u32,
    reason: Reason,
) -> ServiceResult<Scan> {
    scan_named(verifier, profile, document_type, reason_name(reason)?)
}

/// The same with a reason that is no result's.
pub(super) fn scan_named(
    verifier: &str,
    profile: Profile,
    document_type: u32,
    reason: ReasonName,
) -> ServiceResult<Scan> {
    Ok(Scan { verifier: name(verifier)?, profile, document_type, reason, shown: None })
}

/// The stable code of a reason, as it stands in JSON.
pub(super) fn reason_name(reason: Reason) -> ServiceResult<ReasonName> {
    let json = serde_json::to_value(reason).ok();
    let text = json.as_ref().and_then(|json| json.as_str()).map(str::to_owned);
    text.and_then(Label::new).ok_or(ServiceError::Bug("a reason without a code"))
}

/// A short stable code as the history takes it.
pub(super) fn code(text: &str) -> ServiceResult<ReasonName> {
    Label::new(text.to_owned()).ok_or(ServiceError::Bug("a code that is none"))
}

fn name(registered: &str) -> ServiceResult<Name> {
    Label::new(registered.to_owned()).ok_or(ServiceError::Bug("registered name"))
}
