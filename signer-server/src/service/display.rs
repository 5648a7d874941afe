//! Codes on display: the server gives a step of a credential its digits and bar code, that no other live display has.

use signer_core::{
    credential::{BarCode, Digits, StatusIndex, Step, Turn, digits},
    domain::{Domain, Macer},
    time::UnixSeconds,
    wire::{Display, DisplayEnded, Displayed, EndDisplay, ProblemCode},
};

use super::{Refusal, Service, ServiceError, ServiceResult, good_standing};
use crate::store::{CodeHash, DisplayResult, DisplayTurn, NewDisplay};

/// How many graces of a QR a short code is good after its step.
const GRACES: u64 = 2;

/// One turn with its codes.
struct Candidate {
    turn: Turn,
    digits: Digits,
    bar: BarCode,
}

impl Service {
    /// Puts a code on display.
    ///
    /// # Errors
    /// `not_found` for others' credentials too; `invalid_value` for a step that is not of now; `too_many` if its turns are
    /// used up.
    pub async fn display(&self, bytes: &[u8]) -> ServiceResult<Displayed> {
        let _announced = self.store.announce();
        let (asked, caller) = self.open::<Display>(bytes).await?;
        good_standing(&caller.installation)?;
        let now = caller.now;
        if self.rule.check(asked.step, now).is_err() {
            return Err(Refusal::because(ProblemCode::InvalidValue, "step is not a step of now").into());
        }
        if self.forgotten_by_restore(asked.step) {
            let text = "the server was restored: codes are taken again when the time named has come";
            let time = Some(self.rule.end(self.rule.step_at(self.store.restored_at()).next()));
            return Err(Refusal { time, ..Refusal::because(ProblemCode::Overloaded, text) }.into());
        }
        let device = caller.installation.device;
        let row = self.store.credential(asked.list, asked.index).await?;
        let row =
            row.filter(|row| row.device == device).ok_or_else(|| Refusal::new(ProblemCode::NotFound))?;
        let candidates = self.candidates(&asked, &self.otp_secret(&row).await?);
        let until = self.rule.end(asked.step).plus(self.rule.grace().saturating_mul(GRACES));
        let new = NewDisplay {
            device,
            list: asked.list,
            index: asked.index,
            step: asked.step.0,
            profile: asked.profile,
            turns: candidates.iter().map(|candidate| self.hashed(candidate)).collect(),
            until,
            life: self.credential_life(),
            now,
        };
        match self.store.display(new).await? {
            DisplayResult::Displayed(position) => {
                self.metrics.displays.inc();
                let found = candidates.get(position).ok_or(ServiceError::Bug("a turn not asked for"))?;
                Ok(Displayed { time: now, turn: found.turn, digits: found.digits, bar: found.bar, until })
            }
            DisplayResult::NoTurn => {
                let text = "no code of this step is left: show the next step's";
                Err(Refusal::because(ProblemCode::TooMany, text).into())
            }
            DisplayResult::NotFound => Err(Refusal::new(ProblemCode::NotFound).into()),
        }
    }

    /// Takes a credential's codes off display.
    ///
    /// # Errors
    /// A refusal if the message is not the device's.
    pub async fn end_display(&self, bytes: &[u8]) -> ServiceResult<DisplayEnded> {
        let (asked, caller) = self.open::<EndDisplay>(bytes).await?;
        self.store.end_display(caller.installation.device, asked.list, asked.index, caller.now).await?;
        Ok(DisplayEnded { time: caller.now })
    }

    /// The turns from the one asked for, each with digits of its own and a fresh bar code.
    fn candidates(&self, asked: &Display, secret: &signer_core::secret::SecretBytes<32>) -> Vec<Candidate> {
        let status = StatusIndex { list: asked.list, index: asked.index };
        let mut rng = self.rng();
        let turns = std::iter::successors(Some(asked.turn), |turn| turn.next());
        turns
            .map(|turn| Candidate {
                turn,
                digits: digits(secret, status, asked.step, turn),
                bar: BarCode::random(&mut *rng),
            })
            .collect()
    }

    fn hashed(&self, candidate: &Candidate) -> DisplayTurn {
        DisplayTurn {
            n: candidate.turn.number(),
            digits: self.digits_hash(candidate.digits),
            bar: self.bar_hash(candidate.bar),
        }
    }

    pub(super) fn digits_hash(&self, digits: Digits) -> CodeHash {
        self.code_hash(b"digits", digits.value().into())
    }

    pub(super) fn bar_hash(&self, bar: BarCode) -> CodeHash {
        self.code_hash(b"bar", bar.value())
    }

    pub(super) fn text_hash(&self, text: &str) -> CodeHash {
        let tag =
            Macer::new(&self.keys.online, Domain::ShortCode).field(b"text").field(text.as_bytes()).tag();
        CodeHash(tag)
    }

    fn code_hash(&self, kind: &[u8], value: u64) -> CodeHash {
        CodeHash(Macer::new(&self.keys.online, Domain::ShortCode).field(kind).number(value).tag())
    }

    /// Whether codes of `step` may have been used before the store was brought back from a backup, and the use forgotten.
    pub(super) fn forgotten_by_restore(&self, step: Step) -> bool {
        let restored = self.store.restored_at();
        restored > UnixSeconds(0) && step <= self.rule.step_at(restored).next()
    }
}
