//! The server's half, on the types of `signer-core` alone: enough of a server to test a phone against.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p256::{
    ecdsa::{Signature as EcdsaSignature, SigningKey, signature::Signer},
    elliptic_curve::Generate,
};
use rand::{Rng, rngs::StdRng};
use signer_core::{
    approval::{ApprovalRecord, Document, RelyingParty, RequestObject},
    ceremony::*,
    codec::{self, Blob, Label, List, Text},
    credential::{
        Age, BarCode, Date, DayClaims, Document as Shown, DocumentRecord, DocumentType, PortraitSalt,
        StatusIndex, Turn, digits,
    },
    device_key::DevicePublicKeyBytes,
    history::{Act, Entry, HistoryHead, SealedEntry},
    ids::{CheckId, Epoch, RelyingPartyId, RequestId},
    lost_code::HolderKeys,
    secret::SecretBytes,
    signing::*,
    suite::{GroupPublicKey, KeyContext, Signature, SuiteId},
    time::UnixSeconds,
    wire::*,
};

pub(crate) struct Device {
    pub(crate) enrolment: EnrolmentEvidence,
    pub(crate) key: DevicePublicKeyBytes,
    pub(crate) context: KeyContext,
    pub(crate) public_key: GroupPublicKey,
    pub(crate) server_key: ServerKey,
    pub(crate) proof: Signature,
    pub(crate) wrong: u8,
    pub(crate) standing: Standing,
    pub(crate) tokens: Vec<[u8; 32]>,
}

pub(crate) enum Request {
    Open,
    Signed(Vec<Signature>, ApprovalEvidence),
    Declined,
}

enum Ceremony {
    Enrolment(ServerEnrolment),
    EnrolConfirming(ServerConfirming, [u8; 32]),
    Refresh(ServerRefresh),
    RefreshConfirming(ServerConfirming),
}

pub(crate) struct Server {
    rng: StdRng,
    pub(crate) answer_key: SigningKey,
    pub(crate) issuer: SigningKey,
    code_good: bool,
    enrolling: Option<signer_core::device_key::DevicePublicKey>,
    pub(crate) device: Option<Device>,
    ceremony: Option<Ceremony>,
    pub(crate) requests: Vec<(RequestObject, Request)>,
    outcomes: HashMap<[u8; 32], Vec<u8>>,
    /// Every server key that ever lived: what the phone must never hold.
    pub(crate) secrets: Vec<Vec<u8>>,
    /// Gate keys of all shares ever confirmed, in order.
    pub(crate) gate_keys: Vec<Vec<u8>>,
    /// Approves evaluated.
    pub(crate) evaluated: usize,
    /// How often the next answers are `busy`.
    pub(crate) busy: usize,
    pub(crate) burned: Option<u8>,
    /// Places of credentials that it says are withdrawn.
    pub(crate) withdrawn: Vec<StatusIndex>,
    pub(crate) issued: Vec<(u32, u32)>,
    /// Profiles that do not fit the holder.
    pub(crate) unfit: Vec<Profile>,
    /// Day keys that have their credential.
    day_keys: HashSet<[u8; 33]>,
    /// The credentials themselves.
    pub(crate) envelopes: Vec<Vec<u8>>,
    /// Signs the time wrongly.
    pub(crate) lies_about_time: bool,
    /// What the phone left for its holder.
    pub(crate) holder_keys: Option<HolderKeys>,
    /// The history, sealed as it was told.
    pub(crate) history: Vec<SealedEntry>,
    /// What a hostile server does to a page on its way.
    pub(crate) spoil: Option<fn(&mut HistoryPage)>,
    pub(crate) counter: Counter,
}

/// What the server knows of codes on display.
#[derive(Default)]
pub(crate) struct Counter {
    /// Secret of the digits of each credential.
    otp: HashMap<(u32, u32), [u8; 32]>,
    /// Turns whose digits somebody else has on display.
    pub(crate) taken: u8,
    /// Names digits that are not the credential's.
    pub(crate) lies_about_digits: bool,
    /// What went on display, in order.
    pub(crate) displays: Vec<Display>,
    /// What was taken off.
    pub(crate) ended: Vec<(u32, u32)>,
    /// Checks that wait.
    pub(crate) checks: Vec<Check>,
    /// What the holder said.
    pub(crate) answers: Vec<AnswerCheck>,
    /// What a stream says; `None` where there is none.
    pub(crate) stream: Option<&'static [u8]>,
    /// The trust list served; `None` where there is none.
    pub(crate) trust_list: Option<Vec<u8>>,
}

impl Counter {
    fn display(&mut self, display: Display, now: UnixSeconds) -> Displayed {
        self.displays.push(display);
        let turn = Turn::try_from(display.turn.number() + self.taken).unwrap();
        let status = StatusIndex { list: display.list, index: display.index };
        let secret = SecretBytes::new(self.otp[&(display.list, display.index)]);
        let shown = if self.lies_about_digits { turn.next().unwrap() } else { turn };
        Displayed {
            time: now,
            turn,
            digits: digits(&secret, status, display.step, shown),
            bar: BarCode::new(u64::try_from(self.displays.len()).unwrap()).unwrap(),
            until: display.step.end().plus(SHORT_CODE_GRACE_SECONDS),
        }
    }

    /// A verifier asks for `profile`.
    pub(crate) fn ask(&mut self, name: &str, profile: Profile, now: u64) -> Check {
        let number = u8::try_from(self.checks.len()).unwrap();
        let check = Check {
            id: CheckId::from_bytes([number; 16]),
            verifier: Label::new(name.into()).unwrap(),
            profile,
            document_type: DocumentType::IdentityCard.number().into(),
            match_number: MatchNumber::new(number + 7).unwrap(),
            expires: UnixSeconds(now + CHECK_SECONDS),
        };
        self.checks.push(check.clone());
        check
    }
}

type Answer = (u16, &'static str, Vec<u8>);
type Outcome<T> = Result<T, Problem>;

fn problem(code: ProblemCode) -> Problem {
    Problem::new(code, None, None)
}

impl Server {
    pub(crate) fn new(mut rng: StdRng) -> Self {
        Self {
            answer_key: SigningKey::generate_from_rng(&mut rng),
            issuer: SigningKey::generate_from_rng(&mut rng),
            rng,
            code_good: true,
            enrolling: None,
            device: None,
            ceremony: None,
            requests: Vec::new(),
            outcomes: HashMap::new(),
            secrets: Vec::new(),
            gate_keys: Vec::new(),
            evaluated: 0,
            busy: 0,
            burned: None,
            withdrawn: Vec::new(),
            issued: Vec::new(),
            unfit: Vec::new(),
            day_keys: HashSet::new(),
            envelopes: Vec::new(),
            lies_about_time: false,
            holder_keys: None,
            history: Vec::new(),
            spoil: None,
            counter: Counter::default(),
        }
    }

    /// Tells the holder something.
    pub(crate) fn tell(&mut self, at: u64, act: Act) {
        let device = self.device.as_ref().unwrap().context.device;
        let entry = Entry { at: UnixSeconds(at), act };
        let sealed = self.holder_keys.unwrap().history.seal(device, &entry, &mut self.rng).unwrap();
        self.history.push(sealed);
    }

    fn history(&self, query: &HistoryQuery, now: UnixSeconds) -> Outcome<HistoryPage> {
        let start = HistoryHead::start(self.device()?.context.device);
        let head =
            |length: usize| self.history[..length].iter().fold(start, |head, sealed| head.after(sealed));
        let length = self.history.len();
        let first = usize::try_from(query.after).unwrap_or(usize::MAX).min(length);
        let last = first.saturating_add(usize::try_from(query.limit).unwrap()).min(length);
        let entries = (query.after.saturating_add(1)..).zip(&self.history[first..last]);
        let mut page = HistoryPage {
            time: now,
            before: head(first).hash,
            entries: entries
                .map(|(number, sealed)| NumberedEntry { number, sealed: sealed.clone() })
                .collect(),
            head: head(length),
        };
        if let Some(spoil) = self.spoil {
            spoil(&mut page);
        }
        Ok(page)
    }

    /// Files a request for the documents' digests.
    pub(crate) fn ask(&mut self, digests: &[[u8; 32]], now: u64) -> RequestObject {
        let documents = digests.iter().enumerate().map(|(place, digest)| Document {
            name: Label::new(format!("contract-{place}.pdf")).unwrap(),
            digest: *digest,
        });
        let object = RequestObject {
            version: signer_core::suite::PROTOCOL_VERSION,
            request: RequestId::random(&mut self.rng),
            relying_party: RelyingParty {
                id: RelyingPartyId::from_bytes([7; 16]),
                name: Label::new("Тестовий банк".into()).unwrap(),
            },
            documents: List::new(documents.collect()).unwrap(),
            text: Text::new("Кредитний договір № 17".into()).unwrap(),
            created: UnixSeconds(now),
            expires: UnixSeconds(now + 3600),
            fields: None,
        };
        self.requests.push((object.clone(), Request::Open));
        object
    }

    /// What the relying party gets.
    pub(crate) fn result(&self, request: RequestId) -> Option<SignedResult> {
        let device = self.device.as_ref()?;
        let (object, state) = self.requests.iter().find(|(object, _)| object.request == request)?;
        let Request::Signed(signatures, approval) = state else { return None };
        let entries = object.documents.as_slice().iter().zip(signatures).map(|(document, signature)| {
            DocumentSignature {
                name: document.name.as_str().into(),
                sha256: BASE64_STANDARD.encode(document.digest),
                signature: BASE64_STANDARD.encode(signature.as_slice()),
                raw: None,
                der: None,
            }
        });
        Some(SignedResult {
            suite: device.context.suite.name().into(),
            public_key: BASE64_STANDARD.encode(device.public_key.0),
            signatures: entries.collect(),
            approval: approval.clone(),
            certificate_chain: None,
            person_id: None,
        })
    }

    pub(crate) fn answer(&mut self, path: &str, body: &[u8], now: UnixSeconds) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            "/v1/answer-key" => {
                let key = self.answer_key.verifying_key().to_sec1_point(true);
                json(&AnswerKey { public_key: BASE64_STANDARD.encode(key.as_bytes()) })
            }
            "/v1/time" => {
                let nonce = query.strip_prefix("nonce=").unwrap().to_owned();
                let said = if self.lies_about_time { now.0 + 1 } else { now.0 };
                let signature: EcdsaSignature = self.answer_key.sign(&time_to_sign(said, &nonce).0);
                let signature = BASE64_STANDARD.encode(signature.to_bytes());
                json(&SignedTime { time: now.0, nonce, signature })
            }
            "/v1/trust-list" => match &self.counter.trust_list {
                Some(list) => (200, "application/cose", list.clone()),
                None => refused(&problem(ProblemCode::NotFound)),
            },
            _ => match self.device_message(path, body, now) {
                Ok(reply) if path.ends_with("/listen") => (200, "text/event-stream", reply),
                Ok(reply) => (200, "application/cbor", reply),
                Err(problem) => refused(&problem),
            },
        }
    }

    fn device_message(&mut self, path: &str, body: &[u8], now: UnixSeconds) -> Outcome<Vec<u8>> {
        let envelope = Envelope::decode(body).map_err(|_| problem(ProblemCode::Malformed))?;
        if path != format!("/device/v1/{}", envelope.operation.path()) {
            return Err(problem(ProblemCode::Malformed));
        }
        match envelope.operation {
            Operation::EnrolStart => reply(self.enrol_start(&envelope, now)?),
            Operation::EnrolKeys => reply(self.enrol_keys(&envelope, now)?),
            Operation::EnrolConfirm => reply(self.enrol_confirm(&envelope, now)?),
            Operation::Status => reply(self.status(self.open::<StatusQuery>(&envelope, now)?, now)?),
            Operation::Requests => {
                self.open::<RequestsQuery>(&envelope, now)?;
                let open = self.requests.iter().filter(|(_, state)| matches!(state, Request::Open));
                reply(PendingRequests {
                    time: now,
                    requests: open.map(|(object, _)| object.clone()).collect(),
                    codes: None,
                })
            }
            Operation::Fetch => {
                let fetch: Fetch = self.open(&envelope, now)?;
                let object = self.find(fetch.request)?;
                let device = self.device()?;
                let answer =
                    answer_fetch(&device.server_key, device.context, device.public_key, object, &fetch, now);
                reply(answer.map_err(|_| problem(ProblemCode::Malformed))?)
            }
            Operation::Approve => {
                let approve: Approve = self.open(&envelope, now)?;
                self.approve(&approve, now)
            }
            Operation::Outcome => {
                let query: OutcomeQuery = self.open(&envelope, now)?;
                let attempts = self.attempts()?;
                let (_, state) = self
                    .requests
                    .iter()
                    .find(|(object, _)| object.request == query.request)
                    .ok_or_else(|| problem(ProblemCode::NotFound))?;
                reply(match state {
                    Request::Open => RequestOutcome::Open { attempts },
                    Request::Signed(signatures, _) => {
                        RequestOutcome::Signed { signatures: List::new(signatures.clone()).unwrap() }
                    }
                    Request::Declined => RequestOutcome::Declined {},
                })
            }
            Operation::Decline => {
                let decline: Decline = self.open(&envelope, now)?;
                self.find(decline.request)?;
                self.requests.iter_mut().find(|(object, _)| object.request == decline.request).unwrap().1 =
                    Request::Declined;
                reply(Declined {})
            }
            Operation::RefreshChallenge => {
                self.open::<RefreshChallenge>(&envelope, now)?;
                let device = self.device()?;
                reply(refresh_challenge(&device.server_key, &device.context, now))
            }
            Operation::RefreshStart => {
                let start: RefreshStart = self.open(&envelope, now)?;
                self.refresh_start(&start, now)
            }
            Operation::RefreshKeys => reply(self.refresh_keys(&envelope, now)?),
            Operation::RefreshConfirm => reply(self.refresh_confirm(&envelope, now)?),
            Operation::Credentials => reply(self.credentials(&envelope, now)?),
            Operation::CodeState => {
                self.open::<CodeStateQuery>(&envelope, now)?;
                reply(CodeState { time: now, burned: self.burned })
            }
            Operation::Withdrawn => {
                self.open::<WithdrawnQuery>(&envelope, now)?;
                reply(WithdrawnCredentials { time: now, places: self.withdrawn.clone() })
            }
            Operation::History => {
                let query: HistoryQuery = self.open(&envelope, now)?;
                reply(self.history(&query, now)?)
            }
            Operation::Display => {
                let display = self.open(&envelope, now)?;
                reply(self.counter.display(display, now))
            }
            Operation::EndDisplay => {
                let end: EndDisplay = self.open(&envelope, now)?;
                self.counter.ended.push((end.list, end.index));
                reply(DisplayEnded { time: now })
            }
            Operation::Checks => {
                self.open::<ChecksQuery>(&envelope, now)?;
                reply(PendingChecks { time: now, checks: self.counter.checks.clone() })
            }
            Operation::AnswerCheck => {
                let answer: AnswerCheck = self.open(&envelope, now)?;
                self.counter.answers.push(answer);
                self.counter.checks.retain(|check| check.id != answer.id);
                reply(CheckAnswered { time: now })
            }
            Operation::Listen => {
                self.open::<Listen>(&envelope, now)?;
                self.counter.stream.map(<[u8]>::to_vec).ok_or_else(|| problem(ProblemCode::NoSuchPath))
            }
            Operation::Certificate | Operation::ChooseCode | Operation::OpenLink => {
                Err(problem(ProblemCode::NotFound))
            }
        }
    }

    fn open<E: Exchange>(&self, envelope: &Envelope, now: UnixSeconds) -> Outcome<E> {
        let unknown = || problem(ProblemCode::NotTheDevice);
        let device = self.device.as_ref().filter(|device| device.context.device == envelope.device);
        let key = device.ok_or_else(unknown)?.key.parse().ok_or_else(unknown)?;
        open(envelope, &key, now)
    }

    fn device(&self) -> Outcome<&Device> {
        self.device.as_ref().ok_or_else(|| problem(ProblemCode::NotTheDevice))
    }

    fn find(&self, request: RequestId) -> Outcome<RequestObject> {
        match self.requests.iter().find(|(object, _)| object.request == request) {
            Some((object, Request::Open)) => Ok(object.clone()),
            Some(_) => Err(problem(ProblemCode::RequestClosed)),
            None => Err(problem(ProblemCode::NotFound)),
        }
    }

    fn attempts(&self) -> Outcome<Attempts> {
        let wrong = self.device()?.wrong;
        Ok(Attempts { left: 3_u8.saturating_sub(wrong), locked_until: None, blocked: wrong >= 3 })
    }

    fn enrol_start(&mut self, envelope: &Envelope, now: UnixSeconds) -> Outcome<EnrolStarted> {
        let body: EnrolStart = envelope.peek().map_err(|_| problem(ProblemCode::Malformed))?;
        let key = body.device_key.parse().ok_or_else(|| problem(ProblemCode::Malformed))?;
        let body: EnrolStart = open(envelope, &key, now)?;
        if self.device.is_some() {
            return Err(problem(ProblemCode::AlreadyEnrolled));
        }
        if !self.code_good || body.code.0.as_str() != super::CODE {
            return Err(problem(ProblemCode::EnrolmentCode));
        }
        let context = KeyContext {
            suite: body.suite,
            key: body.key,
            epoch: Epoch(0),
            device: body.device_key.device_id(),
        };
        let (next, started) =
            ServerEnrolment::start(context, body.device_key, body.holder_keys, &body.hello, &mut self.rng)
                .map_err(|_| problem(ProblemCode::CeremonyFailed))?;
        self.holder_keys = Some(body.holder_keys);
        self.ceremony = Some(Ceremony::Enrolment(next));
        self.enrolling = Some(key);
        Ok(started)
    }

    fn enrol_keys(&mut self, envelope: &Envelope, now: UnixSeconds) -> Outcome<EnrolKeyed> {
        let keys: EnrolKeys = self.open_enrolling(envelope, now)?;
        let Some(Ceremony::Enrolment(enrolment)) = self.ceremony.take() else {
            return Err(problem(ProblemCode::CeremonyUnknown));
        };
        let token = self.token();
        let copy = SecretBytes::new(token);
        let (next, keyed) = enrolment
            .keys(&keys, WireSecret(copy), now, &mut self.rng)
            .map_err(|_| problem(ProblemCode::CeremonyFailed))?;
        self.ceremony = Some(Ceremony::EnrolConfirming(next, token));
        Ok(keyed)
    }

    fn enrol_confirm(&mut self, envelope: &Envelope, now: UnixSeconds) -> Outcome<Confirmed> {
        let EnrolConfirm(confirmation) = self.open_enrolling(envelope, now)?;
        let Some(Ceremony::EnrolConfirming(confirming, token)) = self.ceremony.take() else {
            return Err(problem(ProblemCode::CeremonyUnknown));
        };
        let proven = confirming
            .check(confirmation)
            .and_then(CheckedConfirmation::evaluate)
            .map_err(|_| problem(ProblemCode::CeremonyFailed))?;
        self.code_good = false;
        self.remember(proven.context.suite, &proven.key);
        let signature = proven.proof.clone();
        let enrolment = proven.enrolment().unwrap();
        self.device = Some(Device {
            enrolment: EnrolmentEvidence {
                ceremony: enrolment.ceremony,
                holder_keys: BASE64_STANDARD.encode(enrolment.holder_keys.0),
                signature: BASE64_STANDARD.encode(enrolment.signature.as_slice()),
            },
            key: proven.device_key,
            context: proven.context,
            public_key: proven.public_key,
            server_key: proven.key,
            proof: proven.proof,
            wrong: 0,
            standing: Standing::Good,
            tokens: vec![token],
        });
        Ok(Confirmed { signature })
    }

    fn status(&self, _: StatusQuery, now: UnixSeconds) -> Outcome<DeviceStatus> {
        let device = self.device()?;
        Ok(DeviceStatus {
            time: now,
            key: device.context.key,
            suite: device.context.suite,
            epoch: device.context.epoch,
            public_key: device.public_key,
            standing: device.standing,
            attempts: self.attempts()?,
            proof: device.proof.clone(),
        })
    }

    fn approve(&mut self, approve: &Approve, now: UnixSeconds) -> Outcome<Vec<u8>> {
        let device = self.device()?;
        let hash = approve_payload_hash(&device.context, approve);
        if let Some(stored) = self.outcomes.get(&hash) {
            return Ok(stored.clone());
        }
        if self.busy > 0 {
            self.busy -= 1;
            return Err(problem(ProblemCode::Busy));
        }
        let received = ReceivedApprove::decode(approve).map_err(|_| problem(ProblemCode::Malformed))?;
        let object = self.find(received.request())?;
        let device = self.device()?;
        let device_key = device.key.parse().unwrap();
        let checked = received
            .check(&device_key, &device.server_key, device.context, device.public_key, &object, now)
            .map_err(|refusal| {
                problem(match refusal {
                    ApproveRefusal::Stale => ProblemCode::Stale,
                    ApproveRefusal::RecordMismatch => ProblemCode::RecordMismatch,
                    _ => ProblemCode::Malformed,
                })
            })?;
        self.present(&checked.token().0)?;
        if self.device()?.wrong >= 3 {
            return Err(problem(ProblemCode::Locked));
        }
        self.evaluated += 1;
        let (record, signature) = checked.record();
        let evidence = ApprovalEvidence {
            record: BASE64_STANDARD.encode(record),
            signature: BASE64_STANDARD.encode(signature.0),
            device_key: BASE64_STANDARD.encode(self.device()?.key.0),
            enrolment: Some(self.device()?.enrolment.clone()),
        };
        assert!(ApprovalRecord::decode(record).is_ok());
        let evaluation = checked.evaluate(&self.device()?.server_key);
        let answer = match evaluation {
            Evaluation::Signed(signatures) => {
                let token = self.token();
                let device = self.device.as_mut().unwrap();
                device.wrong = 0;
                device.tokens.push(token);
                self.requests.iter_mut().find(|(one, _)| one.request == object.request).unwrap().1 =
                    Request::Signed(signatures.as_slice().to_vec(), evidence);
                Evaluated::Signed { signatures, token: WireSecret(SecretBytes::new(token)) }
            }
            Evaluation::WrongPin => {
                self.device.as_mut().unwrap().wrong += 1;
                Evaluated::WrongPin { attempts: self.attempts()? }
            }
            Evaluation::Cheating => Evaluated::KeyEnded {},
            Evaluation::ServerFault => return Err(problem(ProblemCode::Internal)),
        };
        let bytes = codec::encode(&answer);
        self.outcomes.insert(hash, bytes.clone());
        Ok(bytes)
    }

    /// Current or pending token, pending becoming current; anything else is refused.
    fn present(&mut self, token: &SecretBytes<32>) -> Outcome<()> {
        let tokens = &mut self.device.as_mut().unwrap().tokens;
        let place = tokens.iter().position(|known| known == token.expose());
        let place = place.ok_or_else(|| problem(ProblemCode::UnknownToken))?;
        if place + 2 < tokens.len() {
            return Err(problem(ProblemCode::Frozen));
        }
        if place + 1 == tokens.len() {
            tokens.drain(..place);
        } else {
            // Still the current one: a pending one that never arrived is replaced.
            tokens.truncate(place + 1);
        }
        Ok(())
    }

    fn refresh_start(&mut self, start: &RefreshStart, now: UnixSeconds) -> Outcome<Vec<u8>> {
        let device = self.device()?;
        let hash = CheckedRefresh::payload_hash(&device.context, start);
        // One proof opens one ceremony.
        if let Some(stored) = self.outcomes.get(&hash) {
            let started =
                matches!(codec::decode(stored, REPLY_BYTES_MAX), Ok(RefreshStarted::Started { .. }));
            return if started { Err(problem(ProblemCode::Stale)) } else { Ok(stored.clone()) };
        }
        let checked =
            CheckedRefresh::new(&device.context, start).map_err(|_| problem(ProblemCode::Malformed))?;
        if checked.based_on(&device.server_key, &device.context, now).is_none() {
            return Err(problem(ProblemCode::Stale));
        }
        self.present(&checked.token().0)?;
        let device = self.device()?;
        let answer = if checked.pin_is_right(&device.server_key, &device.context) {
            let (context, key, public_key) = (device.context, device.key, device.public_key);
            let (next, ceremony, commitment) = ServerRefresh::start(&context, key, public_key, &mut self.rng);
            let token = self.token();
            self.device.as_mut().unwrap().tokens.push(token);
            self.ceremony = Some(Ceremony::Refresh(next));
            RefreshStarted::Started { ceremony, commitment, token: WireSecret(SecretBytes::new(token)) }
        } else {
            self.device.as_mut().unwrap().wrong += 1;
            RefreshStarted::WrongPin { attempts: self.attempts()? }
        };
        let bytes = codec::encode(&answer);
        self.outcomes.insert(hash, bytes.clone());
        Ok(bytes)
    }

    fn refresh_keys(&mut self, envelope: &Envelope, now: UnixSeconds) -> Outcome<RefreshKeyed> {
        let keys: RefreshKeys = self.open(envelope, now)?;
        let Some(Ceremony::Refresh(refresh)) = self.ceremony.take() else {
            return Err(problem(ProblemCode::CeremonyUnknown));
        };
        let old = &self.device.as_ref().unwrap().server_key;
        let (next, keyed) =
            refresh.keys(old, &keys, now, &mut self.rng).map_err(|_| problem(ProblemCode::CeremonyFailed))?;
        self.ceremony = Some(Ceremony::RefreshConfirming(next));
        Ok(keyed)
    }

    fn refresh_confirm(&mut self, envelope: &Envelope, now: UnixSeconds) -> Outcome<Confirmed> {
        let RefreshConfirm(confirmation) = self.open(envelope, now)?;
        let Some(Ceremony::RefreshConfirming(confirming)) = self.ceremony.take() else {
            return Err(problem(ProblemCode::CeremonyUnknown));
        };
        let proven = confirming
            .check(confirmation)
            .and_then(CheckedConfirmation::evaluate)
            .map_err(|_| problem(ProblemCode::CeremonyFailed))?;
        self.remember(proven.context.suite, &proven.key);
        let device = self.device.as_mut().unwrap();
        (device.context, device.server_key, device.proof) =
            (proven.context, proven.key, proven.proof.clone());
        Ok(Confirmed { signature: proven.proof })
    }

    fn credentials(&mut self, envelope: &Envelope, now: UnixSeconds) -> Outcome<IssuedCredentials> {
        let body: IssueCredentials = self.open(envelope, now)?;
        let device = self.device()?.context.device;
        let mut credentials = Vec::new();
        if body.keys.as_slice().iter().any(|key| self.unfit.contains(&key.profile)) {
            return Err(problem(ProblemCode::NoDocument));
        }
        // A day key gets one credential.
        if body.keys.as_slice().iter().any(|key| !self.day_keys.insert(key.day_key.0)) {
            return Err(problem(ProblemCode::InvalidValue));
        }
        for request in body.keys.as_slice() {
            let proof = day_key_proof(device, request.profile, &request.day_key);
            if !request.day_key.parse().is_some_and(|key| key.verify(proof, &request.proof)) {
                return Err(problem(ProblemCode::InvalidValue));
            }
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&request.day_key.0).unwrap();
            let status = StatusIndex { list: 1, index: self.rng.next_u32() % 1_000_000 };
            self.issued.push((status.list, status.index));
            let claims = DayClaims::new(now, key, status, document(request.profile), false);
            let credential = claims.sign(&self.issuer).unwrap();
            self.envelopes.push(credential.as_bytes().to_vec());
            credentials.push(Blob::new(credential.as_bytes().to_vec()).unwrap());
        }
        let otp = self.token();
        let new = self.issued.iter().rev().take(credentials.len());
        self.counter.otp.extend(new.map(|place| (*place, otp)));
        Ok(IssuedCredentials {
            time: now,
            otp_secret: WireSecret(SecretBytes::new(otp)),
            credentials: List::new(credentials).unwrap(),
        })
    }

    fn open_enrolling<E: Exchange>(&self, envelope: &Envelope, now: UnixSeconds) -> Outcome<E> {
        let key = self.enrolling.as_ref().ok_or_else(|| problem(ProblemCode::NotTheDevice))?;
        open(envelope, key, now)
    }

    fn remember(&mut self, suite: SuiteId, key: &ServerKey) {
        self.gate_keys.push(key.gate_key.expose().expose().to_vec());
        match suite {
            // s_S, X_D, X_S, Q, each a byte string.
            SuiteId::FrostSecp256k1Sha256 => {
                let mut decoder = minicbor::Decoder::new(&key.share.0);
                assert_eq!(decoder.array().unwrap(), Some(4));
                for _ in 0..3 {
                    self.secrets.push(decoder.bytes().unwrap().to_vec());
                }
            }
            // x_S (32), Q (65), a seed for each bit of x_S (32 each).
            SuiteId::Es256 => {
                let (share, rest) = key.share.0.split_at(32);
                self.secrets.push(share.to_vec());
                self.secrets.extend(rest[65..].chunks(32).map(<[u8]>::to_vec));
                assert_eq!(rest.len(), 65 + 256 * 32);
            }
        }
    }

    fn token(&mut self) -> [u8; 32] {
        let mut token = [0; 32];
        self.rng.fill_bytes(&mut token);
        token
    }
}

fn open<E: Exchange>(
    envelope: &Envelope,
    key: &signer_core::device_key::DevicePublicKey,
    now: UnixSeconds,
) -> Outcome<E> {
    envelope.open(key, now).map_err(|error| match error {
        EnvelopeError::Clock => Problem::new(ProblemCode::Clock, None, Some(now.0)),
        EnvelopeError::Signature => problem(ProblemCode::NotTheDevice),
        _ => problem(ProblemCode::Malformed),
    })
}

fn document(profile: Profile) -> Shown {
    let record: DocumentRecord = serde_json::from_value(serde_json::json!({
        "document_type": DocumentType::IdentityCard,
        "family": "Шевченко",
        "given": "Олена Іванівна",
        "birth": "1990-05-09",
        "number": "000123456",
        "expires": "2036-01-01",
        "rights": "",
        "portrait": null,
    }))
    .unwrap();
    match profile {
        Profile::Age => {
            Shown::Age(Age { document_type: DocumentType::IdentityCard, over: 18, portrait: None })
        }
        Profile::Minimal => record.minimal(Date::new(2027, 1, 15).unwrap()).unwrap(),
        Profile::Full => record.full(&PortraitSalt([0; 16])),
    }
}

fn refused(problem: &Problem) -> Answer {
    let (_, _, body) = json(problem);
    (problem.status, "application/problem+json", body)
}

fn reply<T: minicbor::Encode<()>>(value: T) -> Outcome<Vec<u8>> {
    Ok(codec::encode(&value))
}

fn json<T: serde::Serialize>(value: &T) -> Answer {
    (200, "application/json", serde_json::to_vec(value).unwrap())
}
