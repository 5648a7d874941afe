//! Share refresh and PIN change: a PIN proof, counted like an approve; a tossed offset; the first signature under the new
//! shares, reserved like an approve, promotes them.

use signer_core::{
    ceremony::{
        CeremonyError, CheckedConfirmation, CheckedRefresh, ProvenKey, RestingRefresh, RestingRefreshKeys,
        refresh_challenge,
    },
    device_key::DevicePublicKeyBytes,
    history::Act,
    suite::{KeyContext, Signature},
    time::UnixSeconds,
    wire::{
        Confirmation, Confirmed, ProblemCode, RefreshChallenge, RefreshChallenged, RefreshConfirm,
        RefreshKeyed, RefreshKeys, RefreshStart, RefreshStarted,
    },
};

use super::{
    Caller, LEASE_SECONDS, Refusal, Service, ServiceError, ServiceResult, ceremonies::again, good_standing,
    key_context,
};
use crate::store::{KeyRow, Lease, OutcomeKind, PayloadHash, Reserve, Sealer, StoredOutcome, Verdict};

impl Service {
    /// A challenge for a PIN proof. Stores nothing.
    ///
    /// # Errors
    /// A refusal if the installation cannot sign.
    pub async fn refresh_challenge(&self, bytes: &[u8]) -> ServiceResult<RefreshChallenged> {
        let (challenge, caller) = self.open::<RefreshChallenge>(bytes).await?;
        good_standing(&caller.installation)?;
        if challenge.key != caller.installation.key.id {
            return Err(Refusal::new(ProblemCode::Stale).into());
        }
        let key = self.unwrap_key(&caller.installation).await?;
        Ok(refresh_challenge(&key, &key_context(&caller.installation), caller.now))
    }

    /// Evaluates the PIN proof; a right one opens a refresh.
    ///
    /// # Errors
    /// A refusal; none counts an attempt.
    pub async fn refresh_start(&self, bytes: &[u8]) -> ServiceResult<RefreshStarted> {
        let _announced = self.store.announce();
        let (start, caller) = self.open::<RefreshStart>(bytes).await?;
        good_standing(&caller.installation)?;
        let context = key_context(&caller.installation);
        let payload = PayloadHash(CheckedRefresh::payload_hash(&context, &start));
        let checked = CheckedRefresh::new(&context, &start)?;
        let key = self.unwrap_key(&caller.installation).await?;
        let based_on =
            checked.based_on(&key, &context, caller.now).ok_or_else(|| Refusal::new(ProblemCode::Stale))?;
        let reserve = Reserve {
            device: context.device,
            epoch: context.epoch,
            payload,
            request: None,
            token: Some(self.token_number(&caller.installation, checked.token())?),
            unheard: checked.unheard(),
            based_on,
            lease_seconds: LEASE_SECONDS,
            policy: self.policy.clone(),
            frozen: self.note_if_needed(Act::Frozen {}),
            now: self.now(),
        };
        let stored = match self.reserve(reserve).await? {
            Ok(lease) => {
                let right = checked.pin_is_right(&key, &context);
                let verdict = if right { Verdict::PinProven } else { Verdict::WrongPin };
                let stored = self.settle(&caller.installation, lease, None, verdict).await?;
                stored.ok_or(ServiceError::Bug("a PIN proof settled as a refresh"))?
            }
            // One proof opens one ceremony; a repeated message must not open another. The phone proves anew.
            Err(StoredOutcome { kind: OutcomeKind::PinProven, .. }) => {
                return Err(Refusal::new(ProblemCode::Stale).into());
            }
            Err(stored) => stored,
        };
        self.refresh_started(&caller, &context, &stored).await
    }

    async fn refresh_started(
        &self,
        caller: &Caller,
        context: &KeyContext,
        stored: &StoredOutcome,
    ) -> ServiceResult<RefreshStarted> {
        match stored.kind {
            OutcomeKind::PinProven => {}
            OutcomeKind::WrongPin => {
                return Ok(RefreshStarted::WrongPin {
                    attempts: stored.counter.shown(&self.policy, stored.at),
                });
            }
            OutcomeKind::Signed(_) | OutcomeKind::Cheating => {
                return Err(ServiceError::Bug("an approve stored for a PIN proof"));
            }
        }
        let device_key = DevicePublicKeyBytes(caller.installation.device_key);
        let public_key = caller.installation.key.public_key;
        let (resting, ceremony, commitment) =
            RestingRefresh::start(context, device_key, public_key, caller.now, &mut *self.rng());
        self.begin_ceremony(ceremony, device_key, None, &resting, caller.now).await?;
        let token = self.next_token(&caller.installation, stored.next_token);
        Ok(RefreshStarted::Started { ceremony, commitment, token })
    }

    /// The device's part of the offset.
    ///
    /// # Errors
    /// A refusal; the ceremony has then ended and the old shares live on.
    pub async fn refresh_keys(&self, bytes: &[u8]) -> ServiceResult<RefreshKeyed> {
        let (keys, caller) = self.open::<RefreshKeys>(bytes).await?;
        good_standing(&caller.installation)?;
        let (device, old) = (caller.installation.device, key_context(&caller.installation));
        let (resting, place) = self.begun::<RestingRefresh>(keys.ceremony, device, false, caller.now).await?;
        let key = self.unwrap_key(&caller.installation).await?;
        let compute = move || {
            if *resting.old() != old {
                return Err(Refusal::new(ProblemCode::Stale).into());
            }
            resting.keys(&key, keys, caller.now).map_err(ServiceError::from)
        };
        let computed = self.compute(compute).await?;
        let (resting, keyed) = self.or_end(&place, computed).await?;
        self.keyed(&place, &resting).await?;
        Ok(keyed)
    }

    /// The first signature under the new shares: promotes them and erases the old ones in one transaction.
    ///
    /// The new share is the old one moved by an offset that the device knows, so a wrong contribution tests a guess at the
    /// old share too. It is therefore evaluated like an approve: behind a reservation, counted, and it ends the key.
    ///
    /// # Errors
    /// A refusal; the new shares are then gone. The old ones live on, unless it is `revoked`. If the answer is lost, `status`
    /// tells which live.
    pub async fn refresh_confirm(&self, bytes: &[u8]) -> ServiceResult<Confirmed> {
        let (RefreshConfirm(confirmation), caller) = self.open::<RefreshConfirm>(bytes).await?;
        good_standing(&caller.installation)?;
        let device = caller.installation.device;
        let (resting, place) = self.take_ceremony(confirmation.ceremony, device, false, caller.now).await?;
        let confirmed = self.confirm_refresh(resting, &caller, confirmation).await;
        self.or_end(&place, confirmed).await
    }

    async fn confirm_refresh(
        &self,
        resting: RestingRefreshKeys,
        caller: &Caller,
        confirmation: Confirmation,
    ) -> ServiceResult<Confirmed> {
        let old = key_context(&caller.installation);
        if *resting.old() != old {
            return Err(Refusal::new(ProblemCode::Stale).into());
        }
        let key = self.unwrap_key(&caller.installation).await?;
        let check = move || {
            let payload = CheckedConfirmation::payload_hash(&old, &confirmation);
            let checked = resting.confirming(&key).map_err(again)?.check(confirmation)?;
            Ok::<_, ServiceError>((checked, PayloadHash(payload)))
        };
        let (checked, payload) = self.compute(check).await??;
        let lease = self.reserve_confirmation(&old, payload, caller.now).await?;
        let proven = self.compute(move || checked.evaluate()).await?;
        let (verdict, proof) = self.confirmation_verdict(&caller.installation.key, proven).await;
        match (self.settle(&caller.installation, lease, None, verdict).await?, proof) {
            (None, Some(signature)) => Ok(Confirmed { signature }),
            (Some(StoredOutcome { kind: OutcomeKind::Cheating, .. }), _) => {
                Err(Refusal::new(ProblemCode::Revoked).into())
            }
            _ => Err(ServiceError::Bug("a confirmation settled as something else")),
        }
    }

    /// Takes the key exclusively for a confirmation. Its ceremony is used up, so whoever finds the key busy starts again.
    async fn reserve_confirmation(
        &self,
        old: &KeyContext,
        payload: PayloadHash,
        based_on: UnixSeconds,
    ) -> ServiceResult<Lease> {
        let reserve = Reserve {
            device: old.device,
            epoch: old.epoch,
            payload,
            request: None,
            token: None,
            unheard: 0,
            based_on,
            lease_seconds: LEASE_SECONDS,
            policy: self.policy.clone(),
            // Without a token nothing freezes.
            frozen: Sealer::none(),
            now: self.now(),
        };
        match self.reserve(reserve).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(_)) => Err(Refusal::new(ProblemCode::CeremonyUnknown).into()),
            Err(ServiceError::Refused(refusal)) if refusal.code == ProblemCode::Busy => {
                let text = "another attempt is being evaluated; start the change again";
                Err(Refusal::because(ProblemCode::CeremonyFailed, text).into())
            }
            Err(error) => Err(error),
        }
    }

    /// What an evaluated confirmation means for the key `old`, and the first signature if there is one.
    async fn confirmation_verdict(
        &self,
        old: &KeyRow,
        proven: Result<ProvenKey, CeremonyError>,
    ) -> (Verdict, Option<Signature>) {
        let proven = match proven {
            Ok(proven) => proven,
            Err(CeremonyError::Cheating) => return (Verdict::Cheating, None),
            Err(_) => return (Verdict::ServerFault, None),
        };
        match self.wrap_key(&proven.context, &proven.key).await {
            Ok(wrapped) => {
                let proof = proven.proof.as_slice().to_vec();
                let key = KeyRow { wrapped, epoch: proven.context.epoch, proof, ..*old };
                (Verdict::Refreshed { key }, Some(proven.proof))
            }
            Err(error) => {
                tracing::error!(%error, "wrapping new shares");
                (Verdict::ServerFault, None)
            }
        }
    }
}
