//! The outcome of a check as a JSON file or an answer of the server: one colour, one sentence, one next step.

use alloc::{string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    document::{Document, DocumentType},
    refusal::{Reason, Refusal},
    step::Step,
    verify::Verified,
};
use crate::time::UnixSeconds;

/// What a clerk sees first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Accept.
    Green,
    /// Genuine as far as known; something could not be checked.
    Amber,
    /// Do not accept this code.
    Red,
}

/// What a result does not cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// Another verifier may have accepted the same code.
    #[serde(rename = "copy not excluded")]
    CopyNotExcluded,
    /// The face was not compared with a signed portrait.
    #[serde(rename = "photo not checked")]
    PhotoNotChecked,
    /// The document may have been withdrawn since it was issued.
    #[serde(rename = "withdrawals not checked")]
    WithdrawalsNotChecked,
}

/// The outcome of a check. Red carries nothing of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationResult {
    /// The colour.
    pub result: Colour,
    /// The stable code of the outcome.
    pub reason: Reason,
    /// What happened.
    pub sentence: String,
    /// What to do now.
    pub next_step: String,
    /// Kind of document, unless red.
    pub document_type: Option<DocumentType>,
    /// What the document says, unless red.
    pub claims: Option<Document>,
    /// Step of the code, unless red.
    pub step: Option<Step>,
    /// The verifier's clock.
    pub checked_at: UnixSeconds,
    /// Whether it was checked without the server.
    pub offline: bool,
    /// What the result does not cover.
    pub notes: Vec<Note>,
}

impl VerificationResult {
    /// The outcome of a check without network and without status lists: amber at best.
    #[must_use]
    pub fn offline(outcome: &Result<Verified, Refusal>, now: UnixSeconds) -> Self {
        let online = Self::online(outcome, now);
        if online.result != Colour::Green {
            return Self { offline: true, ..online };
        }
        Self {
            result: Colour::Amber,
            reason: Reason::WithdrawalsNotChecked,
            sentence:
                "The issuer and this phone have signed it; whether it was withdrawn since is not known."
                    .into(),
            next_step: "Compare the face with the photo; where it matters, check online.".into(),
            offline: true,
            notes: vec![Note::CopyNotExcluded, Note::PhotoNotChecked, Note::WithdrawalsNotChecked],
            ..online
        }
    }

    /// The outcome of a check by the server, which has looked up withdrawal and used the code up.
    #[must_use]
    pub fn online(outcome: &Result<Verified, Refusal>, now: UnixSeconds) -> Self {
        match outcome {
            Ok(verified) => Self::accepted(verified, now),
            Err(refusal) => Self::refused(*refusal, now),
        }
    }

    /// The outcome of a check by the server while the register is down: amber, with what the credential says.
    #[must_use]
    pub fn register_not_reached(verified: &Verified, now: UnixSeconds) -> Self {
        let refusal = Refusal::RegisterNotReached;
        Self {
            result: Colour::Amber,
            reason: refusal.reason(),
            sentence: refusal.sentence(),
            next_step: "Compare the face with the photo, and try again in a minute where it matters.".into(),
            notes: vec![Note::PhotoNotChecked, Note::WithdrawalsNotChecked],
            ..Self::accepted(verified, now)
        }
    }

    fn accepted(verified: &Verified, now: UnixSeconds) -> Self {
        Self {
            result: Colour::Green,
            reason: Reason::Valid,
            sentence: "The document is valid.".into(),
            next_step: "Compare the face with the photo.".into(),
            document_type: Some(verified.document().document_type()),
            claims: Some(verified.document().clone()),
            step: Some(verified.step()),
            checked_at: now,
            offline: false,
            notes: vec![Note::PhotoNotChecked],
        }
    }

    fn refused(refusal: Refusal, now: UnixSeconds) -> Self {
        let amber = refusal == Refusal::RegisterNotReached;
        Self {
            result: if amber { Colour::Amber } else { Colour::Red },
            reason: refusal.reason(),
            sentence: refusal.sentence(),
            next_step: refusal.next_step().into(),
            document_type: None,
            claims: None,
            step: None,
            checked_at: now,
            offline: false,
            notes: Vec::new(),
        }
    }
}
