//! Checks: a short code, or a question for more than a QR says, is put to the holder. Nothing is released before the holder
//! agrees, and the register is asked only then.

use signer_core::{
    codec::Label,
    credential::{
        Date, Document, DocumentRecord, PortraitSalt, Reason, Refusal as CodeRefusal, Step,
        VerificationResult,
    },
    history::{Act, Scan},
    ids::{CheckId, DeviceId},
    time::UnixSeconds,
    wire::{
        AnswerCheck, CHECK_KEPT_SECONDS, CHECK_SECONDS, Check, CheckAnswered, ChecksQuery, Event,
        MatchNumber, OpenCheck, PendingChecks, ProblemCode, Profile,
    },
};

use super::{
    Refusal, Service, ServiceError, ServiceResult, WaitMs,
    answer::Question,
    good_standing,
    history::scan,
    releases::Record,
    verify::{FORGET_SECONDS, Verifying, asked_note, other_code, request_hash},
};
use crate::store::{
    AnswerResult, CheckRow, CheckState, CodeHash, Ended, NewCheck, RelyingPartyRow, Resolve, Resolved, Told,
};

impl Service {
    /// Looks for a short code. What is found is used up, and the holder is asked.
    pub(super) async fn verify_short(
        &self,
        question: &Question<'_>,
        wanted: Option<Profile>,
        code: CodeHash,
        counted: bool,
        now: UnixSeconds,
    ) -> ServiceResult<Verifying> {
        let check = self.new_check(question, wanted, now);
        let resolve = Resolve {
            code,
            verifier: question.verifier,
            request: request_hash(question.request_id),
            answer: asked_note(check.id),
            check,
            counted,
            told: self.tell_asked(),
            forget_seconds: FORGET_SECONDS,
            life: self.credential_life(),
            now,
        };
        match self.store.resolve(resolve).await? {
            Resolved::Asked { check, fresh } => {
                if fresh {
                    self.tell(check.device, Event::Used);
                    self.tell(check.device, Event::Checks);
                    self.tell(check.device, Event::History);
                }
                self.view_check(*check).await
            }
            Resolved::Missed { at, alarm } => {
                if alarm {
                    tracing::error!("so many short codes are guessed that all verifiers are slowed");
                }
                self.refused(question, CodeRefusal::UnknownCode, at)
            }
            Resolved::Spent(until) => {
                let text = "too many codes that no phone shows: scan QR codes, or wait until the time named";
                let refusal = Refusal::because(ProblemCode::TooMany, text);
                Err(Refusal { time: Some(until), ..refusal }.into())
            }
            Resolved::TooManyChecks => Err(too_many_checks().into()),
            Resolved::OtherCode => Err(other_code().into()),
        }
    }

    pub(super) fn new_check(
        &self,
        question: &Question<'_>,
        wanted: Option<Profile>,
        now: UnixSeconds,
    ) -> NewCheck {
        let mut rng = self.rng();
        NewCheck {
            id: CheckId::random(&mut *rng),
            request_id: question.request_id.into(),
            code_sha256: question.code_sha256,
            profile: wanted,
            match_number: MatchNumber::random(&mut *rng),
            expires: now.plus(CHECK_SECONDS),
        }
    }

    /// The check that the use of a QR opened.
    pub(super) async fn asked(&self, id: CheckId, fresh: bool) -> ServiceResult<Verifying> {
        let check = self.store.holder_check(id, self.now()).await?;
        let check = check.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        if fresh {
            self.tell(check.device, Event::Checks);
        }
        self.view_check(check).await
    }

    /// A check as its verifier sees it, waiting for the holder as long as asked.
    ///
    /// # Errors
    /// `not_found` for others' checks too, and for those that are forgotten.
    pub async fn check_view(
        &self,
        verifier: &RelyingPartyRow,
        id: CheckId,
        wait: WaitMs,
    ) -> ServiceResult<Verifying> {
        let look = || async move {
            let check = self.store.holder_check(id, self.now()).await?;
            let check = check.filter(|check| check.verifier == verifier.id);
            let check = check.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
            let open = (check.state == CheckState::Open).then_some(check.expires);
            Ok((check, open))
        };
        self.view_check(self.wait_for(Ended::Check(id), wait, look).await?).await
    }

    async fn view_check(&self, check: CheckRow) -> ServiceResult<Verifying> {
        let question = Question {
            verifier: check.verifier,
            verifier_name: &check.verifier_name,
            request_id: &check.request_id,
            code_sha256: check.code_sha256,
        };
        match check.state {
            CheckState::Open => Ok(Verifying::Asked(OpenCheck {
                check: check.id,
                match_number: check.match_number,
                expires: check.expires.0,
            })),
            CheckState::Expired(told) => {
                if told.is_none() {
                    let told = self.tell_verifier(&check, Reason::NoAnswer, false).await?;
                    told.ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
                }
                self.refused(&question, CodeRefusal::NoAnswer, check.expires)
            }
            CheckState::Declined(at) => self.refused(&question, CodeRefusal::Declined, at),
            CheckState::Ended => self.withdrawn(&question, &check).await,
            CheckState::Allowed(told) => self.release(&question, &check, told).await,
        }
    }

    /// What the register says, now that the holder agreed: asked once. Stored is only that it was told, so a repetition after a
    /// restart asks again; a first answer without the register stays one.
    async fn release(
        &self,
        question: &Question<'_>,
        check: &CheckRow,
        told: Option<Told>,
    ) -> ServiceResult<Verifying> {
        if let Some(Told { at, reached: false }) = told {
            return self.refused(question, CodeRefusal::RegisterNotReached, at);
        }
        let salt = self.disclosure_salt(question, check.id.as_bytes());
        if !check.good {
            return self.withdrawn(question, check).await;
        }
        let place = self.releases.of(check.id, self.now().plus(CHECK_KEPT_SECONDS));
        let record = place.get_or_try_init(|| self.ask_record(check)).await?;
        let claims = |at| {
            record
                .as_ref()
                .map_err(|refusal| *refusal)
                .and_then(|record| Ok((claims(record, check.profile, at, &salt)?, record.portrait.as_ref())))
        };
        let now = self.now();
        let (reason, reached) = match claims(now) {
            Ok(_) => (Reason::Valid, true),
            Err(refusal) => (refusal.reason(), refusal != CodeRefusal::RegisterNotReached),
        };
        // Between the register's answer and this an event may have ended the credential: the store decides.
        let Some(Told { at, reached }) = self.tell_verifier(check, reason, reached).await? else {
            return self.withdrawn(question, check).await;
        };
        if !reached {
            return self.refused(question, CodeRefusal::RegisterNotReached, at);
        }
        match claims(at) {
            Ok((claims, portrait)) => {
                let portrait = portrait.filter(|_| check.profile != Profile::Minimal);
                let result = VerificationResult::confirmed(claims, Step(check.step), portrait.is_some(), at);
                Ok(Verifying::Done(Box::new(self.sign_answer(question, result, salt, portrait)?)))
            }
            Err(refusal) => self.refused(question, refusal, at),
        }
    }

    async fn withdrawn(&self, question: &Question<'_>, check: &CheckRow) -> ServiceResult<Verifying> {
        let reason = CodeRefusal::Revoked.reason();
        let scan = scan(&check.verifier_name, check.profile, check.document_type, reason)?;
        self.tell_refusal(check.device, check.verifier, scan).await?;
        self.refused(question, CodeRefusal::Revoked, self.now())
    }

    /// Remembers that the register has a document no longer.
    pub(super) async fn withdraw(&self, device: DeviceId, document_type: u32) -> ServiceResult<()> {
        self.store.withdraw(device, document_type, self.now()).await?;
        self.end_checks(device).await;
        Ok(())
    }

    /// Wakes the verifiers that wait for checks of a device which ended with its credentials. That one is not woken when the
    /// store fails costs time only.
    pub(super) async fn end_checks(&self, device: DeviceId) {
        for check in self.store.ended_checks(device, self.now()).await.unwrap_or_default() {
            self.ring(Ended::Check(check));
        }
        self.tell(device, Event::Checks);
    }

    /// The register's record, or why there is none to show.
    async fn ask_record(&self, check: &CheckRow) -> ServiceResult<Record> {
        let _place = self.register_calls.take(check.verifier)?;
        match self.record(&check.holder, check.document_type).await {
            Ok(Some(record)) => Ok(Ok(record)),
            Ok(None) => {
                self.withdraw(check.device, check.document_type).await?;
                Ok(Err(CodeRefusal::Revoked))
            }
            Err(ServiceError::Refused(_)) => Ok(Err(CodeRefusal::RegisterNotReached)),
            Err(error) => Err(error),
        }
    }

    /// Notes that the verifier is told, once, with the entry in the holder's history.
    async fn tell_verifier(
        &self,
        check: &CheckRow,
        reason: Reason,
        reached: bool,
    ) -> ServiceResult<Option<Told>> {
        let now = self.now();
        let scan = scan(&check.verifier_name, check.profile, check.document_type, reason)?;
        let scan = Scan { shown: check.shown, ..scan };
        let accepted = matches!(reason, Reason::Valid | Reason::RegisterNotReached);
        let act = if accepted { Act::Verified { scan } } else { Act::Refused { scan } };
        let entry = self.note_for(check.device, act).await?;
        let told = self.store.tell(check.id, Told { at: now, reached }, entry, now).await?;
        self.tell(check.device, Event::History);
        Ok(told)
    }

    /// Checks that wait for the calling device's holder.
    ///
    /// # Errors
    /// A refusal if the message is not the device's, or the device is not in good standing.
    pub async fn checks(&self, bytes: &[u8]) -> ServiceResult<PendingChecks> {
        let (ChecksQuery {}, caller) = self.open(bytes).await?;
        good_standing(&caller.installation)?;
        let rows = self.store.open_checks(caller.installation.device, caller.now).await?;
        let checks = rows.into_iter().map(shown).collect::<ServiceResult<_>>()?;
        Ok(PendingChecks { time: caller.now, checks })
    }

    /// The holder's answer to a check.
    ///
    /// # Errors
    /// `not_found` for others' checks too, `request_closed` if it ended otherwise, `record_mismatch` if the phone showed
    /// something else.
    pub async fn answer_check(&self, bytes: &[u8]) -> ServiceResult<CheckAnswered> {
        let (answer, caller) = self.open::<AnswerCheck>(bytes).await?;
        good_standing(&caller.installation)?;
        let (device, now) = (caller.installation.device, caller.now);
        // An approval goes into the history with what the verifier is told.
        let check = self.store.holder_check(answer.id, now).await?.filter(|check| check.device == device);
        let told = match check {
            Some(check) if check.state == CheckState::Open => {
                let scan = scan(&check.verifier_name, check.profile, check.document_type, Reason::Declined)?;
                if shown(check)?.digest() != answer.shown {
                    let text = "the check is another one than was shown";
                    return Err(Refusal::because(ProblemCode::RecordMismatch, text).into());
                }
                let scan = Scan { shown: Some(answer.shown), ..scan };
                if answer.allow { None } else { self.note(&caller.installation, Act::Refused { scan })? }
            }
            _ => None,
        };
        match self.store.answer_check(answer, device, told, now).await? {
            AnswerResult::Answered => {
                self.ring(Ended::Check(answer.id));
                Ok(CheckAnswered { time: now })
            }
            AnswerResult::NotFound => Err(Refusal::new(ProblemCode::NotFound).into()),
            AnswerResult::Closed => Err(Refusal::new(ProblemCode::RequestClosed).into()),
        }
    }
}

pub(super) fn too_many_checks() -> Refusal {
    Refusal::because(ProblemCode::TooMany, "too many checks wait for an answer; the code was not used up")
}

fn shown(row: CheckRow) -> ServiceResult<Check> {
    Ok(Check {
        id: row.id,
        verifier: Label::new(row.verifier_name).ok_or(ServiceError::Bug("registered name"))?,
        profile: row.profile,
        document_type: row.document_type,
        match_number: row.match_number,
        expires: row.expires,
    })
}

/// What a profile says of a record at `at`. The digest of the portrait has the disclosure's salt: the verifier can check it.
fn claims(
    record: &DocumentRecord,
    profile: Profile,
    at: UnixSeconds,
    salt: &PortraitSalt,
) -> Result<Document, CodeRefusal> {
    let today = Date::of(at).ok_or(CodeRefusal::DocumentExpired)?;
    if record.expires < today {
        return Err(CodeRefusal::DocumentExpired);
    }
    match profile {
        Profile::Full => Ok(record.full(salt)),
        // Initials that do not fit are a fault of the register's.
        Profile::Minimal => record.minimal(today).map_err(|_| CodeRefusal::RegisterNotReached),
        Profile::Age => record.age(today, &[DocumentRecord::AGE], salt).ok_or(CodeRefusal::TooYoung),
    }
}
