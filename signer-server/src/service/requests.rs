//! Signing requests: the relying party's side, and what their holder sees of them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    approval::{ApprovalRecord, Document, RelyingParty, RequestObject},
    codec::{Label, List, Text},
    domain::{Domain, Hasher},
    history::{Act, Asked, SealedEntry},
    ids::RequestId,
    suite::{PROTOCOL_VERSION, SuiteId},
    wire::{
        ApprovalEvidence, CreateRequest, CreatedRequest, Decline, Declined, DocumentDigest,
        DocumentSignature, Event, OutcomeQuery, PENDING_MAX, PendingRequests, ProblemCode, REQUEST_SECONDS,
        RequestOutcome, RequestStatus, RequestView, RequestsQuery, SignedResult, Standing, WAIT_MS_MAX,
    },
};

use super::{
    Refusal, Service, ServiceError, ServiceResult,
    sign::{decode_object, signature_list},
    watch::Watched,
};
use crate::store::{
    AddResult, CloseResult, ClosedBy, Holder, NewRequest, OPEN_REQUESTS_MAX, RelyingPartyRow, RequestRow,
    RequestState,
};

/// Life of a request that does not say, seconds.
const REQUEST_SECONDS_DEFAULT: u64 = 300;

/// How long a result is waited for, milliseconds, at most [`WAIT_MS_MAX`].
#[derive(Debug, Clone, Copy)]
pub struct WaitMs(u64);

impl WaitMs {
    /// The wait, or a refusal if it is too long.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn new(ms: u64) -> Result<Self, Refusal> {
        if ms <= WAIT_MS_MAX {
            Ok(Self(ms))
        } else {
            Err(invalid(format!("timeout_ms is at most {WAIT_MS_MAX}")))
        }
    }

    pub(super) const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Service {
    /// Makes a request. Whether the person exists is not revealed: a request to nobody just expires.
    ///
    /// # Errors
    /// A refusal that names the value that is wrong.
    pub async fn create_request(
        &self,
        asker: &RelyingPartyRow,
        request: CreateRequest,
        idempotency_key: Option<&str>,
    ) -> ServiceResult<CreatedRequest> {
        let _announced = self.store.announce();
        let now = self.now();
        let body = Hasher::new(Domain::Payload)
            .field(b"create-request")
            .field(&serde_json::to_vec(&request).map_err(|_| ServiceError::Bug("request to JSON"))?)
            .finish();
        let idempotency = idempotency_key.map(|key| idempotency(asker, key, body)).transpose()?;
        let holder = Holder::new(&request.person)
            .ok_or_else(|| invalid("person is 1 to 64 visible ASCII characters"))?;
        let seconds = request.expires_in.unwrap_or(REQUEST_SECONDS_DEFAULT);
        if !REQUEST_SECONDS.contains(&seconds) {
            return Err(invalid("expires_in is from 30 to 86400 seconds").into());
        }
        let expires = now.plus(seconds);
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
            created: now,
            expires,
        };
        let id = object.request;
        let asked = holder.clone();
        let new = NewRequest {
            id,
            relying_party: asker.id,
            holder,
            object: object.encode(),
            created: now,
            expires,
            idempotency,
        };
        match self.store.add_request(new).await? {
            AddResult::Added => {
                tracing::info!(request = %id, relying_party = %asker.id, "request made");
                self.tell_holder(&asked, Event::Requests).await;
                Ok(CreatedRequest { id, expires: expires.0 })
            }
            AddResult::Same(id) => {
                let row =
                    self.store.request(id, self.now()).await?.ok_or(ServiceError::Bug("stored request"))?;
                Ok(CreatedRequest { id, expires: row.expires.0 })
            }
            AddResult::TooMany => {
                let text = format!("at most {OPEN_REQUESTS_MAX} open requests for one person");
                Err(Refusal::because(ProblemCode::TooMany, text).into())
            }
            AddResult::Mismatch => Err(Refusal::new(ProblemCode::IdempotencyMismatch).into()),
        }
    }

    /// State of a request, waiting for its end as long as asked.
    ///
    /// # Errors
    /// `not_found` for others' requests too.
    pub async fn request_view(
        &self,
        asker: &RelyingPartyRow,
        id: RequestId,
        wait: WaitMs,
    ) -> ServiceResult<RequestView> {
        let look = || async move {
            let row = self.own_request(asker, id).await?;
            let open = (row.state == RequestState::Open).then_some(row.expires);
            Ok((row, open))
        };
        self.view(self.wait_for(Watched::Request(id), wait, look).await?).await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// `not_found`, or `request_closed` if it ended otherwise.
    pub async fn cancel_request(&self, asker: &RelyingPartyRow, id: RequestId) -> ServiceResult<()> {
        self.close(id, ClosedBy::RelyingParty(asker.id), None).await
    }

    /// Requests that wait for the calling device's holder.
    ///
    /// # Errors
    /// A refusal if the message is not the device's.
    pub async fn pending(&self, bytes: &[u8]) -> ServiceResult<PendingRequests> {
        let (RequestsQuery {}, caller) = self.open(bytes).await?;
        let limit = u32::try_from(PENDING_MAX).unwrap_or(u32::MAX);
        let rows = self.store.pending(caller.installation.device, caller.now, limit).await?;
        let requests = rows.iter().map(decode_object).collect::<ServiceResult<_>>()?;
        Ok(PendingRequests { time: caller.now, requests })
    }

    /// What became of a request, as its holder's device is told.
    ///
    /// # Errors
    /// `not_found` for others' requests too.
    pub async fn outcome(&self, bytes: &[u8]) -> ServiceResult<RequestOutcome> {
        let (query, caller) = self.open::<OutcomeQuery>(bytes).await?;
        let request = self.request_of(&caller.installation, query.request).await?;
        // A phone that was replaced learns what it signed itself, and no more.
        let own = matches!(request.state, RequestState::Signed { device, .. } if device == caller.installation.device);
        if caller.installation.standing == Standing::Revoked && !own {
            return Err(Refusal::new(ProblemCode::Revoked).into());
        }
        Ok(match request.state {
            RequestState::Open => {
                RequestOutcome::Open { attempts: caller.installation.counter.shown(&self.policy, caller.now) }
            }
            RequestState::Signed { signatures, .. } => {
                RequestOutcome::Signed { signatures: signature_list(signatures)? }
            }
            RequestState::Declined => RequestOutcome::Declined {},
            RequestState::Cancelled => RequestOutcome::Cancelled {},
            RequestState::Expired => RequestOutcome::Expired {},
            RequestState::KeyEnded => RequestOutcome::KeyEnded {},
        })
    }

    /// The holder says no.
    ///
    /// # Errors
    /// `not_found`, or `request_closed` if it ended otherwise.
    pub async fn decline(&self, bytes: &[u8]) -> ServiceResult<Declined> {
        let (decline, caller) = self.open::<Decline>(bytes).await?;
        let installation = &caller.installation;
        let request = self.request_of(installation, decline.request).await?;
        let told = match request.state {
            RequestState::Open => {
                let asked =
                    Asked::of(&decode_object(&request)?).ok_or(ServiceError::Bug("a request of nothing"))?;
                self.note(installation, Act::Declined { asked })?
            }
            _ => None,
        };
        self.close(decline.request, ClosedBy::Device(installation.device), told).await?;
        Ok(Declined {})
    }

    async fn close(&self, id: RequestId, by: ClosedBy, told: Option<SealedEntry>) -> ServiceResult<()> {
        match self.store.close_request(id, by, told, self.now()).await? {
            CloseResult::Closed => {
                self.watch.ring(Watched::Request(id));
                if let Ok(Some(row)) = self.store.request(id, self.now()).await {
                    self.tell_holder(&row.holder, Event::Requests).await;
                }
                Ok(())
            }
            CloseResult::NotFound => Err(Refusal::new(ProblemCode::NotFound).into()),
            CloseResult::AlreadyEnded => Err(Refusal::new(ProblemCode::RequestClosed).into()),
        }
    }

    async fn own_request(&self, asker: &RelyingPartyRow, id: RequestId) -> ServiceResult<RequestRow> {
        let row = self.store.request(id, self.now()).await?;
        row.filter(|row| row.relying_party == asker.id)
            .ok_or_else(|| Refusal::new(ProblemCode::NotFound).into())
    }

    async fn view(&self, row: RequestRow) -> ServiceResult<RequestView> {
        let status = status_of(&row.state);
        let (id, expires) = (row.id, row.expires.0);
        let result = match row.state {
            RequestState::Signed { ref record, record_signature, device, ref signatures, .. } => {
                let installation = self.store.installation(device).await?;
                let installation = installation.ok_or(ServiceError::Bug("signer of a stored request"))?;
                let evidence = ApprovalEvidence {
                    record: STANDARD.encode(record),
                    signature: STANDARD.encode(record_signature),
                    device_key: STANDARD.encode(installation.device_key),
                };
                let record =
                    ApprovalRecord::decode(record).map_err(|_| ServiceError::Bug("stored record"))?;
                let chain = self.chain_for_result(device, record.request.created).await?;
                let public_key = installation.key.public_key.0;
                Some(signed_result(&record, public_key, signatures, evidence, chain))
            }
            _ => None,
        };
        Ok(RequestView { id, status, expires, result })
    }
}

pub(super) const fn status_of(state: &RequestState) -> RequestStatus {
    match state {
        RequestState::Open => RequestStatus::Open,
        RequestState::Signed { .. } => RequestStatus::Signed,
        RequestState::Declined => RequestStatus::Declined,
        RequestState::Cancelled => RequestStatus::Cancelled,
        RequestState::Expired => RequestStatus::Expired,
        RequestState::KeyEnded => RequestStatus::KeyEnded,
    }
}

fn signed_result(
    record: &ApprovalRecord,
    public_key: [u8; 33],
    signatures: &[Vec<u8>],
    approval: ApprovalEvidence,
    certificate_chain: Option<Vec<String>>,
) -> SignedResult {
    let suite: SuiteId = record.suite;
    let documents = record.request.documents.as_slice().iter().zip(signatures);
    SignedResult {
        suite: suite.name().into(),
        public_key: STANDARD.encode(public_key),
        signatures: documents
            .map(|(document, signature)| DocumentSignature {
                name: document.name.as_str().into(),
                sha256: STANDARD.encode(document.digest),
                signature: STANDARD.encode(signature),
            })
            .collect(),
        approval,
        certificate_chain,
    }
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

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::because(ProblemCode::InvalidValue, text)
}
