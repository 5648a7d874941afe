//! `credentials/authorize`: asks the holder, by a signing request, to sign hashes; and gives out activation data (SAD) once
//! the phone has.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    ids::RequestId,
    wire::{CreateRequest, DocumentDigest},
};

use super::{Bearer, CredentialState, CscCredential, sign::sad_hash, wrong};
use crate::{
    service::{OauthError, OauthRefusal, Service, WaitMs, admin::new_token},
    store::{AuthorisationRow, RequestState},
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

impl Service {
    /// Asks the holder. The handle is the request's id.
    ///
    /// # Errors
    /// For a credential that is unknown or cannot sign, or a description that cannot be shown; too many open requests.
    pub async fn authorise(&self, bearer: &Bearer, asked: Authorising) -> Result<RequestId, OauthError> {
        let credential = self.credential(bearer, &asked.credential).await?;
        usable(&credential)?;
        let count = asked.digests.len();
        let document = |(n, digest): (usize, &[u8; 32])| DocumentDigest {
            name: format!("{n} of {count}"),
            sha256: STANDARD.encode(digest),
        };
        let described = asked.description.is_some();
        let text =
            asked.description.unwrap_or_else(|| "The request says nothing about what is signed.".into());
        let request = CreateRequest {
            person: credential.holder.as_str().to_owned(),
            text,
            documents: (1..).zip(&asked.digests).map(document).collect(),
            expires_in: Some(asked.seconds),
            ..CreateRequest::default()
        };
        let made = self.create_request(&bearer.party, request, None).await.map_err(OauthError::from);
        let made = made.map_err(|error| match error {
            OauthError::Refused(refusal) if described && refusal.description.starts_with("text ") => {
                wrong("description")
            }
            other => other,
        })?;
        let row = AuthorisationRow {
            request: made.id,
            relying_party: bearer.party.id,
            token: bearer.token,
            device: credential.device,
            digests: asked.digests,
        };
        self.store.add_authorisation(row, self.now()).await?;
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
        let row = self.store.authorisation(handle).await?;
        let row = row.filter(|row| row.relying_party == bearer.party.id && row.token == bearer.token);
        let row = row.ok_or_else(|| wrong("handle"))?;
        self.request_view(&bearer.party, handle, wait).await?;
        let now = self.now();
        let request = self.store.request(handle, now).await?.ok_or_else(|| wrong("handle"))?;
        let reason = match request.state {
            RequestState::Open => return Ok(Authorised::Waits),
            RequestState::Signed { device, .. } if device == row.device => {
                let sad = new_token(&mut *self.rng());
                let given = self.store.give_sad(handle, sad_hash(&sad), now.plus(SAD_SECONDS), now).await?;
                let expires = given.ok_or_else(|| wrong("handle"))?;
                return Ok(Authorised::Yes(sad, expires.0.saturating_sub(now.0)));
            }
            // Another phone of the holder signed: not with the key that was asked for.
            RequestState::Signed { .. } | RequestState::KeyEnded => "KEY_ENDED",
            RequestState::Declined => "USER_REFUSED",
            RequestState::Cancelled => "CANCELLED",
            RequestState::Expired => "TIMEOUT",
            RequestState::WrongCode => "WRONG_VC",
        };
        Err(denied(reason).into())
    }
}

fn denied(reason: &'static str) -> OauthRefusal {
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
