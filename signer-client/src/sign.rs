//! Requests: list, fetch, approve, decline, and what became of one.

use signer_core::{
    approval::RequestObject,
    codec::List,
    ids::RequestId,
    pin::Pin,
    signing::{FetchSent, Shown},
    suite::{GroupPublicKey, Signature, SuiteId},
    wire::{
        Attempts, ChooseCode, CodeChoice, CodeChosen, Decline, Evaluated, OutcomeQuery, PENDING_MAX,
        ProblemCode, RequestOutcome, RequestsQuery, VerificationCode,
    },
};

use crate::{
    error::{ClientError, StateError},
    link::read_link,
    phone::{Enrolled, Phone},
    state::{Digest, SentNote},
};

/// A request that waits for the holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The request.
    pub object: RequestObject,
    /// The verification codes the holder chooses from before approving, if it has any.
    pub codes: Option<CodeChoice>,
}

/// Signatures over a request, verified on the phone as an outsider would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The request.
    pub request: RequestId,
    /// The suite.
    pub suite: SuiteId,
    /// The key they verify under.
    pub public_key: GroupPublicKey,
    /// One per document, in order.
    pub signatures: Vec<Signature>,
}

/// How an approval ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    /// Signed.
    Signed(SignedRequest),
    /// The PIN was wrong. The request stays open; fetch it again to try again.
    WrongPin(Attempts),
    /// The key has ended, as a safety measure. Enrol again.
    KeyEnded,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It still waits for the holder.
    Open(Attempts),
    /// Signed. The signatures were verified if this phone sent the approval and remembers it.
    Signed {
        /// What was signed.
        signed: SignedRequest,
        /// Whether the phone could check them.
        verified: bool,
    },
    /// The holder said no.
    Declined,
    /// The relying party took it back.
    Cancelled,
    /// Its time ran out.
    Expired,
    /// The key ended while it was open.
    KeyEnded,
    /// The holder chose a wrong verification code.
    WrongCode,
    /// The server has no such request (any more): it ended long ago, or was lost when the server was restored.
    Unknown,
}

impl Phone {
    /// The requests that wait for the holder, oldest first.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn requests(&mut self) -> Result<Vec<RequestObject>, ClientError> {
        Ok(self.waiting()?.into_iter().map(|waiting| waiting.object).collect())
    }

    /// The requests that wait for the holder, oldest first, with the verification codes to choose from.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn waiting(&mut self) -> Result<Vec<Waiting>, ClientError> {
        self.require_key()?;
        let pending = self.exchange(&RequestsQuery {})?;
        if pending.requests.len() > PENDING_MAX {
            return Err(ClientError::ServerMisbehaved("it lists more requests than the protocol allows"));
        }
        let codes = pending.codes.map(List::into_vec).unwrap_or_default();
        let with_codes = |object: RequestObject| {
            let choice = codes.iter().find(|choice| choice.request == object.request).cloned();
            Waiting { object, codes: choice }
        };
        Ok(pending.requests.into_iter().map(with_codes).collect())
    }

    /// Takes the request of a scanned link: from then on it is listed among the others.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the text is no link; [`ClientError`].
    pub fn open_link(&mut self, link: &str) -> Result<RequestId, ClientError> {
        self.require_key()?;
        let link = read_link(link)
            .ok_or(ClientError::Usage("this is not a link of a request: scan the code that is shown now"))?;
        Ok(self.exchange(&link)?.request)
    }

    /// Tells the server which verification code the holder chose. The first choice decides: repeated, it is told again.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn choose_code(
        &mut self,
        request: RequestId,
        code: VerificationCode,
    ) -> Result<CodeChosen, ClientError> {
        self.require_key()?;
        self.exchange(&ChooseCode { request, code })
    }

    /// Downloads a listed request and exchanges nonce commitments, one per document. What is to be shown to the holder is
    /// [`Shown::object`]; it is good for ten minutes and for one approval.
    ///
    /// # Errors
    /// [`ClientError::ServerMisbehaved`] if the request differs from the listed one.
    pub fn fetch(&mut self, listed: RequestObject) -> Result<Shown, ClientError> {
        self.settle()?;
        let Enrolled { context, .. } = self.require_key()?;
        let hedge = self.hedge()?;
        let (sent, fetch) = FetchSent::start(context, listed, &hedge, &mut *self.ports.rng)?;
        let fetched = self.exchange(&fetch)?;
        if fetched.epoch != context.epoch {
            self.status()?;
            return Err(StateError::KeyChanged.into());
        }
        Ok(sent.shown(fetched)?)
    }

    /// Approves what was shown. From the moment it is sent it cannot be taken back: the phone notes that durably first, and
    /// resends only the same bytes.
    ///
    /// While the outcome of an earlier approval is unknown nothing is sent: its note, by which late signatures are checked,
    /// would be lost.
    ///
    /// # Errors
    /// [`ClientError::OutcomeUnknown`] if no answer came, or one that cannot be the server's: then [`Phone::resume`] tells;
    /// before it has told, [`StateError::Unfinished`].
    /// [`ClientError::ServerMisbehaved`] if the server answered with a signature that does not verify. Any other error means
    /// that nothing was signed.
    pub fn approve(&mut self, shown: Shown, pin: &Pin) -> Result<Approved, ClientError> {
        self.settle()?;
        let Enrolled { context, public_key, .. } = self.require_key()?;
        if self.unfinished().is_some() {
            return Err(StateError::Unfinished.into());
        }
        let state = self.require_state()?;
        let key = state.key.as_ref().ok_or(StateError::NotEnrolled)?;
        let unlocked = key.unmask(self.mask(pin, key.salt(), key.cost(), &context)?);
        let (now, presented) = (self.now(), self.state_mut()?.present()?);
        let request = shown.object().request;
        let digests =
            shown.object().documents.as_slice().iter().map(|document| Digest(document.digest)).collect();
        let approval = shown.approve(&unlocked, presented, now)?;
        drop(unlocked);
        let record_signature = self.ports.key.sign(approval.to_sign())?;
        let (approve, sent) = approval.complete(record_signature);

        self.state_mut()?.sent = Some(SentNote { request, digests });
        if let Err(error) = self.save() {
            let state = self.state_mut()?;
            state.sent = None;
            state.heard();
            return Err(error);
        }
        let (times, evaluated) = self.exchange_counted(&approve);
        match evaluated {
            Ok(Evaluated::Signed { signatures, token }) => {
                sent.accept(signatures.as_slice())?;
                self.state_mut()?.take_token(token);
                self.forget_sent()?;
                let signatures = signatures.into_vec();
                Ok(Approved::Signed(SignedRequest { request, suite: context.suite, public_key, signatures }))
            }
            Ok(Evaluated::WrongPin { attempts }) => {
                self.state_mut()?.heard();
                self.forget_sent()?;
                Ok(Approved::WrongPin(attempts))
            }
            Ok(Evaluated::KeyEnded {}) => {
                self.forget_sent()?;
                Ok(Approved::KeyEnded)
            }
            // A refusal of the first sending: nothing was evaluated. Of a later one: an earlier one may have been.
            Err(ClientError::Problem(problem)) if is_final(&problem) => {
                if never_evaluated(&problem) {
                    self.state_mut()?.heard();
                }
                if times > 1 {
                    return self.late_outcome(request, ClientError::Problem(problem));
                }
                self.forget_sent()?;
                Err(ClientError::Problem(problem))
            }
            Err(error) if times == 0 => {
                self.state_mut()?.heard();
                self.forget_sent()?;
                Err(error)
            }
            // What came may be from something in between, and an earlier sending may have been evaluated.
            Err(_) => Err(ClientError::OutcomeUnknown(request)),
        }
    }

    /// The request whose approval was sent and whose outcome is not known yet.
    #[must_use]
    pub fn unfinished(&self) -> Option<RequestId> {
        self.state.as_ref()?.sent.as_ref().map(|note| note.request)
    }

    /// Finds out what became of an approval whose answer was lost. To be called on start-up; `None` if there is none.
    ///
    /// # Errors
    /// [`ClientError`]; the note is kept. A server that has no such request cannot sign it any more: that is
    /// [`Outcome::Unknown`].
    pub fn resume(&mut self) -> Result<Option<(RequestId, Outcome)>, ClientError> {
        self.settle()?;
        let Some(request) = self.unfinished() else { return Ok(None) };
        let outcome = match self.outcome(request) {
            Err(ClientError::Problem(problem)) if problem.code == ProblemCode::NotFound => Outcome::Unknown,
            outcome => outcome?,
        };
        self.forget_sent()?;
        Ok(Some((request, outcome)))
    }

    /// What became of a request.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn outcome(&mut self, request: RequestId) -> Result<Outcome, ClientError> {
        let Enrolled { context, public_key, .. } = self.require_key()?;
        Ok(match self.exchange(&OutcomeQuery { request })? {
            RequestOutcome::Open { attempts } => Outcome::Open(attempts),
            RequestOutcome::Signed { signatures } => {
                let verified = self.check_late(request, &signatures)?;
                let signatures = signatures.into_vec();
                let signed = SignedRequest { request, suite: context.suite, public_key, signatures };
                Outcome::Signed { signed, verified }
            }
            RequestOutcome::Declined {} => Outcome::Declined,
            RequestOutcome::Cancelled {} => Outcome::Cancelled,
            RequestOutcome::Expired {} => Outcome::Expired,
            RequestOutcome::KeyEnded {} => Outcome::KeyEnded,
            RequestOutcome::WrongCode {} => Outcome::WrongCode,
        })
    }

    /// Says no. The relying party is told.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn decline(&mut self, request: RequestId) -> Result<(), ClientError> {
        self.require_key()?;
        self.exchange(&Decline { request })?;
        Ok(())
    }

    /// The answer to an approve that was sent more than once came as a refusal: the outcome decides.
    fn late_outcome(&mut self, request: RequestId, refusal: ClientError) -> Result<Approved, ClientError> {
        match self.outcome(request) {
            Ok(Outcome::Signed { signed, .. }) => {
                self.forget_sent()?;
                Ok(Approved::Signed(signed))
            }
            Ok(Outcome::KeyEnded) => {
                self.forget_sent()?;
                Ok(Approved::KeyEnded)
            }
            Ok(_) => {
                self.forget_sent()?;
                Err(refusal)
            }
            Err(_) => Err(ClientError::OutcomeUnknown(request)),
        }
    }

    fn check_late<const MAX: usize>(
        &self,
        request: RequestId,
        signatures: &List<Signature, MAX>,
    ) -> Result<bool, ClientError> {
        let key = self.require_key()?;
        let Some(note) = self.require_state()?.sent.as_ref().filter(|note| note.request == request) else {
            return Ok(false);
        };
        let (suite, signatures) = (key.context.suite.get(), signatures.as_slice());
        let valid = signatures.len() == note.digests.len()
            && signatures
                .iter()
                .zip(&note.digests)
                .all(|(signature, digest)| suite.verify(&key.public_key, &digest.0, signature));
        if valid {
            Ok(true)
        } else {
            Err(ClientError::ServerMisbehaved("a signature is not valid under the key"))
        }
    }

    fn forget_sent(&mut self) -> Result<(), ClientError> {
        self.state_mut()?.sent = None;
        self.save()
    }
}

/// Whether a refusal says for certain that this sending was not evaluated and will not be.
fn is_final(problem: &signer_core::wire::Problem) -> bool {
    problem.status < 500 && problem.code != ProblemCode::Busy
}

/// Refusals of a try that had no success and never will, however often it comes. Of others a second sending may.
const fn never_evaluated(problem: &signer_core::wire::Problem) -> bool {
    matches!(problem.code, ProblemCode::Overtaken | ProblemCode::RequestClosed)
}
