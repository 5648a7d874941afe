//! Enrolment, and the question which of two stored keys lives.

use signer_core::{
    ceremony::{DeviceEnrolment, SharesReady, Unproven},
    codec::Text,
    device_key::DevicePublicKeyBytes,
    pin::{Pin, Salt},
    suite::SuiteId,
    time::UnixSeconds,
    wire::{Confirmation, Confirmed, DeviceStatus, EnrolConfirm, EnrolmentCode, ProblemCode, StatusQuery},
};

use crate::{
    error::{ClientError, StateError},
    phone::{Enrolled, Phone},
    state::{Pending, State},
};

/// How often a whole key exchange is begun anew when the server lost it half-way.
pub(crate) const RUNS: u32 = 3;

/// A confirmation that has not arrived by then never will: its ceremony is forgotten after five minutes, its envelope refused
/// after five more. Counted in server time from the ceremony.
const CONFIRMATION_SECONDS_MAX: u64 = 660;

impl Phone {
    /// Makes a key with the server: two shares, one of them here under `pin`. The phone is enrolled when the first
    /// signature, made by both, was seen.
    ///
    /// If the end of an earlier enrolment was lost, this finds out first whether that one holds.
    ///
    /// # Errors
    /// [`StateError::AlreadyEnrolled`]; the problems `enrolment_code` and `already_enrolled`; anything on the way. Whatever
    /// fails before the end leaves nothing behind.
    pub fn enrol(&mut self, suite: SuiteId, code: &str, pin: &Pin) -> Result<Enrolled, ClientError> {
        if self.enrolled().is_some() {
            return Err(StateError::AlreadyEnrolled.into());
        }
        if self.is_undecided() {
            self.settle()?;
            if let Some(enrolled) = self.enrolled() {
                return Ok(enrolled);
            }
        }
        let code = Text::new(code.trim().into())
            .map(EnrolmentCode)
            .ok_or(ClientError::Usage("an enrolment code is 1 to 64 printed characters"))?;
        let device_key = self.ports.key.public_key()?;
        if self.state.is_none() {
            let answer_key = self.fetch_answer_key()?;
            self.state = Some(State::new(self.ports.http.server().into(), device_key, answer_key));
        }
        let result = self.anchor().and_then(|()| self.run_enrolment(suite, device_key, &code, pin));
        if result.is_err() && !self.is_undecided() {
            self.state = None;
        }
        result
    }

    fn run_enrolment(
        &mut self,
        suite: SuiteId,
        device_key: DevicePublicKeyBytes,
        code: &EnrolmentCode,
        pin: &Pin,
    ) -> Result<Enrolled, ClientError> {
        let mut run = 1;
        let (ready, token, since) = loop {
            match self.exchange_keys(suite, device_key, code) {
                Err(error) if run < RUNS && error.wants_new_exchange() => run += 1,
                result => break result?,
            }
        };
        let confirmation = self.mask_and_store(ready, pin, since, Some(token))?;
        let confirmed = self.exchange(&EnrolConfirm(confirmation));
        self.conclude(confirmed)
    }

    fn exchange_keys(
        &mut self,
        suite: SuiteId,
        device_key: DevicePublicKeyBytes,
        code: &EnrolmentCode,
    ) -> Result<(SharesReady, signer_core::wire::Token, UnixSeconds), ClientError> {
        let keys = self.holder_keys()?;
        let (enrolment, start) =
            DeviceEnrolment::start(suite, device_key, code.clone(), keys, &mut *self.ports.rng)?;
        let started = self.exchange(&start)?;
        // The server has begun another enrolment, so the earlier one can no longer be confirmed.
        self.state_mut()?.pending = None;
        let hedge = self.hedge()?;
        let (keyed, keys) = enrolment.keys(&started, &hedge, &mut *self.ports.rng)?;
        let reply = self.exchange(&keys)?;
        let since = reply.fetched_at;
        let (ready, token) = keyed.ready(reply, &mut *self.ports.rng)?;
        Ok((ready, token, since))
    }

    /// Masks a new share, this once, and stores it beside a living one before its confirmation may be sent.
    pub(crate) fn mask_and_store(
        &mut self,
        ready: SharesReady,
        pin: &Pin,
        since: UnixSeconds,
        token: Option<signer_core::wire::Token>,
    ) -> Result<Confirmation, ClientError> {
        let (salt, cost) = (Salt::random(&mut *self.ports.rng), self.options.pin_cost);
        let mask = self.mask(pin, &salt, cost, ready.context())?;
        let (unproven, confirmation) = ready.confirm(mask, salt, cost, &mut *self.ports.rng)?;
        let state = self.state_mut()?;
        state.pending = Some(Pending { key: unproven, since });
        if let Some(token) = token {
            state.take_token(token);
        }
        if let Err(error) = self.save() {
            self.state_mut()?.pending = None;
            return Err(error);
        }
        Ok(confirmation)
    }

    /// Takes the answer to a confirmation; if it was lost or is a refusal, the status decides.
    pub(crate) fn conclude(
        &mut self,
        confirmed: Result<Confirmed, ClientError>,
    ) -> Result<Enrolled, ClientError> {
        match confirmed {
            Ok(confirmed) => {
                let pending = self.state_mut()?.pending.take();
                let pending = pending.ok_or(ClientError::Usage("no key waits for a confirmation"))?;
                self.promote(pending, &confirmed)?;
            }
            Err(error) => {
                let before = self.enrolled();
                self.settle().map_err(|_| ClientError::from_lost(&error))?;
                if self.enrolled() == before {
                    return Err(error);
                }
            }
        }
        self.require_key()
    }

    /// Finds out what became of an undecided key. Nothing is signed before.
    pub(crate) fn settle(&mut self) -> Result<(), ClientError> {
        if !self.is_undecided() {
            return Ok(());
        }
        match self.exchange(&StatusQuery {}) {
            Ok(status) => self.settle_with(&status),
            // Not enrolled, or not yet: the key stays until a new enrolment begins.
            Err(error) if error.is_problem(ProblemCode::NotTheDevice) && self.enrolled().is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Decides between the stored keys by the server's status, which carries the proof of the living one.
    pub(crate) fn settle_with(&mut self, status: &DeviceStatus) -> Result<(), ClientError> {
        let state = self.state_mut()?;
        let is_living = |context: &signer_core::suite::KeyContext| {
            (context.suite, context.key, context.epoch) == (status.suite, status.key, status.epoch)
        };
        let current_lives = state.key.as_ref().is_some_and(|key| is_living(key.context()));
        match state.pending.take() {
            Some(pending) if is_living(pending.key.context()) => {
                if pending.key.public_key() != status.public_key {
                    self.state_mut()?.pending = Some(pending);
                    return Err(ClientError::ServerMisbehaved("it names another public key"));
                }
                self.promote(pending, &Confirmed { signature: status.proof.clone() })
            }
            Some(pending) if current_lives => {
                // The confirmation may still be on its way.
                if status.time > pending.since.plus(CONFIRMATION_SECONDS_MAX) {
                    self.save()
                } else {
                    self.keep(pending)
                }
            }
            Some(pending) => {
                self.state_mut()?.pending = Some(pending);
                Err(StateError::OtherShares.into())
            }
            None if current_lives || state.key.is_none() => Ok(()),
            None => Err(StateError::OtherShares.into()),
        }
    }

    fn keep(&mut self, pending: Pending) -> Result<(), ClientError> {
        self.state_mut()?.pending = Some(pending);
        Ok(())
    }

    /// Makes a key the living one if its first signature is valid; then the older one is erased, in one write.
    fn promote(&mut self, pending: Pending, confirmed: &Confirmed) -> Result<(), ClientError> {
        let Pending { key, since } = pending;
        let same_public_key = self.enrolled().is_none_or(|old| old.public_key == key.public_key());
        let proven = if same_public_key { key.prove(confirmed) } else { Err(Box::new(key)) };
        match proven {
            Ok(masked) => {
                self.state_mut()?.key = Some(masked);
                self.save()
            }
            Err(unproven) => {
                let key: Unproven = *unproven;
                self.keep(Pending { key, since })?;
                Err(ClientError::ServerMisbehaved("its first signature under the new key is not valid"))
            }
        }
    }
}

impl ClientError {
    /// The end of a ceremony was refused or lost and the status could not be had either.
    fn from_lost(error: &Self) -> Self {
        match error {
            Self::Problem(problem) => Self::Problem(problem.clone()),
            Self::Transport(error) => Self::Transport(error.clone()),
            Self::ServerMisbehaved(why) => Self::ServerMisbehaved(why),
            _ => Self::Transport(crate::ports::TransportError::Timeout),
        }
    }
}
