//! Codes that the server makes for an organisation's documents, as many calls as it takes.

use std::{collections::HashMap, time::Duration};

use signer_core::{
    credential::DocumentType,
    wire::{CODES_MAX, CodeStep, Made, MadeCode, MadeCodes, MakeCodes, ProblemCode},
};

use crate::{error::ClientError, relying_party::RelyingParty};

/// Between calls for documents that the server has put off.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds after which what is put off stays so: a server makes some in each.
const ROUNDS: usize = 60;

impl RelyingParty {
    /// A code for each of its organisation's documents, in the order given. Documents that the server puts off, as their
    /// credentials are only made when first asked for, are asked for again, with `pause` in between; all codes are of one
    /// step.
    ///
    /// # Errors
    /// [`ClientError`] if a call fails; a document without a code is an entry of the answer.
    pub fn codes(
        &self,
        document_type: DocumentType,
        references: &[String],
        step: CodeStep,
        pause: &dyn Fn(Duration),
    ) -> Result<MadeCodes, ClientError> {
        let call = |references: &[String]| {
            self.make_codes(&MakeCodes { document_type, references: references.to_vec(), step })
        };
        let mut codes: HashMap<String, Made> = HashMap::new();
        let mut made: Option<MadeCodes> = None;
        for round in 0..ROUNDS {
            let open: Vec<String> =
                references.iter().filter(|one| codes.get(*one).is_none_or(put_off)).cloned().collect();
            if open.is_empty() {
                break;
            }
            if round > 0 {
                pause(PAUSE);
            }
            for part in open.chunks(CODES_MAX) {
                let answer = call(part)?;
                if answer.codes.len() != part.len() {
                    return Err(ClientError::ServerMisbehaved("other codes than were asked for"));
                }
                if made.as_ref().is_some_and(|made| made.step != answer.step) {
                    // The step has changed meanwhile: what was made for the one before is made again, from what is held.
                    codes.clear();
                }
                codes.extend(answer.codes.iter().map(|code| (code.reference.clone(), code.made.clone())));
                made = Some(MadeCodes { codes: Vec::new(), ..answer });
            }
        }
        let mut made = made.ok_or(ClientError::Usage("name at least one document"))?;
        made.codes = references
            .iter()
            .map(|reference| MadeCode {
                reference: reference.clone(),
                made: codes.get(reference).cloned().unwrap_or(Made::Problem(ProblemCode::Overloaded)),
            })
            .collect();
        Ok(made)
    }
}

/// Whether the same question may be answered otherwise soon.
const fn put_off(made: &Made) -> bool {
    matches!(made, Made::Problem(ProblemCode::Overloaded | ProblemCode::Stale))
}
