//! Signing requests: the relying party's side, and what their holder sees of them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use signer_core::{
    approval::{ApprovalRecord, Document},
    ceremony::EnrolmentProof,
    certificate::der_from_raw,
    codec::List,
    history::{Act, Asked, SealedEntry},
    ids::RequestId,
    suite::SuiteId,
    wire::{
        ApprovalEvidence, CodeChoice, Decline, Declined, DocumentSignature, EnrolmentEvidence, Event,
        OutcomeQuery, PENDING_MAX, PendingRequests, ProblemCode, RequestOutcome, RequestStatus, RequestView,
        RequestsQuery, SignedResult, Standing, WAIT_MS_MAX,
    },
};

use super::{
    Refusal, Service, ServiceError, ServiceResult, limits,
    sign::{decode_object, signature_list},
};
use crate::store::{CloseResult, ClosedBy, Ended, Purpose, RelyingPartyRow, RequestRow, RequestState};

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
        self.view(self.wait_for(Ended::Request(id), wait, look).await?).await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// `not_found`, or `request_closed` if it ended otherwise.
    pub async fn cancel_request(&self, asker: &RelyingPartyRow, id: RequestId) -> ServiceResult<()> {
        self.own_request(asker, id).await?;
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
        let codes = List::new(rows.iter().filter_map(code_choice).collect());
        Ok(PendingRequests { time: caller.now, requests, codes })
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
            RequestState::WrongCode => RequestOutcome::WrongCode {},
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
        // The same refusal sent again is one.
        if request.state == RequestState::Open {
            self.count_refusal(&request);
        }
        Ok(Declined {})
    }

    /// Counts that its holder refused a request.
    pub(super) fn count_refusal(&self, request: &RequestRow) {
        let RequestRow { relying_party: party, holder: person, purpose, .. } = request;
        let sign_in = *purpose == Purpose::SignIn;
        self.limits.declined(limits::Asked { party: *party, person, sign_in }, self.now());
    }

    async fn close(&self, id: RequestId, by: ClosedBy, told: Option<SealedEntry>) -> ServiceResult<()> {
        match self.store.close_request(id, by, told, self.now()).await? {
            CloseResult::Closed => {
                self.tell_end(id).await;
                Ok(())
            }
            CloseResult::NotFound => Err(Refusal::new(ProblemCode::NotFound).into()),
            CloseResult::AlreadyEnded => Err(Refusal::new(ProblemCode::RequestClosed).into()),
        }
    }

    /// Wakes who waits for the end of a request: its relying party, and its holder's other screens.
    pub(super) async fn tell_end(&self, id: RequestId) {
        self.ring(Ended::Request(id));
        if let Ok(Some(row)) = self.store.request(id, self.now()).await {
            self.tell_holder(&row.holder, Event::Requests).await;
        }
    }

    /// A request whose result is for the session API: what was asked through the CSC API or at the authorisation page has its
    /// own ways out, with activation data, tokens and codes.
    pub(super) async fn own_request(
        &self,
        asker: &RelyingPartyRow,
        id: RequestId,
    ) -> ServiceResult<RequestRow> {
        let row = self.store.request(id, self.now()).await?;
        row.filter(|row| row.relying_party == asker.id && row.purpose == Purpose::Session)
            .ok_or_else(|| Refusal::new(ProblemCode::NotFound).into())
    }

    /// Waits for the end of a request as long as asked.
    pub(super) async fn wait_for_request(&self, request: RequestId, wait: WaitMs) -> ServiceResult<()> {
        let look = || async move {
            let row = self.store.request(request, self.now()).await?;
            Ok(((), row.filter(|row| row.state == RequestState::Open).map(|row| row.expires)))
        };
        self.wait_for(Ended::Request(request), wait, look).await
    }

    async fn view(&self, row: RequestRow) -> ServiceResult<RequestView> {
        let status = status_of(&row.state);
        let (id, expires) = (row.id, row.expires.0);
        let link_opened = row.link.as_ref().map(|link| link.opened_by.is_some());
        let result = match row.state {
            RequestState::Signed { ref record, record_signature, device, ref signatures, .. } => {
                let installation = self.store.installation(device).await?;
                let installation = installation.ok_or(ServiceError::Bug("signer of a stored request"))?;
                let evidence = ApprovalEvidence {
                    record: STANDARD.encode(record),
                    signature: STANDARD.encode(record_signature),
                    device_key: STANDARD.encode(installation.device_key),
                    enrolment: self.store.enrolment_proof(device).await?.as_ref().map(enrolment_evidence),
                };
                let record =
                    ApprovalRecord::decode(record).map_err(|_| ServiceError::Bug("stored record"))?;
                let chain = self.chain_for_result(device, record.request.created).await?;
                let public_key = installation.key.public_key.0;
                let mut result = signed_result(&record, public_key, signatures, evidence, chain)?;
                result.person_id = Some(self.person_id(row.relying_party, &row.holder).await?);
                Some(result)
            }
            _ => None,
        };
        Ok(RequestView { id, status, expires, link_opened, result })
    }
}

fn code_choice(row: &RequestRow) -> Option<CodeChoice> {
    let codes = row.codes?;
    Some(CodeChoice { request: row.id, codes: codes.drawn.codes, chosen: codes.is_right() })
}

pub(super) const fn status_of(state: &RequestState) -> RequestStatus {
    match state {
        RequestState::Open => RequestStatus::Open,
        RequestState::Signed { .. } => RequestStatus::Signed,
        RequestState::Declined => RequestStatus::Declined,
        RequestState::Cancelled => RequestStatus::Cancelled,
        RequestState::Expired => RequestStatus::Expired,
        RequestState::KeyEnded => RequestStatus::KeyEnded,
        RequestState::WrongCode => RequestStatus::WrongCode,
    }
}

fn enrolment_evidence(proof: &EnrolmentProof) -> EnrolmentEvidence {
    EnrolmentEvidence {
        ceremony: proof.ceremony,
        holder_keys: STANDARD.encode(proof.holder_keys.0),
        signature: STANDARD.encode(proof.signature.as_slice()),
    }
}

fn signed_result(
    record: &ApprovalRecord,
    public_key: [u8; 33],
    signatures: &[Vec<u8>],
    approval: ApprovalEvidence,
    certificate_chain: Option<Vec<String>>,
) -> ServiceResult<SignedResult> {
    let documents = record.request.documents.as_slice().iter().zip(signatures);
    let signatures = documents.map(|(document, signature)| encoded(record.suite, document, signature));
    Ok(SignedResult {
        suite: record.suite.name().into(),
        public_key: STANDARD.encode(public_key),
        signatures: signatures.collect::<ServiceResult<_>>()?,
        approval,
        certificate_chain,
        person_id: None,
    })
}

/// A signature in every encoding its suite has.
fn encoded(suite: SuiteId, document: &Document, signature: &[u8]) -> ServiceResult<DocumentSignature> {
    let der = match suite {
        SuiteId::Es256 => Some(der_from_raw(signature).map_err(|_| ServiceError::Bug("a stored signature"))?),
        SuiteId::FrostSecp256k1Sha256 => None,
    };
    Ok(DocumentSignature {
        name: document.name.as_str().into(),
        sha256: STANDARD.encode(document.digest),
        signature: STANDARD.encode(signature),
        raw: der.is_some().then(|| STANDARD.encode(signature)),
        der: der.map(|der| STANDARD.encode(der)),
    })
}

pub(super) fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::because(ProblemCode::InvalidValue, text)
}
