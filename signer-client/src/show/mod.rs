//! Showing a document: the code on the screen, new every three minutes.
//!
//! [`stock`] keeps day credentials at hand, [`consent`] is what the holder agreed to, [`display`] puts the short codes on
//! display at the server, [`listen`] tells when somebody scanned or asks.

mod consent;
mod display;
mod listen;
mod stock;

use signer_core::{
    credential::{DayCredential, Digits, DocumentType, Presentation, Show, ShowError, Step, Turn, digits},
    secret::SecretBytes,
    time::UnixSeconds,
    wire::{CodeStateQuery, Profile},
    wrap::{Kek, Location, Wrapped, unwrap, wrap},
};
use zeroize::Zeroizing;

use self::display::Registration;
pub use self::{
    consent::{BusinessRequest, Showing},
    display::{NoShortCodes, Screen, ShortCodes},
    listen::{EventStream, LISTEN_FOR},
    stock::{Stock, TOP_UP_AT, TOP_UP_WITHIN_SECONDS, full_stock},
};
use crate::{
    error::{ClientError, StateError},
    phone::Phone,
    ports::{DayKeyHandle, KeystoreError, Purpose},
    state::{ShownMark, StoredCredential},
};

/// One show: from when the holder opens the code until it is put away. Uses one credential.
pub struct ShowSession {
    credential: DayCredential,
    showing: Showing,
    day_key: DayKeyHandle,
    otp: SecretBytes<32>,
    reused: bool,
    step: Step,
    turn: Turn,
    code: Option<Code>,
    /// The last code of the step before, while it may still be used and the holder was not told of it.
    earlier: Option<(Step, Turn)>,
    registration: Registration,
}

impl std::fmt::Debug for ShowSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShowSession({}, {:?}, {:?})", self.showing.profile().name(), self.step, self.turn)
    }
}

impl ShowSession {
    /// Whether no unused credential was left, so that this show can be linked to an earlier one. The holder is to be told.
    #[must_use]
    pub const fn is_linkable(&self) -> bool {
        self.reused
    }

    /// The profile shown.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.showing.profile()
    }

    /// The kind of document shown.
    #[must_use]
    pub const fn document_type(&self) -> DocumentType {
        self.credential.claims().document().document_type()
    }

    /// When the credential was issued, to the hour.
    #[must_use]
    pub const fn issued(&self) -> UnixSeconds {
        self.credential.claims().issued()
    }
}

/// A code as it is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The text of the QR.
    pub presentation: Presentation,
    /// The digits in it. They are shown as a number code only while they are [on display](Phone::display).
    pub digits: Digits,
    /// Its step.
    pub step: Step,
    /// Which code of the step.
    pub turn: Turn,
    /// When the next one replaces it.
    pub until: UnixSeconds,
}

impl Phone {
    /// Begins a show with the next unused credential for a kind of document. Works offline once the phone was online since it
    /// was switched on: the step is never taken from a clock that the holder can set. If none is left, the one used longest
    /// ago is taken again, and [`ShowSession::is_linkable`] says so.
    ///
    /// # Errors
    /// [`StateError::NoSignedTime`]; [`StateError::NoCredential`]; [`ClientError::Usage`] for another kind of document than a
    /// request is for.
    pub fn start_show(&mut self, kind: DocumentType, showing: Showing) -> Result<ShowSession, ClientError> {
        self.require_key()?;
        showing.is_for(kind)?;
        let (now, rule) = (self.signed_now()?, self.options.step_rule);
        let step = rule.step_at(now);
        let state = self.require_state()?;
        let all = state.batches.iter().enumerate().flat_map(|(batch, stored)| {
            stored.credentials.iter().enumerate().map(move |(place, stored)| (batch, place, stored))
        });
        let (batch, place) = all
            .filter(|(.., stored)| {
                stored.is_for(kind, showing.profile()) && stored.is_live(now, state.life())
            })
            .min_by_key(|(batch, place, stored)| (stored.shown.map(|mark| mark.since), *batch, *place))
            .map(|(batch, place, _)| (batch, place))
            .ok_or(StateError::NoCredential)?;
        let batch = state.batches.get(batch).ok_or(StateError::Damaged)?;
        let stored = batch.credentials.get(place).ok_or(StateError::Damaged)?;
        let (day_key, mark) = (stored.handle(), stored.shown);
        let credential = self.stored_credential(stored)?;
        // A credential that was on display in this very step goes on after its last turn.
        let turn = match mark {
            Some(mark) if mark.step >= step.0 => following(mark.turn)?,
            _ => Turn::FIRST,
        };
        let otp = self.unwrap(&OTP, &batch.otp)?;
        let otp = SecretBytes::from_slice(&otp).ok_or(StateError::Damaged)?;
        let mut session = ShowSession {
            credential,
            showing,
            day_key,
            otp,
            reused: mark.is_some(),
            step,
            turn,
            code: None,
            earlier: None,
            registration: Registration::default(),
        };
        self.note_show(session.profile(), session.showing.reader())?;
        self.mark(&mut session)?;
        Ok(session)
    }

    /// Goes on with another credential where [`Phone::renew_withdrawn`] threw away the one of an open show: the same show, as it
    /// was agreed to. `false` if its credential is still at hand.
    ///
    /// # Errors
    /// [`StateError::NoCredential`] if there is no other: nothing of the document is left to show, and the show is over.
    pub fn replace_withdrawn(&mut self, session: &mut ShowSession) -> Result<bool, ClientError> {
        if self.require_state()?.credentials().any(|stored| stored.handle() == session.day_key) {
            return Ok(false);
        }
        let kind = session.document_type();
        let showing = std::mem::replace(&mut session.showing, Showing::age());
        *session = self.start_show(kind, showing)?;
        Ok(true)
    }

    /// The code to be on the screen now. It changes with the step, at the boundary, and after a use; in between the same
    /// one comes back. Works offline.
    ///
    /// # Errors
    /// [`StateError::CredentialExpired`]; [`StateError::NoSignedTime`]; [`StateError::TurnsUsedUp`] after sixteen uses in one
    /// step; [`StateError::RequestOver`] one step after that of the request it answers.
    pub fn code(&mut self, session: &mut ShowSession) -> Result<Code, ClientError> {
        let (now, rule) = (self.signed_now()?, self.options.step_rule);
        self.follow_step(session, now)?;
        session.showing.is_good(rule, now)?;
        if let Some(code) = &session.code {
            return Ok(code.clone());
        }
        // The clock may have been set back by signed time; a step already shown is not left for an earlier one.
        let (step, turn) = (session.step, session.turn);
        let digits = digits(&session.otp, session.credential.claims().status(), step, turn);
        let show = Show { step, turn, digits, challenge: session.showing.challenge() };
        let unsigned = session
            .credential
            .prepare_under(&show, now, rule, self.require_state()?.life())
            .map_err(show_error)?;
        let signature = self.ports.key.sign_with_day_key(session.day_key, unsigned.to_sign())?;
        let presentation = unsigned.complete(&signature).map_err(show_error)?;
        let code = Code { presentation, digits, step, turn, until: rule.end(step) };
        session.code = Some(code.clone());
        Ok(code)
    }

    /// Goes on to the step of now.
    fn follow_step(&mut self, session: &mut ShowSession, now: UnixSeconds) -> Result<(), ClientError> {
        let step = self.options.step_rule.step_at(now);
        if step > session.step {
            session.earlier = session.code.as_ref().map(|code| (code.step, code.turn));
            (session.step, session.turn, session.code) = (step, Turn::FIRST, None);
            self.mark(session)?;
        }
        Ok(())
    }

    /// Asks, while online, whether the code on the screen was used. If so the next one takes its place: `true`. So it is, once,
    /// if the last code of the step before was used: then the one on the screen stays.
    ///
    /// # Errors
    /// [`ClientError`]; offline, showing goes on without.
    pub fn poll(&mut self, session: &mut ShowSession) -> Result<bool, ClientError> {
        let burned = self.highest_used(session, session.step)?;
        let earlier = self.earlier_was_used(session)?;
        match burned {
            Some(burned) if burned >= session.turn.number() => {
                session.turn = following(burned)?;
                session.code = None;
                self.mark(session)?;
                Ok(true)
            }
            _ => Ok(earlier),
        }
    }

    /// Whether the code before the present step was used, until that is known.
    fn earlier_was_used(&mut self, session: &mut ShowSession) -> Result<bool, ClientError> {
        let Some((step, turn)) = session.earlier else { return Ok(false) };
        let (now, rule) = (self.now(), self.options.step_rule);
        let used = self.highest_used(session, step)?.is_some_and(|burned| burned >= turn.number());
        // Twice the grace after its step nobody takes it any more: short codes neither.
        if used || now >= rule.end(step).plus(rule.grace().saturating_mul(2)) {
            session.earlier = None;
        }
        Ok(used)
    }

    fn highest_used(&mut self, session: &ShowSession, step: Step) -> Result<Option<u8>, ClientError> {
        let status = session.credential.claims().status();
        let query = CodeStateQuery { list: status.list, index: status.index, step: step.0 };
        Ok(self.exchange_once(&query)?.burned)
    }

    fn stored_credential(&self, stored: &StoredCredential) -> Result<DayCredential, ClientError> {
        let credential = self.unwrap(&credential_at(&stored.handle()), &stored.wrapped)?;
        DayCredential::from_bytes(&credential).map_err(|_| StateError::Damaged.into())
    }

    /// Notes durably what will be on the screen, before it is.
    fn mark(&mut self, session: &mut ShowSession) -> Result<(), ClientError> {
        let since = self.now();
        let (step, turn) = (session.step.0, session.turn.number());
        let state = self.state_mut()?;
        let mut all = state.batches.iter_mut().flat_map(|batch| &mut batch.credentials);
        let stored =
            all.find(|stored| stored.handle() == session.day_key).ok_or(StateError::CredentialExpired)?;
        stored.shown = Some(ShownMark { step, turn, since });
        self.save()
    }

    /// Wraps what rests in the state image and is nobody else's to read.
    pub(crate) fn wrap(&mut self, place: &Location<'_>, plain: &[u8]) -> Result<Vec<u8>, ClientError> {
        let kek = Kek::new(self.ports.key.derive(Purpose::Wrap, place.column.as_bytes())?);
        let wrapped = wrap(&kek, place, plain, &mut *self.ports.rng);
        Ok(wrapped.map_err(|_| KeystoreError("wrapping failed".into()))?.as_bytes().to_vec())
    }

    pub(crate) fn unwrap(
        &self,
        place: &Location<'_>,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let kek = Kek::new(self.ports.key.derive(Purpose::Wrap, place.column.as_bytes())?);
        Wrapped::from_bytes(wrapped.to_vec())
            .and_then(|wrapped| unwrap(&kek, place, &wrapped))
            .map_err(|_| StateError::Damaged.into())
    }
}

/// Where the secret of the digits rests.
const OTP: Location<'static> = Location { table: "phone", row: b"batch", column: "otp", epoch: 0 };

/// Where a credential rests.
const fn credential_at(day_key: &DayKeyHandle) -> Location<'_> {
    Location { table: "phone", row: &day_key.0, column: "credential", epoch: 0 }
}

/// The turn after one that was shown or used.
fn following(turn: u8) -> Result<Turn, ClientError> {
    Turn::try_from(turn).ok().and_then(Turn::next).ok_or_else(|| StateError::TurnsUsedUp.into())
}

fn show_error(error: ShowError) -> ClientError {
    match error {
        ShowError::Expired => StateError::CredentialExpired.into(),
        ShowError::TooFarAhead => ClientError::Usage("a code is not signed before its time"),
        ShowError::TooLong => ClientError::ServerMisbehaved("a credential leaves no room for a code"),
        ShowError::Signature(_) => KeystoreError("a day key's signature is wrong".into()).into(),
    }
}
