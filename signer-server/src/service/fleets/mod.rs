//! Codes of organisations' documents, which this server makes itself: a fleet's vehicles, many in one call.
//!
//! | file | what |
//! |---|---|
//! | this one | a call, from its references to its codes |
//! | `held` | day keys and credentials, in memory only |
//! | `making` | new credentials: place first, then the register, then the signature |
//! | `online` | the use of such a code |

mod held;
mod making;
mod online;

use std::{collections::HashSet, sync::Arc};

use signer_core::{
    credential::{Date, DocumentType, Kid, Step, Turn},
    domain::{Domain, Macer},
    time::UnixSeconds,
    wire::{CODES_MAX, CodeStep, Made, MadeCode, MadeCodes, MakeCodes, ProblemCode},
    wrap::Location,
};

pub(super) use self::held::Fleets;
use self::held::{Fleet, Held};
use super::{KeyPurpose, Refusal, Service, ServiceError, ServiceResult, sign::blocking};
use crate::store::{DocumentHash, LivePlace, Organisation, OrganisationDocument};

/// A document that is asked for.
#[derive(Debug, Clone)]
struct Wanted {
    document: OrganisationDocument,
    document_type: DocumentType,
    hash: DocumentHash,
}

/// What a call knows of a document so far: what its codes are made from, or why there are none.
type Found = Result<Arc<Held>, ProblemCode>;

impl Service {
    /// A code for each document, for this step or the next. What is wrong with one document is said of that one alone.
    ///
    /// # Errors
    /// A refusal if the call itself is wrong, or the server was restored so shortly ago that no code would be taken.
    pub async fn make_codes(
        &self,
        organisation: Organisation,
        asked: &MakeCodes,
    ) -> ServiceResult<MadeCodes> {
        let now = self.now();
        let wanted = self.wanted(&organisation, asked)?;
        let _place = self.fleets.calls.take(organisation.clone())?;
        let fleet = self.fleets.of(&organisation);
        let step = match asked.step {
            CodeStep::Current => self.rule.step_at(now),
            CodeStep::Next => self.rule.step_at(now).next(),
        };
        if self.forgotten_by_restore(step) {
            let text = "the server was restored: codes are taken again when the time named has come";
            let time = Some(self.rule.end(self.rule.step_at(self.store.restored_at()).next()));
            return Err(Refusal { time, ..Refusal::because(ProblemCode::Overloaded, text) }.into());
        }
        let found = self.found(&fleet, &wanted, step, now).await?;
        let rule = self.rule;
        let signed = blocking(move || {
            let sign = |(held, turn): (Arc<Held>, Turn)| held.code(step, turn, now, rule);
            found.into_iter().map(|found| found.map(sign)).collect::<Vec<_>>()
        });
        let mut codes = Vec::with_capacity(wanted.len());
        for (wanted, signed) in wanted.iter().zip(signed.await?) {
            let made = match signed {
                Ok(code) => code?,
                Err(problem) => Made::Problem(problem),
            };
            codes.push(MadeCode { reference: wanted.document.reference().to_owned(), made });
        }
        let problems = codes.iter().filter(|code| matches!(code.made, Made::Problem(_))).count();
        tracing::info!(organisation = organisation.as_str(), documents = codes.len(), problems, "codes made");
        Ok(MadeCodes { step, valid_from: rule.start(step), valid_until: rule.end(step), codes })
    }

    fn wanted(&self, organisation: &Organisation, asked: &MakeCodes) -> ServiceResult<Vec<Wanted>> {
        let invalid = |text: &str| Refusal::because(ProblemCode::InvalidValue, text);
        let document_type = asked.document_type;
        if document_type.is_personal() {
            return Err(invalid(
                "document_type is not an organisation's: the server holds no key of a person",
            )
            .into());
        }
        if !(1..=CODES_MAX).contains(&asked.references.len()) {
            return Err(invalid("references are 1 to 1000").into());
        }
        let mut seen = HashSet::new();
        let wanted = asked.references.iter().map(|reference| {
            let document = OrganisationDocument::new(organisation.clone(), reference)
                .ok_or_else(|| invalid("a reference is 1 to 32 visible ASCII characters"))?;
            let hash = self.document_hash(&document, document_type);
            if seen.insert(hash) {
                Ok(Wanted { document, document_type, hash })
            } else {
                Err(invalid("a reference stands twice").into())
            }
        });
        wanted.collect()
    }

    /// What is held, and made where nothing is. Whatever is used was good in the store after it was made.
    async fn found(
        &self,
        fleet: &Fleet,
        wanted: &[Wanted],
        step: Step,
        now: UnixSeconds,
    ) -> ServiceResult<Vec<Result<(Arc<Held>, Turn), ProblemCode>>> {
        let last = self.rule.end(step).plus(self.rule.grace());
        let issuer = Kid::of(self.keys.in_use(KeyPurpose::Issuer)?.verifying_key());
        let mut found = fleet.held(wanted, last, issuer);
        let mut places = self.places(&found).await?;
        // What an event has ended is made anew, for the register may have it in another form.
        fleet.forget_ended(&mut found, &places);
        let due = |found: &Option<Found>| !matches!(found, Some(Ok(held)) if !held.is_due(now));
        let missing: Vec<usize> = (0..found.len()).filter(|place| due(&found[*place])).collect();
        if !missing.is_empty() {
            let asked: Vec<Wanted> = missing.iter().map(|place| wanted[*place].clone()).collect();
            let made = self.make(fleet, &asked, now).await?;
            for (place, made) in missing.into_iter().zip(made) {
                found[place] = Some(match (made, found[place].take()) {
                    (Err(ProblemCode::NoDocument), Some(Ok(_))) => {
                        // Remembered, so that nothing is made of it when the register is not reached.
                        self.store.withdraw_document(wanted[place].hash, now).await?;
                        Err(ProblemCode::NoDocument)
                    }
                    // What is due a little early goes on until the register says otherwise.
                    (Err(ProblemCode::Overloaded | ProblemCode::RegisterNotReached), Some(held)) => held,
                    (made, _) => made,
                });
            }
            places = self.places(&found).await?;
        }
        let today = Date::of(self.rule.start(step)).ok_or(ServiceError::Bug("date out of range"))?;
        let judged = found.into_iter().zip(places).map(|(found, place)| {
            let held = found.unwrap_or(Err(ProblemCode::Overloaded))?;
            let place = place.ok_or(ProblemCode::Stale)?;
            if held.ends_before(today) {
                return Err(ProblemCode::NoDocument);
            }
            Ok((held, turn(place, step).ok_or(ProblemCode::TooMany)?))
        });
        Ok(judged.collect())
    }

    /// The state of what was found, in one question to the store; `None` for what has ended, or was not found.
    async fn places(&self, found: &[Option<Found>]) -> ServiceResult<Vec<Option<LivePlace>>> {
        let status = |found: &Option<Found>| match found {
            Some(Ok(held)) => Some(held.status()),
            _ => None,
        };
        let asked: Vec<_> = found.iter().filter_map(status).collect();
        let mut answers =
            if asked.is_empty() { Vec::new() } else { self.store.live_places(asked).await? }.into_iter();
        Ok(found.iter().map(|found| status(found).and_then(|_| answers.next().flatten())).collect())
    }

    /// Under the server's own key, so that the store does not give references away to whoever tries them out.
    pub(super) fn document_hash(
        &self,
        document: &OrganisationDocument,
        document_type: DocumentType,
    ) -> DocumentHash {
        let hash = Macer::new(&self.keys.online, Domain::OrganisationDocument)
            .number(document_type.number().into())
            .field(document.organisation().as_str().as_bytes())
            .field(document.reference().as_bytes());
        DocumentHash(hash.tag())
    }
}

/// The turn after the last that was used; `None` if the step has none left.
fn turn(place: LivePlace, step: Step) -> Option<Turn> {
    match place.used {
        Some((used, _)) if used > step.0 => None,
        Some((used, n)) if used == step.0 => Turn::try_from(n).ok()?.next(),
        _ => Some(Turn::FIRST),
    }
}

/// Where a wrapped [`OrganisationDocument`] stands.
const fn document_location(row: &[u8; 8]) -> Location<'_> {
    Location { table: "credential", row, column: "wrapped_document", epoch: 0 }
}
