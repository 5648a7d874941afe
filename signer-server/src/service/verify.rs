//! Online verification of a code: signatures first, then the burn, in one transaction; and the server's signed time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::ecdsa::{Signature, signature::Signer as _};
use signer_core::{
    credential::{
        BarCode, Colour, Digits, Reason, Received, Refusal as CodeRefusal, StatusIndex, VerificationResult,
        Verified, VerifiedRequest, VerifyOptions, digits, verify_answered_request,
    },
    domain::{Domain, Hasher},
    history::Act,
    ids::{CheckId, RelyingPartyId},
    time::UnixSeconds,
    trust::Life,
    wire::{
        AnswerKey, Event, OpenCheck, ProblemCode, Profile, SignedTime, Verification, VerifyCode,
        answered_code, time_to_sign,
    },
};
use subtle::ConstantTimeEq as _;

use super::{
    Refusal, Service, ServiceError, ServiceResult,
    answer::Question,
    check::too_many_checks,
    history::{ASKED, code, reason_name, scan, scan_named},
};
use crate::store::{Burn, Burned, CodeHash, CredentialRow, Installation, RelyingPartyRow};

/// A used code is remembered this long after its credential's own end, seconds: the 46 hours more that an emergency gives
/// it, and a day.
pub(super) const FORGET_SECONDS: u64 = Life::Emergency.longer() + 86_400;
/// How long the same verifier and request id get the same answer, seconds.
const REPEAT_SECONDS: u64 = 60;

/// What a verifier is told.
#[derive(Debug)]
pub enum Verifying {
    /// The result.
    Done(Box<Verification>),
    /// The holder is asked.
    Asked(OpenCheck),
}

/// What a burn is noted with: enough to give the same answer again, and no claim.
#[derive(Debug, Clone, Copy)]
pub(super) enum Noted {
    /// Answered at once, at this time; whether the register was reached.
    Answered(UnixSeconds, bool),
    /// The holder was asked.
    Asked(CheckId),
}

impl Service {
    /// Checks a code and uses it up. A refused code is a result, not a problem.
    ///
    /// # Errors
    /// A refusal if the request id is out of bounds, or the verifier has guessed or asked too often.
    pub async fn verify_code(
        &self,
        verifier: &RelyingPartyRow,
        asked: &VerifyCode,
    ) -> ServiceResult<Verifying> {
        let _announced = self.store.announce();
        let id = asked.request_id.as_bytes();
        if !(8..=64).contains(&id.len()) || !id.iter().all(u8::is_ascii_graphic) {
            let text = "request_id is 8 to 64 visible ASCII characters";
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let now = self.now();
        let request = asked.request.as_deref().map(|text| self.own_request_of(verifier, text, now));
        let request = request.transpose()?;
        let salt = self.code_salt(verifier.id, &asked.request_id);
        let question = Question {
            verifier: verifier.id,
            verifier_name: &verifier.name,
            request_id: &asked.request_id,
            code_sha256: answered_code(&salt, &asked.code),
        };
        let short = match (asked.code.parse::<Digits>(), asked.code.parse::<BarCode>()) {
            (Ok(digits), _) => Some((self.digits_hash(digits), true)),
            (_, Ok(bar)) => Some((self.bar_hash(bar), false)),
            _ => None,
        };
        let told = match short {
            // Only a QR is signed over a request.
            Some(_) if request.is_some() => self.refused(&question, CodeRefusal::NotForThisRequest, now)?,
            Some((code, counted)) => self.verify_short(&question, asked.profile, code, counted, now).await?,
            None => self.verify_qr(&question, asked, request.as_ref(), now).await?,
        };
        let (colour, reason) = match &told {
            Verifying::Asked(_) => ("none", code(ASKED)?),
            Verifying::Done(done) => (colour(done.result.result), reason_name(done.result.reason)?),
        };
        let reason = reason.as_str();
        self.metrics.codes.count([colour.to_owned(), reason.to_owned()]);
        tracing::info!(verifier = %verifier.id, colour, reason, "code verified");
        Ok(told)
    }

    /// The request that a code is said to answer: believed under the trust list given out, and the verifier's own, so that
    /// nobody learns what a holder agreed to tell another business.
    fn own_request_of(
        &self,
        verifier: &RelyingPartyRow,
        text: &str,
        now: UnixSeconds,
    ) -> ServiceResult<VerifiedRequest> {
        let trust = self.trust_list()?;
        let request = verify_answered_request(text, trust.list(), now, self.rule)
            .map_err(|error| Refusal::because(ProblemCode::InvalidValue, format!("request: {error}")))?;
        let own =
            request.issuer() == self.issuer_id() && request.business().id().0 == *verifier.id.as_bytes();
        if !own {
            let text = "the request is another business's";
            return Err(Refusal::because(ProblemCode::Forbidden, text).into());
        }
        Ok(request)
    }

    async fn verify_qr(
        &self,
        question: &Question<'_>,
        asked: &VerifyCode,
        request: Option<&VerifiedRequest>,
        now: UnixSeconds,
    ) -> ServiceResult<Verifying> {
        let code = CodeAsked { wanted: asked.profile, hash: self.text_hash(&asked.code), only_repeat: false };
        let received = match Received::read(&asked.code) {
            Ok(received) => received,
            Err(refusal) => return self.refused(question, refusal, now),
        };
        let StatusIndex { list, index } = received.status();
        let row = self.store.credential(list, index).await?;
        let check = |at| self.check_code(&received, row.as_ref(), request, at);
        match check(now) {
            Ok(verified) => self.use_up(question, code, verified, row.as_ref(), now).await,
            // The repeat of an answer may come when the code's own time is over.
            Err(CodeRefusal::Clock(fault)) => {
                let late = CodeRefusal::Clock(fault);
                let Ok(verified) = check(now.minus(REPEAT_SECONDS)) else {
                    return self.refused(question, late, now);
                };
                let code = CodeAsked { only_repeat: true, ..code };
                match self.use_up(question, code, verified, row.as_ref(), now).await? {
                    Verifying::Done(done) if done.result.result == Colour::Red => {
                        self.refused(question, late, now)
                    }
                    repeat => Ok(repeat),
                }
            }
            Err(refusal) => self.refused(question, refusal, now),
        }
    }

    /// A credential that this server issued is known by its hash: its own signature is not verified again.
    fn check_code(
        &self,
        code: &Received,
        row: Option<&CredentialRow>,
        request: Option<&VerifiedRequest>,
        now: UnixSeconds,
    ) -> Result<Verified, CodeRefusal> {
        let options = VerifyOptions {
            rule: self.rule,
            life: self.credential_life(),
            expected_challenge: request.map(VerifiedRequest::challenge),
            ..VerifyOptions::at(now)
        };
        let known = row.and_then(|row| row.hash.as_ref());
        let verified = code.verify_known(known, &self.keys.issuer_keys(), &options)?;
        if request.is_some_and(|request| !request.is_answered_by(&verified)) {
            return Err(CodeRefusal::NotForThisRequest);
        }
        Ok(verified)
    }

    /// The register, then the burn, after signatures and time: exactly one use is the first. Where more is asked for than
    /// the credential says, the burn opens a check instead, and the register is asked after the holder.
    async fn use_up(
        &self,
        question: &Question<'_>,
        code: CodeAsked,
        verified: Verified,
        row: Option<&CredentialRow>,
        now: UnixSeconds,
    ) -> ServiceResult<Verifying> {
        if self.forgotten_by_restore(verified.once().step) {
            return self.refused(question, CodeRefusal::Used, now);
        }
        let Some(row) = row else {
            return self.use_up_fleet(question, code, &verified, now).await;
        };
        // From here on it is known whose code it is, and the holder is told.
        match self.use_up_known(question, code, &verified, row, now).await? {
            Ok(told) => Ok(told),
            Err(refusal) => {
                if !code.only_repeat {
                    let profile = verified.document().profile();
                    let scan = scan(question.verifier_name, profile, row.document_type, refusal.reason())?;
                    self.tell_refusal(row.device, question.verifier, scan).await?;
                }
                self.refused(question, refusal, now)
            }
        }
    }

    /// The same for a code whose credential is known.
    async fn use_up_known(
        &self,
        question: &Question<'_>,
        asked: CodeAsked,
        verified: &Verified,
        row: &CredentialRow,
        now: UnixSeconds,
    ) -> ServiceResult<Result<Verifying, CodeRefusal>> {
        let once = verified.once();
        let expected = digits(&self.otp_secret(row).await?, once.status, once.step, once.turn);
        if !bool::from(expected.ct_eq(&verified.digits())) {
            return Ok(Err(CodeRefusal::BadSignature));
        }
        let Some(installation) = self.store.installation(row.device).await? else {
            return Ok(Err(CodeRefusal::Revoked));
        };
        let mut burn = burn_of(question, verified, asked, now);
        // Only for a first use the register is asked: a used code is no way to keep it busy.
        if let Some(before) = self.store.look(burn.clone()).await? {
            return self.after_burn(question, verified, before).await;
        }
        let profile = verified.document().profile();
        let (noted, reason) = if let Some(wanted) = asked.wanted.filter(|wanted| *wanted > profile) {
            let check = self.new_check(question, Some(wanted), now);
            (Noted::Asked(burn.check.insert(check).id), code(ASKED)?)
        } else {
            match self.ask_register(question.verifier, &installation, row.document_type).await? {
                Reached::There => (Noted::Answered(now, true), reason_name(Reason::Valid)?),
                Reached::No => (Noted::Answered(now, false), reason_name(Reason::RegisterNotReached)?),
                Reached::Gone => {
                    // Remembered, so that the next answer does not depend on whether the register is reached.
                    self.withdraw(row.device, row.document_type).await?;
                    return Ok(Err(CodeRefusal::Revoked));
                }
            }
        };
        let shown = burn.check.as_ref().and_then(|check| check.profile).unwrap_or(profile);
        let scan = scan_named(question.verifier_name, shown, row.document_type, reason)?;
        let act = if burn.check.is_some() { Act::Refused { scan } } else { Act::Verified { scan } };
        burn.told = self.note(&installation, act)?;
        burn.answer = noted.encode();
        let burned = self.store.burn(burn).await?;
        if burned != Burned::Fresh {
            return self.after_burn(question, verified, burned).await;
        }
        self.tell(row.device, Event::Used);
        self.tell(row.device, Event::History);
        Ok(Ok(self.answer_noted(question, noted, verified, true).await?))
    }

    /// The same answer again, or why there is none.
    pub(super) async fn after_burn(
        &self,
        question: &Question<'_>,
        verified: &Verified,
        before: Burned,
    ) -> ServiceResult<Result<Verifying, CodeRefusal>> {
        let refusal = match before {
            Burned::Same(noted) => {
                let noted = Noted::decode(&noted)?;
                return Ok(Ok(self.answer_noted(question, noted, verified, false).await?));
            }
            Burned::TooManyChecks => return Err(too_many_checks().into()),
            Burned::OtherCode => return Err(other_code().into()),
            Burned::Used => CodeRefusal::Used,
            Burned::Superseded => CodeRefusal::Superseded,
            Burned::Withdrawn => CodeRefusal::Revoked,
            Burned::Suspended => CodeRefusal::Suspended,
            Burned::Fresh => return Err(ServiceError::Bug("a first use that came before")),
        };
        Ok(Err(refusal))
    }

    pub(super) async fn answer_noted(
        &self,
        question: &Question<'_>,
        noted: Noted,
        verified: &Verified,
        fresh: bool,
    ) -> ServiceResult<Verifying> {
        let (at, reached) = match noted {
            Noted::Answered(at, reached) => (at, reached),
            Noted::Asked(id) => return self.asked(id, fresh).await,
        };
        let result = if reached {
            VerificationResult::online(&Ok(verified.clone()), at)
        } else {
            VerificationResult::register_not_reached(verified, at)
        };
        let once = verified.once();
        let use_of = [
            u64::from(once.status.list),
            u64::from(once.status.index),
            once.step.0,
            once.turn.number().into(),
        ];
        let salt = self.disclosure_salt(question, &use_of.map(u64::to_be_bytes).concat());
        Ok(Verifying::Done(Box::new(self.sign_answer(question, result, salt, None)?)))
    }

    async fn ask_register(
        &self,
        verifier: RelyingPartyId,
        installation: &Installation,
        document_type: u32,
    ) -> ServiceResult<Reached> {
        let _place = self.register_calls.take(verifier)?;
        match self.record(&installation.holder, document_type).await {
            Ok(Some(_)) => Ok(Reached::There),
            Ok(None) => Ok(Reached::Gone),
            Err(ServiceError::Refused(_)) => Ok(Reached::No),
            Err(error) => Err(error),
        }
    }

    /// A refusal as a signed result.
    pub(super) fn refused(
        &self,
        question: &Question<'_>,
        refusal: CodeRefusal,
        at: UnixSeconds,
    ) -> ServiceResult<Verifying> {
        let result = VerificationResult::online(&Err(refusal), at);
        let salt = self.disclosure_salt(question, b"");
        Ok(Verifying::Done(Box::new(self.sign_answer(question, result, salt, None)?)))
    }

    /// Server time under the answer key, so that a phone can anchor its own.
    ///
    /// # Errors
    /// A refusal if the nonce is not 32 lower-case hexadecimal digits.
    pub fn signed_time(&self, nonce: &str) -> ServiceResult<SignedTime> {
        if nonce.len() != 32 || !nonce.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            let text = "nonce is 32 lower-case hexadecimal digits";
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let time = self.now().0;
        let signature: Signature = self.keys.answer.sign(&time_to_sign(time, nonce).0);
        Ok(SignedTime { time, nonce: nonce.into(), signature: STANDARD.encode(signature.to_bytes()) })
    }

    /// The key that signs time and answers.
    #[must_use]
    pub fn answer_key(&self) -> AnswerKey {
        AnswerKey { public_key: STANDARD.encode(self.keys.answer_key()) }
    }
}

/// What a verifier asks about a QR.
#[derive(Debug, Clone, Copy)]
pub(super) struct CodeAsked {
    /// What it wants to learn, if more or less than the code says.
    wanted: Option<Profile>,
    /// Keyed hash of the text.
    hash: CodeHash,
    /// Too late for a first use.
    only_repeat: bool,
}

/// What the register said of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    There,
    Gone,
    No,
}

impl Noted {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Answered(at, reached) => [&at.0.to_be_bytes()[..], &[reached.into()]].concat(),
            Self::Asked(id) => id.as_bytes().to_vec(),
        }
    }

    fn decode(bytes: &[u8]) -> ServiceResult<Self> {
        if let Ok(id) = bytes.try_into() {
            return Ok(Self::Asked(CheckId::from_bytes(id)));
        }
        match bytes.split_first_chunk() {
            Some((at, [reached])) => Ok(Self::Answered(UnixSeconds(u64::from_be_bytes(*at)), *reached == 1)),
            _ => Err(ServiceError::Bug("stored answer")),
        }
    }
}

/// The use of a code, as it is looked for before anything is known of it.
pub(super) fn burn_of(
    question: &Question<'_>,
    verified: &Verified,
    asked: CodeAsked,
    now: UnixSeconds,
) -> Burn {
    let once = verified.once();
    Burn {
        list: once.status.list,
        index: once.status.index,
        step: once.step.0,
        n: once.turn.number(),
        verifier: question.verifier,
        request: request_hash(question.request_id),
        code: asked.hash,
        answer: Vec::new(),
        only_repeat: asked.only_repeat,
        check: None,
        told: None,
        forget: verified.expires().plus(FORGET_SECONDS),
        now,
    }
}

/// What the use of a code is noted with when a short code opens a check.
pub(super) fn asked_note(id: CheckId) -> Vec<u8> {
    Noted::Asked(id).encode()
}

pub(super) fn other_code() -> Refusal {
    Refusal::new(ProblemCode::RequestIdUsed)
}

pub(super) fn request_hash(request_id: &str) -> [u8; 32] {
    Hasher::new(Domain::TokenHash).field(b"verification").field(request_id.as_bytes()).finish()
}

const fn colour(colour: Colour) -> &'static str {
    match colour {
        Colour::Green => "green",
        Colour::Amber => "amber",
        Colour::Red => "red",
    }
}
