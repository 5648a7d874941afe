//! Fetch and approve, in the order of design 2.3: nothing before the device-key check changes state, nothing before the
//! reservation counts, nothing leaves before it is settled.

use std::sync::PoisonError;

use signer_core::{
    approval::RequestObject,
    ceremony::ServerKey,
    codec::{Blob, List},
    history::{Act, Asked},
    ids::RequestId,
    signing::{CheckedApprove, Evaluation, ReceivedApprove, answer_fetch, approve_payload_hash},
    suite::Signature,
    wire::{Approve, Evaluated, Event, Fetch, Fetched, ProblemCode, Token},
};

use super::{
    Caller, FETCHES_MAX, LEASE_SECONDS, Refusal, Service, ServiceError, ServiceResult, good_standing,
    key_context, token,
};
use crate::{
    store::{
        Ended, Installation, Lease, OutcomeKind, PayloadHash, RequestRow, RequestState, Reserve, Reserved,
        Settle, Settled, StoredOutcome, Verdict,
    },
    traces::{self, Part},
};

/// Most documents that are computed about on an async thread.
const FEW: usize = 2;

impl Service {
    /// Answers a fetch. Writes nothing.
    ///
    /// # Errors
    /// A refusal if the request is not this holder's or not open, or the commitments are wrong.
    pub async fn fetch(&self, bytes: &[u8]) -> ServiceResult<Fetched> {
        let (fetch, caller) = self.open::<Fetch>(bytes).await?;
        good_standing(&caller.installation)?;
        let request = self.request_of(&caller.installation, fetch.request).await?;
        if request.state != RequestState::Open {
            return Err(Refusal::new(ProblemCode::RequestClosed).into());
        }
        if fetch.key != caller.installation.key.id {
            return Err(Refusal::new(ProblemCode::Stale).into());
        }
        self.count_fetch(&request)?;
        let key = self.unwrap_key(&caller.installation).await?;
        let context = key_context(&caller.installation);
        let public_key = caller.installation.key.public_key;
        let object = decode_object(&request)?;
        let documents = object.documents.as_slice().len();
        let answer = move || answer_fetch(&key, context, public_key, object, &fetch, caller.now);
        Ok(computed(documents, answer).await??)
    }

    /// Evaluates an approve, or gives the stored outcome of the same payload.
    ///
    /// # Errors
    /// A refusal; none of them counts an attempt.
    pub async fn approve(&self, bytes: &[u8]) -> ServiceResult<Evaluated> {
        let _announced = self.store.announce();
        let (approve, caller) = self.open::<Approve>(bytes).await?;
        let context = key_context(&caller.installation);
        let payload = PayloadHash(approve_payload_hash(&context, &approve));
        if let Some(stored) = self.store.stored_outcome(context.device, payload, caller.now).await? {
            return self.evaluated(&caller.installation, stored);
        }
        let received = ReceivedApprove::decode(&approve)?;
        let request = self.request_of(&caller.installation, received.request()).await?;
        good_standing(&caller.installation)?;
        // A choice is never taken back, so what was read here still holds at the reservation.
        if request.state == RequestState::Open && request.awaits_code() {
            return Err(Refusal::new(ProblemCode::CodeNotChosen).into());
        }
        let object = decode_object(&request)?;
        let key = self.unwrap_key(&caller.installation).await?;
        let documents = object.documents.as_slice().len();
        let (checked, key) = self.check_approve(received, key, &caller, object).await?;
        let reserve = Reserve {
            device: context.device,
            epoch: context.epoch,
            payload,
            request: Some(request.id),
            token: Some(self.token_number(&caller.installation, checked.token())?),
            unheard: checked.unheard(),
            based_on: checked.fetched_at(),
            lease_seconds: LEASE_SECONDS,
            policy: self.policy.clone(),
            frozen: self.note_if_needed(Act::Frozen {}),
            now: self.now(),
        };
        let lease = match self.reserve(reserve).await? {
            Ok(lease) => lease,
            Err(stored) => return self.evaluated(&caller.installation, stored),
        };
        let (record, signature) = checked.record();
        let (record, record_signature) = (record.to_vec(), signature.0);
        let verdict = match computed(documents, move || checked.evaluate(&key)).await? {
            Evaluation::Signed(signatures) => Verdict::Signed {
                signatures: signatures.as_slice().iter().map(|one| one.as_slice().to_vec()).collect(),
                record,
                record_signature,
            },
            Evaluation::WrongPin => Verdict::WrongPin,
            Evaluation::Cheating => Verdict::Cheating,
            Evaluation::ServerFault => Verdict::ServerFault,
        };
        let asked = Asked::of(&decode_object(&request)?);
        let stored = self.settle(&caller.installation, lease, Some((request.id, asked)), verdict).await?;
        let stored = stored.ok_or(ServiceError::Bug("an approve settled as a refresh"))?;
        self.ring(Ended::Request(request.id));
        self.evaluated(&caller.installation, stored)
    }

    /// Checks the form of an approve.
    async fn check_approve(
        &self,
        received: ReceivedApprove,
        key: ServerKey,
        caller: &Caller,
        object: RequestObject,
    ) -> ServiceResult<(CheckedApprove, ServerKey)> {
        let context = key_context(&caller.installation);
        let public_key = caller.installation.key.public_key;
        let (device_key, now) = (caller.device_key.clone(), caller.now);
        computed(object.documents.as_slice().len(), move || {
            let checked = received.check(&device_key, &key, context, public_key, &object, now)?;
            Ok((checked, key))
        })
        .await?
    }

    /// Reserves an attempt: the lease, or the stored outcome of the same payload.
    ///
    /// # Errors
    /// A refusal; none counts an attempt.
    pub(super) async fn reserve(&self, reserve: Reserve) -> ServiceResult<Result<Lease, StoredOutcome>> {
        let device = reserve.device;
        let reserved = self.store.reserve(reserve).await?;
        self.count_refused(&reserved);
        let refusal = match reserved {
            Reserved::Granted(lease) => return Ok(Ok(lease)),
            Reserved::Stored(stored) => return Ok(Err(stored)),
            Reserved::RequestClosed => Refusal::new(ProblemCode::RequestClosed),
            Reserved::Stale => Refusal::new(ProblemCode::Stale),
            Reserved::Overtaken => Refusal::new(ProblemCode::Overtaken),
            Reserved::UnknownToken => Refusal::new(ProblemCode::UnknownToken),
            Reserved::Busy => Refusal::new(ProblemCode::Busy),
            Reserved::Locked(until) => Refusal { time: Some(until), ..Refusal::new(ProblemCode::Locked) },
            Reserved::Blocked => Refusal::new(ProblemCode::Blocked),
            Reserved::Frozen => {
                tracing::warn!(%device, "installation is frozen: its device tokens show a copy");
                self.tell(device, Event::History);
                Refusal::new(ProblemCode::Frozen)
            }
            Reserved::Revoked => Refusal::new(ProblemCode::Revoked),
            Reserved::Suspended => Refusal::new(ProblemCode::Suspended),
        };
        Err(refusal.into())
    }

    /// Makes an evaluation durable; only then may it be answered. `None` for new shares: they leave no outcome.
    ///
    /// # Errors
    /// A refusal if nothing may be released.
    pub(super) async fn settle(
        &self,
        installation: &Installation,
        lease: Lease,
        request: Option<(RequestId, Option<Asked>)>,
        verdict: Verdict,
    ) -> ServiceResult<Option<StoredOutcome>> {
        let device = lease.device;
        tracing::info!(%device, verdict = verdict.name(), "evaluated");
        let now = self.now();
        let (request, asked) = request.unzip();
        let told = match &verdict {
            Verdict::Signed { .. } => asked.flatten().map(|asked| Act::Signed { asked }),
            Verdict::WrongPin => Some(Act::WrongPin { attempts: lease.counter.shown(&self.policy, now) }),
            Verdict::Cheating => Some(Act::KeyEnded {}),
            Verdict::Refreshed { .. } => Some(Act::PinChanged {}),
            Verdict::PinProven | Verdict::ServerFault => None,
        };
        let told = told.map(|act| self.note(installation, act)).transpose()?.flatten();
        let settle = Settle { lease, request, verdict, told, policy: self.policy.clone(), now };
        let verdict = settle.verdict.name();
        let settled = self.store.settle(settle).await?;
        self.count_evaluation(verdict, &settled);
        // Whose act this was, phone or copy, nobody knows; the phone that listens looks.
        self.tell(device, Event::History);
        match settled {
            Settled::GivenBack => {
                tracing::error!(%device, "an evaluation failed on this side: nobody is blamed");
                Err(ServiceError::Bug("evaluation failed on the server's side"))
            }
            Settled::Recorded(stored) => Ok(Some(stored)),
            Settled::Refreshed => Ok(None),
            Settled::RequestClosed => Err(Refusal::new(ProblemCode::RequestClosed).into()),
            Settled::LeaseLost => Err(Refusal::new(ProblemCode::Stale).into()),
        }
    }

    pub(super) fn token_number(&self, installation: &Installation, presented: &Token) -> ServiceResult<u64> {
        token::number(&self.keys.device_token, installation.device, presented)
            .ok_or_else(|| Refusal::new(ProblemCode::UnknownToken).into())
    }

    pub(super) fn next_token(&self, installation: &Installation, number: u64) -> Token {
        token::make(&self.keys.device_token, installation.device, number)
    }

    fn evaluated(&self, installation: &Installation, stored: StoredOutcome) -> ServiceResult<Evaluated> {
        Ok(match stored.kind {
            OutcomeKind::Signed(signatures) => Evaluated::Signed {
                signatures: signature_list(signatures)?,
                token: self.next_token(installation, stored.next_token),
            },
            // As it was then: the same payload has the same answer, however late it is asked for.
            OutcomeKind::WrongPin => {
                Evaluated::WrongPin { attempts: stored.counter.shown(&self.policy, stored.at) }
            }
            OutcomeKind::Cheating => Evaluated::KeyEnded {},
            OutcomeKind::PinProven => return Err(ServiceError::Bug("a PIN proof stored for an approve")),
        })
    }

    /// A request of the caller's holder; others do not exist for it.
    pub(super) async fn request_of(
        &self,
        installation: &Installation,
        id: RequestId,
    ) -> ServiceResult<RequestRow> {
        let request = self.store.request(id, self.now()).await?;
        request
            .filter(|request| request.holder == installation.holder)
            .ok_or_else(|| Refusal::new(ProblemCode::NotFound).into())
    }

    fn count_fetch(&self, request: &RequestRow) -> ServiceResult<()> {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, _) = fetches.entry(request.id).or_insert((0, request.expires));
        *count = count.saturating_add(1);
        if *count > FETCHES_MAX { Err(Refusal::new(ProblemCode::TooMany).into()) } else { Ok(()) }
    }
}

pub(super) fn signature_list<const MAX: usize>(
    signatures: Vec<Vec<u8>>,
) -> ServiceResult<List<Signature, MAX>> {
    let signatures: Option<Vec<Signature>> = signatures.into_iter().map(Blob::new).collect();
    signatures.and_then(List::new).ok_or(ServiceError::Bug("stored signatures"))
}

pub(super) fn decode_object(request: &RequestRow) -> ServiceResult<RequestObject> {
    RequestObject::decode(&request.object).map_err(|_| ServiceError::Bug("stored request object"))
}

/// Runs a computation about so many documents: off the async threads, but where it is for the few of most requests. That takes
/// some tenths of a millisecond, and handing it over and back about a tenth.
async fn computed<T: Send + 'static>(
    documents: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> ServiceResult<T> {
    if documents > FEW {
        return blocking(work).await;
    }
    let name = traces::name_of(&work);
    traces::span(Part::Computation, name, async { Ok(work()) }).await
}

/// Runs a computation off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> ServiceResult<T> {
    blocking_as(traces::name_of(&work), work).await
}

/// The same, with the name it has in traces.
pub(super) async fn blocking_as<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> ServiceResult<T> {
    let done = tokio::task::spawn_blocking(work);
    let done = async { done.await.map_err(|_| ServiceError::Bug("a computation panicked")) };
    traces::span(Part::Computation, name, done).await
}
