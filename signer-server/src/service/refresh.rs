//! Share refresh and PIN change: a PIN proof, counted like an approve; a tossed offset; the first signature under the new
//! shares promotes them.

use signer_core::{
    ceremony::{CheckedRefresh, ServerRefresh, refresh_challenge},
    device_key::DevicePublicKeyBytes,
    suite::KeyContext,
    wire::{
        Confirmed, ProblemCode, RefreshChallenge, RefreshChallenged, RefreshConfirm, RefreshKeyed,
        RefreshKeys, RefreshStart, RefreshStarted,
    },
};

use super::{
    Caller, LEASE_SECONDS, Refusal, Service, ServiceError, ServiceResult,
    ceremonies::{Ceremony, Stage},
    good_standing, key_context,
};
use crate::store::{KeyRow, OutcomeKind, PayloadHash, PromoteResult, Reserve, StoredOutcome, Verdict};

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
        let key = self.unwrap_key(&caller.installation)?;
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
        let key = self.unwrap_key(&caller.installation)?;
        let based_on =
            checked.based_on(&key, &context, caller.now).ok_or_else(|| Refusal::new(ProblemCode::Stale))?;
        let reserve = Reserve {
            device: context.device,
            epoch: context.epoch,
            payload,
            request: None,
            token: self.token_number(&caller.installation, checked.token())?,
            based_on,
            lease_seconds: LEASE_SECONDS,
            policy: self.policy.clone(),
            now: self.now(),
        };
        let stored = match self.reserve(reserve).await? {
            Ok(lease) => {
                let right = checked.pin_is_right(&key, &context);
                let verdict = if right { Verdict::PinProven } else { Verdict::WrongPin };
                self.settle(lease, None, verdict).await?
            }
            // One proof opens one ceremony; a repeated message must not open another. The phone proves anew.
            Err(StoredOutcome { kind: OutcomeKind::PinProven, .. }) => {
                return Err(Refusal::new(ProblemCode::Stale).into());
            }
            Err(stored) => stored,
        };
        self.refresh_started(&caller, &context, &stored)
    }

    fn refresh_started(
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
        let (stage, ceremony, commitment) =
            ServerRefresh::start(context, device_key, public_key, &mut *self.rng());
        let entry = Ceremony {
            device: context.device,
            device_key,
            code: None,
            started: caller.now,
            stage: Stage::Refreshing(stage),
        };
        self.ceremonies.put(ceremony, entry)?;
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
        let ceremony = self.ceremonies.take(keys.ceremony, caller.installation.device, caller.now)?;
        let Stage::Refreshing(stage) = ceremony.stage else {
            return Err(Refusal::new(ProblemCode::CeremonyUnknown).into());
        };
        let old = self.unwrap_key(&caller.installation)?;
        let (stage, keyed) = stage.keys(&old, &keys, caller.now, &mut *self.rng())?;
        self.ceremonies.put(keys.ceremony, Ceremony { stage: Stage::Confirming(stage), ..ceremony })?;
        Ok(keyed)
    }

    /// The first signature under the new shares: promotes them and erases the old ones in one transaction.
    ///
    /// # Errors
    /// A refusal; the new shares are then gone and the old ones live on. If the answer is lost, `status` tells which live.
    pub async fn refresh_confirm(&self, bytes: &[u8]) -> ServiceResult<Confirmed> {
        let (RefreshConfirm(confirmation), caller) = self.open::<RefreshConfirm>(bytes).await?;
        good_standing(&caller.installation)?;
        let ceremony = self.ceremonies.take(confirmation.ceremony, caller.installation.device, caller.now)?;
        let Stage::Confirming(stage) = ceremony.stage else {
            return Err(Refusal::new(ProblemCode::CeremonyUnknown).into());
        };
        let proven = stage.check(confirmation)?.evaluate()?;
        let from = caller.installation.key.epoch;
        if proven.context.epoch != from.next() || proven.context.key != caller.installation.key.id {
            return Err(Refusal::new(ProblemCode::Stale).into());
        }
        let key = KeyRow {
            wrapped: self.wrap_key(&proven.context, &proven.key)?,
            epoch: proven.context.epoch,
            proof: proven.proof.as_slice().to_vec(),
            ..caller.installation.key
        };
        match self.store.promote_shares(from, key, caller.now).await? {
            PromoteResult::Promoted => {
                tracing::info!(device = %caller.installation.device, epoch = proven.context.epoch.0, "shares refreshed");
                Ok(Confirmed { signature: proven.proof })
            }
            PromoteResult::Stale => Err(Refusal::new(ProblemCode::Stale).into()),
            PromoteResult::Busy => Err(Refusal::new(ProblemCode::CeremonyFailed).into()),
        }
    }
}
