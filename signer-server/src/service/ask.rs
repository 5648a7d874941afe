//! Making a signing request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    approval::{Document, FIELDS_MAX, Field, RelyingParty, RequestObject},
    codec::{Label, List, Text},
    domain::{Domain, Hasher},
    ids::{RequestId, VisitId},
    suite::{PROTOCOL_VERSION, SuiteId},
    time::UnixSeconds,
    wire::{
        CreateRequest, CreatedRequest, DocumentDigest, DrawnCodes, Event, ProblemCode, REQUEST_SECONDS,
        RequestField, VerificationCode,
    },
};

use super::{Refusal, Service, ServiceError, ServiceResult, limits::Asked, requests::invalid};
use crate::store::{
    AddResult, Holder, NewAuthorisation, NewLink, NewRequest, OPEN_REQUESTS_MAX, Purpose, RelyingPartyRow,
};

/// Life of a request that does not say, seconds.
const REQUEST_SECONDS_DEFAULT: u64 = 300;

/// What a request is made for, and by what it is known when it is asked for again.
#[derive(Debug, Default)]
pub(super) struct Occasion {
    /// Hashes of the idempotency key of the session API, and of the body.
    pub(super) idempotency: Option<([u8; 32], [u8; 32])>,
    /// The visit of a browser.
    pub(super) visit: Option<VisitId>,
    /// What may be fetched of it through the CSC API.
    pub(super) authorisation: Option<NewAuthorisation>,
}

impl Service {
    /// Makes a request. Whether the person exists is not revealed: a request to nobody just expires.
    ///
    /// # Errors
    /// A refusal that names the value that is wrong; `idempotency_in_flight` while the first with this key is being made.
    pub async fn create_request(
        &self,
        asker: &RelyingPartyRow,
        request: CreateRequest,
        idempotency_key: Option<&str>,
    ) -> ServiceResult<CreatedRequest> {
        let body = Hasher::new(Domain::Payload)
            .field(b"create-request")
            .field(&serde_json::to_vec(&request).map_err(|_| ServiceError::Bug("request to JSON"))?)
            .finish();
        let idempotency = idempotency_key.map(|key| idempotency(asker, key, body)).transpose()?;
        let _flight = idempotency.map(|(key, _)| self.flights.begin(key)).transpose()?;
        self.ask(asker, request, Occasion { idempotency, ..Occasion::default() }).await
    }

    /// Makes a request with all that stands on it, in one transaction, or finds the one that was made for the same.
    ///
    /// # Errors
    /// A refusal that names the value that is wrong, or says why there can be none now.
    pub(super) async fn ask(
        &self,
        asker: &RelyingPartyRow,
        request: CreateRequest,
        occasion: Occasion,
    ) -> ServiceResult<CreatedRequest> {
        let _announced = self.store.announce();
        let new = self.new_request(asker, request, occasion).await?;
        let made =
            self.made(new.id, new.expires, new.codes.map(|codes| codes.right), new.link.as_ref()).await?;
        let (holder, sign_in) = (new.holder.clone(), new.purpose() == Purpose::SignIn);
        let asked = Asked { party: asker.id, person: &holder, sign_in };
        // Who opens a link asks for it: nobody is asked yet.
        let counted = new.link.is_none();
        if counted && let Err(refusal) = self.limits.ask(asked, self.now()) {
            // The same again asks nobody.
            return match self.store.added_before(new).await? {
                Some(id) => self.made_before(id).await,
                None => Err(refusal.into()),
            };
        }
        let added = self.store.add_request(new).await;
        if counted && !matches!(added, Ok(AddResult::Added)) {
            self.limits.not_asked(asked);
        }
        match added? {
            AddResult::Added => {
                tracing::info!(request = %made.id, relying_party = %asker.id, "request made");
                self.tell_holder(&holder, Event::Requests).await;
                Ok(made)
            }
            AddResult::Same(id) => self.made_before(id).await,
            refused => Err(self.not_added(&refused).into()),
        }
    }

    fn not_added(&self, refused: &AddResult) -> Refusal {
        let too_many = |text: String| Refusal::because(ProblemCode::TooMany, text);
        match refused {
            AddResult::Mismatch => Refusal::new(ProblemCode::IdempotencyMismatch),
            AddResult::VisitOver => Refusal::because(ProblemCode::RequestClosed, "this visit is over"),
            AddResult::SigningIn(until) => {
                let text = "this person is asked to sign in already: what was begun elsewhere is declined on the phone, which makes room at once";
                let wait = until.0.saturating_sub(self.now().0).max(1);
                Refusal { retry_after: Some(wait), ..too_many(text.into()) }
            }
            AddResult::Full(max) => too_many(format!(
                "the requests of this relying party take the {max} bytes they may: they are forgotten 7 days after their end; until then the operator can allow more"
            )),
            AddResult::TooMany | AddResult::Added | AddResult::Same(_) => {
                too_many(format!("at most {OPEN_REQUESTS_MAX} open requests for one person"))
            }
        }
    }

    /// What the request's maker was told when it was made.
    async fn made_before(&self, id: RequestId) -> ServiceResult<CreatedRequest> {
        let row = self.store.request(id, self.now()).await?.ok_or(ServiceError::Bug("stored request"))?;
        let verification_code = row.codes.map(|codes| codes.drawn.right);
        self.made(id, row.expires, verification_code, row.link.as_ref().map(|link| &link.made)).await
    }

    async fn made(
        &self,
        id: RequestId,
        expires: UnixSeconds,
        verification_code: Option<VerificationCode>,
        link: Option<&NewLink>,
    ) -> ServiceResult<CreatedRequest> {
        let mut made = CreatedRequest {
            id,
            expires: expires.0,
            verification_code,
            link_url: None,
            link_token: None,
            link_secret: None,
        };
        if let Some(link) = link {
            self.tell_link(&mut made, link).await?;
        }
        Ok(made)
    }

    /// Whom a request is for: a person, by either name, or whoever opens its link.
    async fn holder_asked(&self, asker: &RelyingPartyRow, request: &CreateRequest) -> ServiceResult<Holder> {
        if request.link {
            return match request.person.as_str() {
                "" => Ok(Holder::nobody()),
                _ => Err(invalid("a request is for a person or for a link, not for both").into()),
            };
        }
        let named = Holder::new(&request.person)
            .ok_or_else(|| invalid("person is 1 to 64 visible ASCII characters, unless link is true"))?;
        self.meant(asker.id, named).await
    }

    /// Checks what is asked and fills in the rest.
    async fn new_request(
        &self,
        asker: &RelyingPartyRow,
        request: CreateRequest,
        occasion: Occasion,
    ) -> ServiceResult<NewRequest> {
        let holder = self.holder_asked(asker, &request).await?;
        let created = self.now();
        let expires = end(created, request.expires_in)?;
        let codes = request.verification_code.then(|| DrawnCodes::random(&mut *self.rng()));
        let object = RequestObject {
            version: PROTOCOL_VERSION,
            request: RequestId::random(&mut *self.rng()),
            relying_party: RelyingParty {
                id: asker.id,
                name: Label::new(asker.name.clone()).ok_or(ServiceError::Bug("registered name"))?,
            },
            documents: documents(request.documents)?,
            text: Text::new(request.text)
                .ok_or_else(|| invalid("text is 1 to 2000 bytes of NFC text without hidden characters"))?,
            created,
            expires,
            fields: fields(request.fields)?,
        };
        let link = if request.link { Some(self.new_link(object.request).await?) } else { None };
        Ok(NewRequest {
            id: object.request,
            relying_party: asker.id,
            holder,
            object: object.encode(),
            created,
            expires,
            idempotency: occasion.idempotency,
            codes,
            link,
            visit: occasion.visit,
            authorisation: occasion.authorisation,
            kept_bytes_max: self.limits.kept_bytes(),
        })
    }
}

fn end(created: UnixSeconds, seconds: Option<u64>) -> Result<UnixSeconds, Refusal> {
    let seconds = seconds.unwrap_or(REQUEST_SECONDS_DEFAULT);
    if !REQUEST_SECONDS.contains(&seconds) {
        return Err(invalid("expires_in is from 30 to 86400 seconds"));
    }
    Ok(created.plus(seconds))
}

fn fields(asked: Vec<RequestField>) -> Result<Option<List<Field, FIELDS_MAX>>, Refusal> {
    if asked.is_empty() {
        return Ok(None);
    }
    let line = "is one line of NFC text without hidden characters";
    let fields = asked.into_iter().map(|field| {
        Ok(Field {
            label: Label::new(field.label)
                .ok_or_else(|| invalid(format!("fields[].label {line}, 1 to 80 bytes")))?,
            value: Label::new(field.value)
                .ok_or_else(|| invalid(format!("fields[].value {line}, 1 to 200 bytes")))?,
        })
    });
    let fields = List::new(fields.collect::<Result<Vec<_>, Refusal>>()?);
    fields.map(Some).ok_or_else(|| invalid(format!("fields has at most {FIELDS_MAX} entries")))
}

fn documents<const MAX: usize>(asked: Vec<DocumentDigest>) -> ServiceResult<List<Document, MAX>> {
    let documents = asked.into_iter().map(|document| {
        let digest =
            STANDARD.decode(&document.sha256).ok().and_then(|digest| <[u8; 32]>::try_from(digest).ok());
        let digest = digest.ok_or_else(|| invalid("documents[].sha256 is 32 bytes in standard base64"))?;
        // Whichever suite the person's key has: a request must not end at an approval that cannot be made.
        if let Some(suite) = SuiteId::ALL.into_iter().find(|suite| !suite.get().is_signable(&digest)) {
            return Err(invalid(format!(
                "documents[].sha256 is a number that {} cannot sign: 0 modulo the order of its group",
                suite.name()
            )));
        }
        Ok(Document {
            name: Label::new(document.name).ok_or_else(|| {
                invalid(
                    "documents[].name is one line of 1 to 200 bytes of NFC text without hidden characters",
                )
            })?,
            digest,
        })
    });
    let documents = documents.collect::<Result<Vec<_>, Refusal>>()?;
    List::new(documents).ok_or_else(|| invalid(format!("documents has 1 to {MAX} entries")).into())
}

fn idempotency(asker: &RelyingPartyRow, key: &str, body: [u8; 32]) -> Result<([u8; 32], [u8; 32]), Refusal> {
    if !(1..=128).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid("Idempotency-Key is 1 to 128 visible ASCII characters"));
    }
    let key =
        Hasher::new(Domain::TokenHash).field(b"idempotency").field(asker.id.as_bytes()).field(key.as_bytes());
    Ok((key.finish(), body))
}
