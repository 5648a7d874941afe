//! Showing a document: day credentials kept in stock, and the code on the screen, new every three minutes.

use signer_core::{
    codec::{Blob, List},
    credential::{DayCredential, Digits, DocumentType, Presentation, Show, ShowError, Step, Turn, digits},
    device_key::DeviceSignature,
    secret::SecretBytes,
    time::UnixSeconds,
    wire::{
        CREDENTIAL_BYTES_MAX, CodeStateQuery, DayKeyRequest, IssueCredentials, IssuedCredentials,
        ProblemCode, Profile, day_key_proof,
    },
    wrap::{Kek, Location, Wrapped, unwrap, wrap},
};
use zeroize::Zeroizing;

use crate::{
    enrol::RUNS,
    error::{ClientError, StateError},
    phone::Phone,
    ports::{DayKeyHandle, KeystoreError, Purpose},
    state::{Batch, ShownMark, StoredCredential},
};

/// Full stock of a profile: 8 age, 4 minimal, 4 full.
#[must_use]
pub const fn full_stock(profile: Profile) -> usize {
    match profile {
        Profile::Age => 8,
        Profile::Minimal | Profile::Full => 4,
    }
}

/// At so many left, more are asked for.
pub const TOP_UP_AT: usize = 2;
/// The random moment of topping up lies within this many seconds, so that it does not follow a show.
pub const TOP_UP_WITHIN_SECONDS: u64 = 3600;

/// What the holder agreed to before a code is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nothing was asked: enough for age and minimal, where showing is the consent.
    Showing,
    /// "Show to whoever scans", said for this show: needed for full.
    ToWhoeverScans,
}

/// Unused credentials that have not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Age.
    pub age: usize,
    /// Minimal.
    pub minimal: usize,
    /// Full.
    pub full: usize,
}

impl Stock {
    /// Those of a profile.
    #[must_use]
    pub const fn of(self, profile: Profile) -> usize {
        match profile {
            Profile::Age => self.age,
            Profile::Minimal => self.minimal,
            Profile::Full => self.full,
        }
    }
}

/// One show: from when the holder opens the code until it is put away. Uses one credential.
pub struct ShowSession {
    credential: DayCredential,
    profile: Profile,
    day_key: DayKeyHandle,
    otp: SecretBytes<32>,
    reused: bool,
    step: Step,
    turn: Turn,
    code: Option<Code>,
}

impl std::fmt::Debug for ShowSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShowSession({}, {:?}, {:?})", self.profile.name(), self.step, self.turn)
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
        self.profile
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
    /// The digits shown with it.
    pub digits: Digits,
    /// Its step.
    pub step: Step,
    /// Which code of the step.
    pub turn: Turn,
    /// When the next one replaces it.
    pub until: UnixSeconds,
}

impl Phone {
    /// Unused credentials at hand.
    #[must_use]
    pub fn stock(&self) -> Stock {
        let now = self.now();
        let count = |profile| {
            let all = self.state.iter().flat_map(|state| state.credentials());
            all.filter(|stored| stored.profile == profile && stored.shown.is_none() && stored.is_live(now))
                .count()
        };
        Stock { age: count(Profile::Age), minimal: count(Profile::Minimal), full: count(Profile::Full) }
    }

    /// Whether some profile has few credentials left.
    #[must_use]
    pub fn needs_top_up(&self) -> bool {
        let stock = self.stock();
        Profile::ALL.into_iter().any(|profile| stock.of(profile) <= TOP_UP_AT)
    }

    /// How many seconds to wait, if there is time, before topping up: a random moment, so that it does not betray a show.
    pub fn top_up_delay(&mut self) -> u64 {
        self.ports.rng.next_u64() % TOP_UP_WITHIN_SECONDS
    }

    /// Fills the stock of every profile with fresh credentials of `kind`, each with a fresh day key, and throws away what
    /// has expired or been used. A show that is on the screen ends with this. Returns how many came.
    ///
    /// A profile that does not fit the holder is left out: who is not of age has no age credential.
    ///
    /// # Errors
    /// [`ClientError`]; `register_not_reached` among the problems, and `no_document` if there is nothing for any profile.
    /// What came before the error is kept.
    pub fn top_up(&mut self, kind: DocumentType) -> Result<usize, ClientError> {
        self.require_key()?;
        if self.signed_now().is_err() {
            self.synchronise()?;
        }
        let result = self.fill(kind);
        // Day keys of a failed batch go; so do those of credentials thrown away.
        self.drop_day_keys()?;
        result
    }

    fn fill(&mut self, kind: DocumentType) -> Result<usize, ClientError> {
        // A full stock fits, unasked.
        let (mut came, mut fits, mut none) = (0, false, None);
        for profile in Profile::ALL {
            let missing = full_stock(profile).saturating_sub(self.stock().of(profile));
            match self.fetch_batch(kind, profile, missing) {
                Ok(count) => (came, fits) = (came + count, true),
                Err(error) if error.is_problem(ProblemCode::NoDocument) => none = Some(error),
                Err(error) => return Err(error),
            }
        }
        none.filter(|_| !fits).map_or(Ok(came), Err)
    }

    /// Gets `count` credentials of one profile in the place of the used ones.
    fn fetch_batch(
        &mut self,
        kind: DocumentType,
        profile: Profile,
        count: usize,
    ) -> Result<usize, ClientError> {
        let mut run = 1;
        loop {
            match self.run_batch(kind, profile, count) {
                // The answer to an earlier sending was lost. A day key gets one credential, so it takes fresh ones.
                (times, Err(error))
                    if run < RUNS && times > 1 && error.is_problem(ProblemCode::InvalidValue) =>
                {
                    run += 1;
                }
                (_, result) => return result,
            }
        }
    }

    /// One batch under fresh day keys, and how often it was asked for.
    fn run_batch(
        &mut self,
        kind: DocumentType,
        profile: Profile,
        count: usize,
    ) -> (u32, Result<usize, ClientError>) {
        let (body, handles) = match self.batch_request(kind, profile, count) {
            Ok(Some(made)) => made,
            Ok(None) => return (0, Ok(0)),
            Err(error) => return (0, Err(error)),
        };
        let (times, issued) = self.exchange_counted(&body);
        (times, issued.and_then(|issued| self.keep_batch(kind, profile, &body, &handles, &issued)))
    }

    fn batch_request(
        &mut self,
        kind: DocumentType,
        profile: Profile,
        count: usize,
    ) -> Result<Option<(IssueCredentials, Vec<DayKeyHandle>)>, ClientError> {
        let device = self.require_key()?.device;
        let mut handles = Vec::new();
        let mut requests = Vec::new();
        for _ in 0..count {
            let (handle, day_key) = self.ports.key.new_day_key()?;
            let message = day_key_proof(device, profile, &day_key);
            let proof = DeviceSignature(self.ports.key.sign_with_day_key(handle, &message.0)?);
            requests.push(DayKeyRequest { profile, day_key, proof });
            handles.push(handle);
        }
        let document_type = kind.number().into();
        Ok(List::new(requests).map(|keys| (IssueCredentials { document_type, keys }, handles)))
    }

    fn keep_batch(
        &mut self,
        kind: DocumentType,
        profile: Profile,
        asked: &IssueCredentials,
        handles: &[DayKeyHandle],
        issued: &IssuedCredentials,
    ) -> Result<usize, ClientError> {
        let envelopes = accept(kind, asked.keys.as_slice(), issued.credentials.as_slice())?;
        let otp = self.wrap(&OTP, issued.otp_secret.0.expose())?;
        let mut credentials = Vec::new();
        for (handle, credential) in handles.iter().zip(&envelopes) {
            credentials.push(StoredCredential {
                profile,
                wrapped: self.wrap(&credential_at(handle), credential.as_bytes())?,
                day_key: handle.0,
                expires: credential.claims().expires(),
                shown: None,
            });
        }
        let state = self.state_mut()?;
        state.retain(|stored| stored.profile != profile || stored.shown.is_none());
        state.batches.push(Batch { otp, credentials });
        self.save()?;
        Ok(envelopes.len())
    }

    /// Begins a show with the next unused credential. Works offline once the phone was online since it was switched on: the
    /// step is never taken from a clock that the holder can set. If none is left, the one used longest ago is taken
    /// again, and [`ShowSession::is_linkable`] says so.
    ///
    /// # Errors
    /// [`ClientError::Usage`] for full without consent; [`StateError::NoSignedTime`]; [`StateError::NoCredential`].
    pub fn start_show(&mut self, profile: Profile, consent: Consent) -> Result<ShowSession, ClientError> {
        if profile == Profile::Full && consent != Consent::ToWhoeverScans {
            return Err(ClientError::Usage(
                "the full document is shown only after the holder agreed to whoever scans",
            ));
        }
        self.require_key()?;
        let (now, rule) = (self.signed_now()?, self.options.step_rule);
        let step = rule.step_at(now);
        let state = self.require_state()?;
        let all = state.batches.iter().enumerate().flat_map(|(batch, stored)| {
            stored.credentials.iter().enumerate().map(move |(place, stored)| (batch, place, stored))
        });
        let (batch, place) = all
            .filter(|(.., stored)| stored.profile == profile && stored.is_live(now))
            .min_by_key(|(batch, place, stored)| (stored.shown.map(|mark| mark.since), *batch, *place))
            .map(|(batch, place, _)| (batch, place))
            .ok_or(StateError::NoCredential)?;
        let batch = state.batches.get(batch).ok_or(StateError::Damaged)?;
        let stored = batch.credentials.get(place).ok_or(StateError::Damaged)?;
        let (day_key, mark) = (stored.handle(), stored.shown);
        let credential = self.unwrap(&credential_at(&day_key), &stored.wrapped)?;
        let credential = DayCredential::from_bytes(&credential).map_err(|_| StateError::Damaged)?;
        // A credential that was on display in this very step goes on after its last turn.
        let turn = match mark {
            Some(mark) if mark.step >= step.0 => following(mark.turn)?,
            _ => Turn::FIRST,
        };
        let otp = self.unwrap(&OTP, &batch.otp)?;
        let otp = SecretBytes::from_slice(&otp).ok_or(StateError::Damaged)?;
        let mut session =
            ShowSession { credential, profile, day_key, otp, reused: mark.is_some(), step, turn, code: None };
        self.note_show(profile, None)?;
        self.mark(&mut session)?;
        Ok(session)
    }

    /// The code to be on the screen now. It changes with the step, at the boundary, and after a use; in between the same
    /// one comes back. Works offline.
    ///
    /// # Errors
    /// [`StateError::CredentialExpired`]; [`StateError::NoSignedTime`]; [`StateError::TurnsUsedUp`] after sixteen uses in one step.
    pub fn code(&mut self, session: &mut ShowSession) -> Result<Code, ClientError> {
        let (now, rule) = (self.signed_now()?, self.options.step_rule);
        let step = rule.step_at(now);
        if step > session.step {
            (session.step, session.turn, session.code) = (step, Turn::FIRST, None);
            self.mark(session)?;
        }
        if let Some(code) = &session.code {
            return Ok(code.clone());
        }
        // The clock may have been set back by signed time; a step already shown is not left for an earlier one.
        let (step, turn) = (session.step, session.turn);
        let digits = digits(&session.otp, session.credential.claims().status(), step, turn);
        let show = Show { step, turn, digits, challenge: None };
        let unsigned = session.credential.prepare(&show, now, rule).map_err(show_error)?;
        let signature = self.ports.key.sign_with_day_key(session.day_key, unsigned.to_sign())?;
        let presentation = unsigned.complete(&signature).map_err(show_error)?;
        let code = Code { presentation, digits, step, turn, until: rule.end(step) };
        session.code = Some(code.clone());
        Ok(code)
    }

    /// Asks, while online, whether the code on the screen was used. If so the next one takes its place: `true`.
    ///
    /// # Errors
    /// [`ClientError`]; offline, showing goes on without.
    pub fn poll(&mut self, session: &mut ShowSession) -> Result<bool, ClientError> {
        let status = session.credential.claims().status();
        let query = CodeStateQuery { list: status.list, index: status.index, step: session.step.0 };
        let state = self.exchange(&query)?;
        match state.burned {
            Some(burned) if burned >= session.turn.number() => {
                session.turn = following(burned)?;
                session.code = None;
                self.mark(session)?;
                Ok(true)
            }
            _ => Ok(false),
        }
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

/// Checks that each credential is the one asked for.
fn accept(
    kind: DocumentType,
    requests: &[DayKeyRequest],
    issued: &[Blob<CREDENTIAL_BYTES_MAX>],
) -> Result<Vec<DayCredential>, ClientError> {
    if issued.len() != requests.len() {
        return Err(ClientError::ServerMisbehaved("it issued another number of credentials than asked for"));
    }
    let all = requests.iter().zip(issued);
    all.map(|(request, bytes)| {
        let credential = DayCredential::from_bytes(bytes.as_slice())
            .map_err(|_| ClientError::ServerMisbehaved("a credential is not of the agreed form"))?;
        let claims = credential.claims();
        let fits = claims.day_key().to_sec1_point(true).as_bytes() == request.day_key.0
            && claims.document().profile() == request.profile.name()
            && claims.document().document_type() == kind
            && !claims.custody();
        if !fits {
            return Err(ClientError::ServerMisbehaved("a credential is not the one asked for"));
        }
        Ok(credential)
    })
    .collect()
}

fn show_error(error: ShowError) -> ClientError {
    match error {
        ShowError::Expired => StateError::CredentialExpired.into(),
        ShowError::TooFarAhead => ClientError::Usage("a code is not signed before its time"),
        ShowError::TooLong => ClientError::ServerMisbehaved("a credential leaves no room for a code"),
        ShowError::Signature(_) => KeystoreError("a day key's signature is wrong".into()).into(),
    }
}
