//! The stock of day credentials: what is at hand, and getting more.

use std::collections::HashSet;

use signer_core::{
    codec::{Blob, List},
    credential::{DayCredential, DocumentType, StatusIndex},
    device_key::DeviceSignature,
    wire::{
        CREDENTIAL_BYTES_MAX, DayKeyRequest, IssueCredentials, IssuedCredentials, ProblemCode, Profile,
        WITHDRAWN_MAX, WithdrawnQuery, day_key_proof,
    },
};

use super::{OTP, credential_at};
use crate::{
    enrol::RUNS,
    error::{ClientError, Fault},
    phone::Phone,
    ports::DayKeyHandle,
    state::{Batch, State, StoredCredential},
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

impl Phone {
    /// Unused credentials at hand for a kind of document.
    #[must_use]
    pub fn stock(&self, kind: DocumentType) -> Stock {
        let (now, life) = (self.now(), self.state.as_ref().map(State::life).unwrap_or_default());
        let count = |profile| {
            let all = self.state.iter().flat_map(|state| state.credentials());
            let unused = all.filter(|stored| stored.is_for(kind, profile) && stored.shown.is_none());
            unused.filter(|stored| stored.is_live(now, life)).count()
        };
        Stock { age: count(Profile::Age), minimal: count(Profile::Minimal), full: count(Profile::Full) }
    }

    /// Whether some profile of a kind of document has few credentials left.
    #[must_use]
    pub fn needs_top_up(&self, kind: DocumentType) -> bool {
        let stock = self.stock(kind);
        Profile::ALL.into_iter().any(|profile| stock.of(profile) <= TOP_UP_AT)
    }

    /// How many seconds to wait, if there is time, before topping up: a random moment, so that it does not betray a show.
    pub fn top_up_delay(&mut self) -> u64 {
        self.ports.rng.next_u64() % TOP_UP_WITHIN_SECONDS
    }

    /// Fills the stock of every profile with fresh credentials of `kind`, each with a fresh day key, and throws away what
    /// has expired or been used and is not on the screen any more. Returns how many came.
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
            let missing = full_stock(profile).saturating_sub(self.stock(kind).of(profile));
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
                kind: kind.number(),
                profile,
                wrapped: self.wrap(&credential_at(handle), credential.as_bytes())?,
                day_key: handle.0,
                expires: credential.claims().expires(),
                shown: None,
            });
        }
        let step = self.options.step_rule.step_at(self.now());
        let state = self.state_mut()?;
        state.retain(|stored| !stored.is_for(kind, profile) || !stored.is_put_away(step));
        state.batches.push(Batch { otp, credentials });
        self.save()?;
        Ok(envelopes.len())
    }
}

impl Phone {
    /// Throws away the credentials that the server has withdrawn, and tops up the kinds of document they were for: at once,
    /// for this follows a change of the document and no show. Returns these kinds. To be called after
    /// [`Event::Documents`](signer_core::wire::Event::Documents), and before a show if nobody listened; see
    /// [`Phone::replace_withdrawn`] for an open show.
    ///
    /// What the register or the server does not give now comes with the next top-up.
    ///
    /// # Errors
    /// [`ClientError`]. What is withdrawn may have been thrown away all the same; the next top-up makes up for it.
    pub fn renew_withdrawn(&mut self) -> Result<Vec<DocumentType>, ClientError> {
        let kinds = self.drop_withdrawn()?;
        for kind in &kinds {
            match self.top_up(*kind) {
                Err(error) if matches!(error.fault(), Fault::Phone | Fault::Caller) => return Err(error),
                _now_or_later => {}
            }
        }
        Ok(kinds)
    }

    fn drop_withdrawn(&mut self) -> Result<Vec<DocumentType>, ClientError> {
        self.require_key()?;
        let withdrawn = self.exchange_once(&WithdrawnQuery {})?.places;
        if withdrawn.len() > WITHDRAWN_MAX {
            return Err(ClientError::ServerMisbehaved("it withdrew more credentials than it gives out"));
        }
        let withdrawn: HashSet<StatusIndex> = withdrawn.into_iter().collect();
        let (mut gone, mut kinds) = (HashSet::new(), Vec::new());
        for stored in self.require_state()?.credentials() {
            let credential = self.stored_credential(stored)?;
            let claims = credential.claims();
            if withdrawn.contains(&claims.status()) {
                gone.insert(stored.day_key);
                kinds.push(claims.document().document_type());
            }
        }
        if gone.is_empty() {
            return Ok(kinds);
        }
        kinds.sort_unstable_by_key(|kind| kind.number());
        kinds.dedup();
        self.state_mut()?.retain(|stored| !gone.contains(&stored.day_key));
        self.save()?;
        self.drop_day_keys()?;
        Ok(kinds)
    }
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
            && claims.document().profile() == request.profile
            && claims.document().document_type() == kind
            && !claims.custody();
        if !fits {
            return Err(ClientError::ServerMisbehaved("a credential is not the one asked for"));
        }
        Ok(credential)
    })
    .collect()
}
