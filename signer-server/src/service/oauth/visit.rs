//! Visits: a client sends a browser here; the phone is asked, once; the browser goes back with a code.
//!
//! A visit belongs to the browser that began it, by a cookie: its address alone fetches nothing. What is asked of the phone
//! is a signing request in every case. To let a client see whose certificate it is, the holder signs a digest that stands for
//! this visit and for nothing else; that signature is given to nobody.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    domain::{Domain, Hasher},
    ids::{DeviceId, RelyingPartyId, VisitId},
    wire::{CreateRequest, DocumentDigest, VerificationCode},
};

use super::{Asked, OauthError, OauthRefusal, back::Back};
use crate::{
    service::{
        Place, Service, ServiceError, ServiceResult, WaitMs,
        admin::new_token,
        ask::Occasion,
        csc::{Decision, decision, denied},
    },
    store::{NewAuthorisation, OauthClientRow, RequestRow, VisitRow},
};

/// Life of a code, seconds.
const CODE_SECONDS: u64 = 60;
/// What codes begin with.
const CODE_PREFIX: &str = "sac_";
/// How long the holder has, seconds: to sign, and to sign in.
const SIGN_SECONDS: u64 = 300;
const SIGN_IN_SECONDS: u64 = 120;

/// What the page shows.
pub struct VisitView {
    /// Who asks.
    pub relying_party: String,
    /// For what.
    pub scope: &'static str,
    /// What the holder is shown of it.
    pub text: Option<String>,
    /// The documents, as the phone names them.
    pub documents: Vec<String>,
    /// The code that the holder picks on the phone, while it is asked: who approves has this browser before them.
    pub verification_code: Option<VerificationCode>,
    /// How far it is.
    pub state: VisitState,
    /// Whether somebody must say who they are first.
    pub asks_who: bool,
    /// What is left of its time, or of the phone's, seconds.
    pub seconds: u64,
}

/// How far a visit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisitState {
    /// The phone was not asked.
    New,
    /// The phone is asked.
    Waiting,
    /// The browser can go back.
    Decided,
}

impl VisitState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Waiting => "waiting",
            Self::Decided => "decided",
        }
    }
}

impl std::fmt::Debug for VisitView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VisitView(..)")
    }
}

/// A visit of this browser, with what belongs to it.
struct Found {
    visit: VisitRow,
    asked: Asked,
    client: OauthClientRow,
    request: Option<RequestRow>,
    /// The installation whose key is to sign, if that was said.
    device: Option<DeviceId>,
}

impl Service {
    async fn visit_of(&self, id: VisitId, browser: Option<&str>) -> Result<Found, OauthError> {
        let now = self.now();
        // Another browser's visit is like one that is not there.
        let unknown = || OauthRefusal::new(404, "invalid_request", "no such visit of this browser");
        let browser = hash(b"browser", browser.ok_or_else(unknown)?);
        let visit = self.store.visit(id, now).await?.filter(|visit| visit.browser == browser);
        let visit = visit.ok_or_else(unknown)?;
        let client = self.store.oauth_client(visit.relying_party).await?.ok_or_else(unknown)?;
        let asked = asked_of(&visit)?;
        let request = match visit.request {
            Some(request) => self.store.request(request, now).await?,
            None => None,
        };
        let device = match &asked {
            Asked::Service { .. } => None,
            Asked::Credential(asked) => self.device_named(client.party.id, &asked.id),
        };
        Ok(Found { visit, asked, client, request, device })
    }

    /// A place to wait at the page.
    ///
    /// # Errors
    /// `temporarily_unavailable`.
    pub fn admit_visit_poll(&self, relying_party: RelyingPartyId) -> ServiceResult<Place> {
        self.counting("visit_polls", self.visit_polls.take(relying_party))
    }

    /// Whose visit it is.
    ///
    /// # Errors
    /// For another browser's visit as for none.
    pub async fn visited(&self, id: VisitId, browser: Option<&str>) -> Result<RelyingPartyId, OauthError> {
        Ok(self.visit_of(id, browser).await?.visit.relying_party)
    }

    /// How far a visit is, waiting for the phone as long as asked.
    ///
    /// # Errors
    /// For another browser's visit as for none.
    pub async fn visit_view(
        &self,
        id: VisitId,
        browser: Option<&str>,
        wait: WaitMs,
    ) -> Result<VisitView, OauthError> {
        if let Some(request) = self.visit_of(id, browser).await?.visit.request {
            self.wait_for_request(request, wait).await?;
        }
        let found = self.visit_of(id, browser).await?;
        let state = found.state();
        let codes = found.request.as_ref().filter(|_| state == VisitState::Waiting).and_then(|row| row.codes);
        let left = found.request.as_ref().map_or(found.visit.expires, |request| request.expires);
        let (text, documents, asks_who) = match found.asked {
            Asked::Service { person } => (None, Vec::new(), person.is_none() && state == VisitState::New),
            Asked::Credential(asked) => (asked.description.clone(), asked.asking().names(), false),
        };
        Ok(VisitView {
            relying_party: found.client.party.name,
            scope: if documents.is_empty() { "service" } else { "credential" },
            text,
            documents,
            verification_code: codes.map(|codes| codes.drawn.right),
            state,
            asks_who,
            seconds: left.0.saturating_sub(self.now().0),
        })
    }

    /// Asks the phone, unless it was asked; `person` is who the person at the browser says to be, where the client did not.
    ///
    /// # Errors
    /// For another browser's visit as for none; for a person who is none; for a credential that ended; too many open requests.
    pub async fn start_visit(
        &self,
        id: VisitId,
        browser: Option<&str>,
        person: Option<&str>,
    ) -> Result<(), OauthError> {
        let found = self.visit_of(id, browser).await?;
        if found.visit.request.is_some() && !found.visit.cancelled {
            return Ok(());
        }
        if found.visit.cancelled || self.now().plus(SIGN_SECONDS) > found.visit.expires {
            return Err(OauthRefusal::request("this visit is over").into());
        }
        let party = &found.client.party;
        let (request, authorisation) = match &found.asked {
            Asked::Service { person: known } => {
                let person = known.as_deref().or(person).unwrap_or_default().to_owned();
                (sign_in(&found.visit, &party.name, person), None)
            }
            Asked::Credential(asked) => {
                let credential = self.usable_credential(party.id, &asked.id).await?;
                let authorisation = NewAuthorisation {
                    token: hash(b"visit", &id.to_string()),
                    device: credential.device,
                    digests: asked.digests.clone(),
                    asked_by: None,
                };
                (asked.asking().request(&credential, SIGN_SECONDS), Some(authorisation))
            }
        };
        // Whose browser this is sees the code; who was only sent a question does not.
        let request = CreateRequest { verification_code: true, ..request };
        // Asked for twice at once, the phone is asked once: a visit has one request.
        let occasion = Occasion { visit: Some(id), authorisation, ..Occasion::default() };
        self.ask(party, request, occasion).await?;
        Ok(())
    }

    /// Ends a visit from the browser: the phone's request is taken back.
    ///
    /// # Errors
    /// For another browser's visit as for none.
    pub async fn cancel_visit(&self, id: VisitId, browser: Option<&str>) -> Result<(), OauthError> {
        self.visit_of(id, browser).await?;
        if let Some(request) = self.store.cancel_visit(id, self.now()).await? {
            self.tell_end(request).await;
        }
        Ok(())
    }

    /// Where the browser goes, with a code or with why there is none; nowhere while nothing is decided.
    ///
    /// # Errors
    /// For another browser's visit as for none; if the code was exchanged.
    pub async fn leave_visit(
        &self,
        id: VisitId,
        browser: Option<&str>,
    ) -> Result<Option<String>, OauthError> {
        let found = self.visit_of(id, browser).await?;
        let back = Back {
            uri: found.visit.redirect_uri.clone(),
            state: found.visit.state.clone(),
            issuer: self.oauth_issuer().to_owned(),
        };
        match found.decision() {
            Decision::Open => Ok(None),
            Decision::No(reason) => Ok(Some(back.refused(&denied(reason)))),
            Decision::Signed => {
                let now = self.now();
                let code = format!("{CODE_PREFIX}{}", new_token(&mut *self.rng()));
                if !self.store.give_code(id, code_hash(&code), now.plus(CODE_SECONDS), now).await? {
                    return Err(OauthRefusal::request("this visit is over").into());
                }
                Ok(Some(back.with(&[("code", &code)])))
            }
        }
    }
}

impl Found {
    fn decision(&self) -> Decision {
        if self.visit.cancelled {
            return Decision::No("CANCELLED");
        }
        self.request.as_ref().map_or(Decision::Open, |request| decision(&request.state, self.device))
    }

    fn state(&self) -> VisitState {
        match (self.decision(), self.visit.request) {
            (Decision::Open, None) => VisitState::New,
            (Decision::Open, Some(_)) => VisitState::Waiting,
            _ => VisitState::Decided,
        }
    }
}

/// What the holder signs to let a client see the certificate.
fn sign_in(visit: &VisitRow, name: &str, person: String) -> CreateRequest {
    let digest = Hasher::new(Domain::SignIn)
        .field(visit.relying_party.as_bytes())
        .field(visit.id.as_bytes())
        .number(visit.expires.0)
        .finish();
    CreateRequest {
        person,
        text: format!("Let {name} see your signing certificate. This signs no document."),
        documents: vec![DocumentDigest { name: "Sign-in".into(), sha256: STANDARD.encode(digest) }],
        expires_in: Some(SIGN_IN_SECONDS),
        ..CreateRequest::default()
    }
}

pub(super) fn asked_of(visit: &VisitRow) -> Result<Asked, OauthError> {
    serde_json::from_str(&visit.asked).map_err(|_| bug("what a stored visit asks for"))
}

pub(super) fn code_hash(code: &str) -> [u8; 32] {
    hash(b"code", code)
}

/// Stored form of what a browser or client keeps.
pub(super) fn hash(kind: &[u8], text: &str) -> [u8; 32] {
    Hasher::new(Domain::TokenHash).field(kind).field(text.as_bytes()).finish()
}

pub(super) fn bug(what: &'static str) -> OauthError {
    OauthError::Failed(ServiceError::Bug(what))
}
