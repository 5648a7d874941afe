//! A client sends a browser here, with what it asks for in the address or under the name of a pushed request.

use signer_core::ids::{RelyingPartyId, VisitId};

use super::{
    Asked, ClientClaim, Fields, NOT_THE_CLIENT, OauthError, OauthRefusal,
    asked::{challenge, state},
    back::Back,
    visit::{bug, hash},
};
use crate::{
    service::{Service, admin::new_token},
    store::{Act, OauthClientRow, VisitRow},
};

/// Life of a visit and of a pushed request (RFC 9126 §2.2), seconds.
const VISIT_SECONDS: u64 = 900;
const PUSHED_SECONDS: u64 = 90;
/// Longest pushed request as it is kept, bytes.
const PUSHED_BYTES_MAX: usize = 16 * 1024;
/// What names of pushed requests begin with (RFC 9126 §2.2).
const PUSHED_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// Length of a browser's cookie.
const BROWSER_BYTES: usize = 43;

/// A visit that began.
pub struct Begun {
    /// Its id.
    pub visit: VisitId,
    /// What the browser keeps as a cookie.
    pub browser: String,
}

/// Why a visit did not begin.
#[derive(Debug)]
pub enum NoVisit {
    /// Whose browser it is is not proven: it stays here.
    Here(OauthError),
    /// The client learns why, at this address.
    Back(String),
}

/// Parameters that a client pushed.
#[derive(Debug)]
pub struct Pushed {
    /// Their name, once.
    pub request_uri: String,
    /// Their life, seconds.
    pub expires_in: u64,
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Begun(redacted)")
    }
}

impl Service {
    /// Keeps what a client wants to ask for, until a browser brings the name (RFC 9126).
    ///
    /// # Errors
    /// `invalid_client`; those of [`Service::begin_visit`], all told here.
    pub async fn push(&self, claim: ClientClaim, fields: &Fields) -> Result<Pushed, OauthError> {
        let now = self.now();
        let proven = self.prove(claim, now).await?;
        let client = self.store.oauth_client(proven.client).await?;
        let client = may_ask(client.ok_or_else(|| OauthRefusal::client(NOT_THE_CLIENT))?)?;
        if fields.contains_key("request_uri") {
            return Err(OauthRefusal::request("request_uri is not pushed").into());
        }
        Back::of(&client, fields, self.oauth_issuer())?;
        state(fields)?;
        self.read_asked(&client, fields).await?;
        let name = new_token(&mut *self.rng());
        let parameters = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        if parameters.len() > PUSHED_BYTES_MAX {
            return Err(OauthRefusal::request("the parameters are longer than 16 KiB").into());
        }
        let act = Act::Push(hash(b"pushed", &name), parameters, now.plus(PUSHED_SECONDS));
        self.act(proven, act, now).await?;
        Ok(Pushed { request_uri: format!("{PUSHED_PREFIX}{name}"), expires_in: PUSHED_SECONDS })
    }

    /// Begins a visit with the parameters a browser brought, for a browser that has this cookie. The phone is not asked yet.
    ///
    /// # Errors
    /// [`NoVisit`].
    pub async fn begin_visit(&self, fields: &Fields, browser: Option<&str>) -> Result<Begun, NoVisit> {
        let client = self.visiting(fields).await.map_err(NoVisit::Here)?;
        let pushed = self.pushed(&client, fields).await.map_err(NoVisit::Here)?;
        let fields = pushed.as_ref().unwrap_or(fields);
        let here = |refusal: OauthRefusal| NoVisit::Here(refusal.into());
        let mut back = Back::of(&client, fields, self.oauth_issuer()).map_err(here)?;
        back.state = state(fields).map_err(|refusal| NoVisit::Back(back.refused(&refusal)))?;
        let sent = |error: OauthError| match error {
            OauthError::Refused(refusal) => NoVisit::Back(back.refused(&refusal)),
            failed @ OauthError::Failed(_) => NoVisit::Here(failed),
        };
        let (challenge, asked) = self.read_asked(&client, fields).await.map_err(sent)?;
        let now = self.now();
        let browser = browser.filter(|browser| browser.len() == BROWSER_BYTES).map(str::to_owned);
        let browser = browser.unwrap_or_else(|| new_token(&mut *self.rng()));
        let visit = VisitRow {
            id: VisitId::random(&mut *self.rng()),
            browser: hash(b"browser", &browser),
            relying_party: client.party.id,
            redirect_uri: back.uri.clone(),
            state: back.state.clone(),
            challenge,
            asked: serde_json::to_string(&asked).map_err(|_| sent(bug("what is asked, to JSON")))?,
            expires: now.plus(VISIT_SECONDS),
            request: None,
            cancelled: false,
        };
        let id = visit.id;
        if self.store.add_visit(visit, now).await.map_err(|error| sent(error.into()))? {
            tracing::info!(visit = %id, relying_party = %client.party.id, scope = asked.scope(), "visit began");
            return Ok(Begun { visit: id, browser });
        }
        let text = "too many browsers of this client are here";
        Err(sent(OauthRefusal::new(400, "temporarily_unavailable", text).into()))
    }

    /// The client that sent a browser.
    async fn visiting(&self, fields: &Fields) -> Result<OauthClientRow, OauthError> {
        let id = fields.get("client_id").ok_or_else(|| OauthRefusal::request("client_id is missing"))?;
        let unknown = || OauthRefusal::request("client_id is no client of this server");
        let id: RelyingPartyId = id.parse().map_err(|_| unknown())?;
        Ok(may_ask(self.store.oauth_client(id).await?.ok_or_else(unknown)?)?)
    }

    /// The parameters that were pushed, if the browser brings their name; others beside it count for nothing.
    async fn pushed(&self, client: &OauthClientRow, fields: &Fields) -> Result<Option<Fields>, OauthError> {
        let Some(uri) = fields.get("request_uri") else { return Ok(None) };
        let text = "request_uri is not known, was used, or is over";
        let refusal = || OauthRefusal::new(400, "invalid_request_uri", text);
        let name = uri.strip_prefix(PUSHED_PREFIX).ok_or_else(refusal)?;
        let taken = self.store.take_pushed(hash(b"pushed", name), client.party.id, self.now()).await?;
        let taken = taken.ok_or_else(refusal)?;
        Ok(Some(form_urlencoded::parse(taken.as_bytes()).into_owned().collect()))
    }

    async fn read_asked(
        &self,
        client: &OauthClientRow,
        fields: &Fields,
    ) -> Result<([u8; 32], Asked), OauthError> {
        let challenge = challenge(fields)?;
        let asked = Asked::read(fields)?;
        if let Asked::Credential(asked) = &asked {
            self.usable_credential(client.party.id, &asked.id).await?;
        }
        Ok((challenge, asked))
    }
}

fn may_ask(client: OauthClientRow) -> Result<OauthClientRow, OauthRefusal> {
    if client.party.may_ask {
        return Ok(client);
    }
    Err(OauthRefusal::new(400, "unauthorized_client", "the client may not ask for signatures"))
}
