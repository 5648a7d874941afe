//! `credentials/authorize`: asks the holder, by a signing request, to sign hashes; and gives out activation data (SAD) once
//! the phone has.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    domain::{Domain, Hasher},
    ids::{DeviceId, RequestId},
    wire::{CreateRequest, DocumentDigest},
};

use super::{Bearer, CredentialState, CscCredential, sign::sad_hash, wrong};
use crate::{
    service::{OauthError, OauthRefusal, Service, WaitMs, admin::new_token, ask::Occasion},
    store::{NewAuthorisation, RequestState},
};

/// Life of activation data, seconds.
const SAD_SECONDS: u64 = 300;

/// What is to be authorised.
#[derive(Debug, Clone)]
pub struct Authorising {
    /// Name of the credential.
    pub credential: String,
    /// The hashes.
    pub digests: Vec<[u8; 32]>,
    /// What the holder is shown, if the caller says.
    pub description: Option<String>,
    /// How long the holder has, seconds.
    pub seconds: u64,
}

/// What became of an authorisation.
pub enum Authorised {
    /// The holder has not decided.
    Waits,
    /// Signed: the activation data, and how long they are good, seconds.
    Yes(String, u64),
}

impl std::fmt::Debug for Authorised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorised(redacted)")
    }
}

/// What the phone is asked to sign.
pub(in crate::service) struct Asking<'a> {
    /// The hashes.
    pub(in crate::service) digests: &'a [[u8; 32]],
    /// What the phone calls them, in the same order.
    pub(in crate::service) names: Option<&'a [String]>,
    /// What the holder is shown.
    pub(in crate::service) description: Option<&'a str>,
}

impl Asking<'_> {
    /// What the phone calls the hashes: by number, where the client has no names.
    pub(in crate::service) fn names(&self) -> Vec<String> {
        let count = self.digests.len();
        self.names.map_or_else(|| (1..=count).map(|n| format!("{n} of {count}")).collect(), <[_]>::to_vec)
    }

    /// The signing request, for `seconds`.
    pub(in crate::service) fn request(&self, credential: &CscCredential, seconds: u64) -> CreateRequest {
        let document =
            |(name, digest): (String, &[u8; 32])| DocumentDigest { name, sha256: STANDARD.encode(digest) };
        CreateRequest {
            person: credential.holder.as_str().to_owned(),
            text: self.description.unwrap_or("The request says nothing about what is signed.").to_owned(),
            documents: self.names().into_iter().zip(self.digests).map(document).collect(),
            expires_in: Some(seconds),
            ..CreateRequest::default()
        }
    }
}

impl Service {
    /// Asks the holder. The handle is the request's id. The same call again, while the holder has not decided, or has signed and
    /// nothing was fetched, gets the same handle, and the holder is asked once.
    ///
    /// # Errors
    /// For a credential that is unknown or cannot sign, or a description that cannot be shown; too many open requests.
    pub async fn authorise(&self, bearer: &Bearer, asked: Authorising) -> Result<RequestId, OauthError> {
        bearer.of_service()?;
        let credential = self.credential(bearer, &asked.credential).await?;
        usable(&credential)?;
        let described = asked.description.is_some();
        let asking =
            Asking { digests: &asked.digests, names: None, description: asked.description.as_deref() };
        let request = asking.request(&credential, asked.seconds);
        let authorisation = NewAuthorisation {
            token: bearer.token,
            device: credential.device,
            digests: asked.digests.clone(),
            asked_by: Some(call_hash(bearer, &credential, &asked)),
        };
        let occasion = Occasion { authorisation: Some(authorisation), ..Occasion::default() };
        let made = self.ask(&bearer.party, request, occasion).await.map_err(OauthError::from);
        let made = made.map_err(|error| match error {
            OauthError::Refused(refusal) if described && refusal.description.starts_with("text ") => {
                wrong("description")
            }
            other => other,
        })?;
        Ok(made.id)
    }

    /// Waits for the holder as long as asked.
    ///
    /// # Errors
    /// `access_denied` with a reason; for a handle that is not this token's, or whose signatures were fetched.
    pub async fn authorised(
        &self,
        bearer: &Bearer,
        handle: RequestId,
        wait: WaitMs,
    ) -> Result<Authorised, OauthError> {
        bearer.of_service()?;
        let row = self.store.authorisation(handle).await?;
        let row = row.filter(|row| row.relying_party == bearer.party.id && row.token == bearer.token);
        let row = row.ok_or_else(|| wrong("handle"))?;
        self.wait_for_request(handle, wait).await?;
        let now = self.now();
        let request = self.store.request(handle, now).await?.ok_or_else(|| wrong("handle"))?;
        match decision(&request.state, Some(row.device)) {
            Decision::Open => Ok(Authorised::Waits),
            Decision::No(reason) => Err(denied(reason).into()),
            Decision::Signed => {
                let sad = new_token(&mut *self.rng());
                let given = self.store.give_sad(handle, sad_hash(&sad), now.plus(SAD_SECONDS), now).await?;
                let expires = given.ok_or_else(|| wrong("handle"))?;
                Ok(Authorised::Yes(sad, expires.0.saturating_sub(now.0)))
            }
        }
    }
}

/// By what a call is known when it comes again: the token, to which activation data are bound; the credential; the set of
/// hashes; what the holder is shown, and for how long, in which the two versions differ.
fn call_hash(bearer: &Bearer, credential: &CscCredential, asked: &Authorising) -> [u8; 32] {
    let mut set = asked.digests.clone();
    set.sort_unstable();
    let call = Hasher::new(Domain::Payload)
        .field(b"authorize")
        .field(&bearer.token)
        .field(credential.device.as_bytes())
        .number(asked.seconds)
        .number(asked.description.is_some().into())
        .field(asked.description.as_deref().unwrap_or_default().as_bytes());
    set.iter().fold(call, |hash, one| hash.field(one)).finish()
}

/// What the phone decided.
pub(in crate::service) enum Decision {
    /// Nothing yet.
    Open,
    /// It signed.
    Signed,
    /// It did not, and why, of a closed list.
    No(&'static str),
}

/// What was decided on a request that the key of `wanted`, if that was said, should have signed.
pub(in crate::service) fn decision(state: &RequestState, wanted: Option<DeviceId>) -> Decision {
    match state {
        RequestState::Open => Decision::Open,
        RequestState::Signed { device, .. } if wanted.is_none_or(|wanted| wanted == *device) => {
            Decision::Signed
        }
        // Another phone of the holder signed: not with the key that was asked for.
        RequestState::Signed { .. } | RequestState::KeyEnded => Decision::No("KEY_ENDED"),
        RequestState::Declined => Decision::No("USER_REFUSED"),
        RequestState::Cancelled => Decision::No("CANCELLED"),
        RequestState::Expired => Decision::No("TIMEOUT"),
        RequestState::WrongCode => Decision::No("WRONG_VC"),
    }
}

/// The refusal for what the phone did not sign.
pub(in crate::service) fn denied(reason: &'static str) -> OauthRefusal {
    let text = match reason {
        "USER_REFUSED" => "The holder declined on the phone",
        "TIMEOUT" => "The holder did not answer in time",
        "WRONG_VC" => "The holder chose another verification code than the one shown",
        "CANCELLED" => "The request was cancelled",
        _ => "The key of this credential has ended",
    };
    OauthRefusal { reason: Some(reason), ..OauthRefusal::new(400, "access_denied", text) }
}

/// Refuses a credential that cannot sign now.
pub(super) fn usable(credential: &CscCredential) -> Result<(), OauthError> {
    let text = match credential.state {
        CredentialState::Valid => return Ok(()),
        CredentialState::Expired => "Signing certificate is expired",
        CredentialState::Suspended | CredentialState::Revoked => {
            "The credential identified by credentialID is disabled"
        }
    };
    Err(OauthRefusal::request(text).into())
}
