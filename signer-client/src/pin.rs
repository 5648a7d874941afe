//! Changing the PIN. It is a refresh of the shares: an old share is never masked a second time.

use std::time::Duration;

use signer_core::{
    ceremony::DeviceRefresh,
    pin::Pin,
    wire::{ProblemCode, RefreshChallenge, RefreshConfirm, RefreshStarted},
};

use crate::{
    enrol::RUNS,
    error::{ClientError, StateError},
    phone::{Enrolled, Phone},
};

/// Challenges are made from the server's time in seconds: after this long there is another one, and so another proof.
const NEW_CHALLENGE: Duration = Duration::from_millis(1200);

impl Phone {
    /// Replaces the shares on both sides and masks the new one with `new`. The public key stays.
    ///
    /// After an error, [`Phone::is_undecided`] tells whether the end was sent and its answer lost; then
    /// [`Phone::status`] finds out which PIN holds. Until that is known both shares are kept.
    ///
    /// # Errors
    /// [`ClientError::WrongPin`] if `old` is wrong: it is counted like a wrong PIN in an approval.
    pub fn change_pin(&mut self, old: &Pin, new: &Pin) -> Result<Enrolled, ClientError> {
        let (mut run, mut stale) = (1, false);
        loop {
            match self.run_change(old, new) {
                // One proof opens one ceremony: the answer to an earlier sending was lost, and the proof is used up.
                // Proven anew once, since each proof is a try of the PIN.
                // Or somebody had success since the challenge: the next proof shows whether that was a copy.
                Err(error)
                    if (error.is_problem(ProblemCode::Stale) || error.is_problem(ProblemCode::Overtaken))
                        && !self.is_undecided() =>
                {
                    if stale {
                        return Err(error);
                    }
                    stale = true;
                    self.sleep(NEW_CHALLENGE);
                }
                // The server lost the exchange half-way, before a new key was stored here: from the beginning.
                Err(error) if run < RUNS && error.wants_new_exchange() && !self.is_undecided() => run += 1,
                result => return result,
            }
        }
    }

    fn run_change(&mut self, old: &Pin, new: &Pin) -> Result<Enrolled, ClientError> {
        self.settle()?;
        let Enrolled { context, .. } = self.require_key()?;
        let challenged = self.exchange(&RefreshChallenge { key: context.key })?;
        if challenged.epoch != context.epoch {
            // A confirmation of an earlier change arrived after the status was asked for.
            self.status()?;
            return Err(StateError::KeyChanged.into());
        }
        let state = self.require_state()?;
        let key = state.key.as_ref().ok_or(StateError::NotEnrolled)?;
        let unlocked = key.unmask(self.mask(old, key.salt(), key.cost(), &context)?);
        let device_key = state.device_key;
        let presented = self.state_mut()?.present()?;
        self.save()?;
        let rng = &mut *self.ports.rng;
        let (refresh, start) = DeviceRefresh::start(unlocked, device_key, &challenged, presented, rng)?;
        let started = self.exchange(&start);
        if started.as_ref().is_err_and(|error| error.is_problem(ProblemCode::Overtaken)) {
            self.state_mut()?.heard();
            self.save()?;
        }
        let (ceremony, commitment) = match started? {
            RefreshStarted::WrongPin { attempts } => {
                self.state_mut()?.heard();
                self.save()?;
                return Err(ClientError::WrongPin(attempts));
            }
            RefreshStarted::Started { ceremony, commitment, token } => {
                let state = self.state_mut()?;
                state.take_token(token);
                // The server has begun another refresh, so an earlier one can no longer be confirmed.
                state.pending = None;
                self.save()?;
                (ceremony, commitment)
            }
        };
        let hedge = self.hedge()?;
        let (offset, keys) = refresh.keys(ceremony, commitment, &hedge, &mut *self.ports.rng)?;
        let keyed = self.exchange(&keys)?;
        let since = keyed.fetched_at;
        let ready = offset.ready(keyed, &mut *self.ports.rng)?;
        let confirmation = self.mask_and_store(ready, new, since, None)?;
        let confirmed = self.exchange(&RefreshConfirm(confirmation));
        self.conclude(confirmed)
    }
}
