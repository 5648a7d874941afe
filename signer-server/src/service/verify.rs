//! Online verification of a code: signatures first, then the burn, in one transaction; and the server's signed time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::ecdsa::{Signature, signature::Signer as _};
use signer_core::{
    credential::{
        Colour, Reason, Refusal as CodeRefusal, VerificationResult, Verified, VerifyOptions, digits, verify,
    },
    domain::{Domain, Hasher},
    history::Act,
    time::UnixSeconds,
    wire::{AnswerKey, ProblemCode, SignedTime, VerifyCode, time_to_sign},
};

use subtle::ConstantTimeEq as _;

use super::{Refusal, Service, ServiceError, ServiceResult, history::scan};
use crate::store::{Burn, Burned, CredentialRow, RelyingPartyRow};

/// A used code is remembered this long after its credential's end, seconds.
const FORGET_SECONDS: u64 = 86_400;
/// How long the same verifier and request id get the same answer, seconds.
const REPEAT_SECONDS: u64 = 60;

impl Service {
    /// Checks a code and uses it up. A refused code is a result, not a problem.
    ///
    /// # Errors
    /// A refusal if the request id is out of bounds.
    pub async fn verify_code(
        &self,
        verifier: &RelyingPartyRow,
        asked: &VerifyCode,
    ) -> ServiceResult<VerificationResult> {
        let _announced = self.store.announce();
        let id = asked.request_id.as_bytes();
        if !(8..=64).contains(&id.len()) || !id.iter().all(u8::is_ascii_graphic) {
            let text = "request_id is 8 to 64 visible ASCII characters";
            return Err(Refusal::because(ProblemCode::InvalidValue, text).into());
        }
        let now = self.now();
        let result = match self.check_code(&asked.code, now) {
            Ok(verified) => self.use_up(verifier, id, verified, now, false).await?,
            // The repeat of an answer may come when the code's own time is over.
            Err(CodeRefusal::Clock(fault)) => match self.check_code(&asked.code, now.minus(REPEAT_SECONDS)) {
                Ok(verified) => {
                    let repeat = self.use_up(verifier, id, verified, now, true).await?;
                    let late = Err(CodeRefusal::Clock(fault));
                    if repeat.result == Colour::Red { VerificationResult::online(&late, now) } else { repeat }
                }
                Err(_) => VerificationResult::online(&Err(CodeRefusal::Clock(fault)), now),
            },
            Err(refusal) => VerificationResult::online(&Err(refusal), now),
        };
        let colour = match result.result {
            Colour::Green => "green",
            Colour::Amber => "amber",
            Colour::Red => "red",
        };
        tracing::info!(verifier = %verifier.id, colour, reason = ?result.reason, "code verified");
        Ok(result)
    }

    fn check_code(&self, code: &str, now: UnixSeconds) -> Result<Verified, CodeRefusal> {
        verify(code, self.keys.issuer_keys(), &VerifyOptions { rule: self.rule, ..VerifyOptions::at(now) })
    }

    /// The register, then the burn, after signatures and time: exactly one use is the first.
    async fn use_up(
        &self,
        verifier: &RelyingPartyRow,
        request_id: &[u8],
        verified: Verified,
        now: UnixSeconds,
        only_repeat: bool,
    ) -> ServiceResult<VerificationResult> {
        let refused = |refusal| Ok(VerificationResult::online(&Err(refusal), now));
        let once = verified.once();
        let Some(row) = self.store.credential(once.status.list, once.status.index).await? else {
            return refused(CodeRefusal::Revoked);
        };
        // From here on it is known whose code it is, and the holder is told.
        let (profile, document_type) = (verified.document().profile(), row.document_type);
        let device = row.device;
        match self.use_up_known(verifier, request_id, verified, row, now, only_repeat).await? {
            Ok(result) => Ok(result),
            Err(refusal) => {
                if !only_repeat {
                    let scan = scan(verifier, profile, document_type, refusal.reason())?;
                    self.tell_refusal(device, verifier, scan).await?;
                }
                refused(refusal)
            }
        }
    }

    /// The same for a code whose credential is known.
    async fn use_up_known(
        &self,
        verifier: &RelyingPartyRow,
        request_id: &[u8],
        verified: Verified,
        row: CredentialRow,
        now: UnixSeconds,
        only_repeat: bool,
    ) -> ServiceResult<Result<VerificationResult, CodeRefusal>> {
        let once = verified.once();
        let expected = digits(&self.otp_secret(&row)?, once.status, once.step, once.turn);
        if !bool::from(expected.ct_eq(&verified.digits())) {
            return Ok(Err(CodeRefusal::BadSignature));
        }
        let Some(installation) = self.store.installation(row.device).await? else {
            return Ok(Err(CodeRefusal::Revoked));
        };
        let reached = match self.record(&installation.holder, row.document_type).await {
            Ok(Some(_)) => true,
            Ok(None) => return Ok(Err(CodeRefusal::Revoked)),
            Err(ServiceError::Refused(_)) => false,
            Err(error) => return Err(error),
        };
        let reason = if reached { Reason::Valid } else { Reason::RegisterNotReached };
        let told = match only_repeat {
            true => None,
            false => {
                let scan = scan(verifier, verified.document().profile(), row.document_type, reason)?;
                self.note(&installation, Act::Verified { scan })?
            }
        };
        let burn = Burn {
            list: once.status.list,
            index: once.status.index,
            step: once.step.0,
            n: once.turn.number(),
            verifier: verifier.id,
            request: Hasher::new(Domain::TokenHash).field(b"verification").field(request_id).finish(),
            answer: now.0.to_be_bytes().to_vec(),
            only_repeat,
            told,
            forget: verified.expires().plus(FORGET_SECONDS),
            now,
        };
        let at = match self.store.burn(burn).await? {
            Burned::Fresh => now,
            Burned::Same(answer) => {
                let at = answer.try_into().map_err(|_| ServiceError::Bug("stored answer"))?;
                UnixSeconds(u64::from_be_bytes(at))
            }
            Burned::Used => return Ok(Err(CodeRefusal::Used)),
            Burned::Withdrawn => return Ok(Err(CodeRefusal::Revoked)),
        };
        if !reached {
            return Ok(Ok(VerificationResult::register_not_reached(&verified, at)));
        }
        Ok(Ok(VerificationResult::online(&Ok(verified), at)))
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

    /// The key that signs time.
    #[must_use]
    pub fn answer_key(&self) -> AnswerKey {
        AnswerKey { public_key: STANDARD.encode(self.keys.answer_key()) }
    }
}
