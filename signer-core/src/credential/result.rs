//! The outcome of a check as a JSON file or an answer of the server: one colour, one sentence, one next step.

use alloc::{format, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{
    document::{Document, DocumentType},
    refusal::{Reason, Refusal},
    step::Step,
    verify::Verified,
};
use crate::{status::Withdrawals, time::UnixSeconds};

/// What a clerk sees first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// The document may have been withdrawn since `withdrawals_known_to`, which is long ago.
    #[serde(rename = "status list old")]
    StatusListOld,
    /// An issuer's key may have been withdrawn since.
    #[serde(rename = "trust list old")]
    TrustListOld,
    /// The credential is past its 26 hours and counts only because the trust list says emergency.
    #[serde(rename = "emergency life")]
    EmergencyLife,
    /// A server holds the key: no phone was there.
    #[serde(rename = "code made by a server")]
    MadeByServer,
}

/// How much a verifier without network knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Of withdrawals of this credential.
    pub withdrawals: Withdrawals,
    /// Whether its trust list is old.
    pub trust_list_old: bool,
}

impl Known {
    /// Neither a status list nor the age of a trust list.
    pub const NOTHING: Self = Self { withdrawals: Withdrawals::NotChecked, trust_list_old: false };
}

/// The outcome of a check. Red carries nothing of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Date of the status list that was looked at, if one was and the result is not red.
    pub withdrawals_known_to: Option<UnixSeconds>,
    /// Whether it was checked without the server.
    pub offline: bool,
    /// What the result does not cover.
    pub notes: Vec<Note>,
}

impl VerificationResult {
    /// The outcome of a check without network: green where the lists are fresh, else amber. Another verifier may have
    /// accepted the same code in any case.
    #[must_use]
    pub fn offline(outcome: &Result<Verified, Refusal>, known: Known, now: UnixSeconds) -> Self {
        let mut result = Self { offline: true, ..Self::online(outcome, now) };
        if result.result != Colour::Green {
            return result;
        }
        result.notes.insert(0, Note::CopyNotExcluded);
        let doubt = match known.withdrawals {
            Withdrawals::KnownTo(time) => {
                result.withdrawals_known_to = Some(time);
                None
            }
            Withdrawals::ListOld(time) => {
                result.withdrawals_known_to = Some(time);
                result.notes.push(Note::StatusListOld);
                Some((Reason::ListOld, "Genuine; what is known of withdrawals is out of date."))
            }
            Withdrawals::NotChecked => {
                result.notes.push(Note::WithdrawalsNotChecked);
                Some((Reason::WithdrawalsNotChecked, "Genuine; whether it was withdrawn since is not known."))
            }
        };
        let old = known.trust_list_old.then(|| {
            result.notes.push(Note::TrustListOld);
            (Reason::TrustListOld, "Genuine by a list of issuers that is over a week old.")
        });
        if let Some((reason, sentence)) = old.or(doubt) {
            result.result = Colour::Amber;
            (result.reason, result.sentence) = (reason, sentence.into());
            result.next_step =
                format!("{}; go online to bring the lists up to date.", compare(result.document_type));
        }
        result
    }

    /// The outcome of a check by the server, which has looked up withdrawal and used the code up.
    #[must_use]
    pub fn online(outcome: &Result<Verified, Refusal>, now: UnixSeconds) -> Self {
        match outcome {
            Ok(verified) => Self::accepted(verified, now),
            Err(refusal) => Self::refused(*refusal, now),
        }
    }

    /// The outcome of a check that the holder agreed to: what the register says now. `portrait` says whether the portrait
    /// goes with it.
    #[must_use]
    pub fn confirmed(document: Document, step: Step, portrait: bool, now: UnixSeconds) -> Self {
        Self {
            result: Colour::Green,
            reason: Reason::Valid,
            sentence: VALID.into(),
            next_step: format!("{}.", compare(Some(document.document_type()))),
            document_type: Some(document.document_type()),
            claims: Some(document),
            step: Some(step),
            checked_at: now,
            withdrawals_known_to: None,
            offline: false,
            notes: if portrait { Vec::new() } else { vec![Note::PhotoNotChecked] },
        }
    }

    /// The outcome of a check by the server while the register is down: amber, with what the credential says.
    #[must_use]
    pub fn register_not_reached(verified: &Verified, now: UnixSeconds) -> Self {
        let refusal = Refusal::RegisterNotReached;
        let mut result = Self::accepted(verified, now);
        result.notes.push(Note::WithdrawalsNotChecked);
        let compare = compare(result.document_type);
        Self {
            result: Colour::Amber,
            reason: refusal.reason(),
            sentence: refusal.sentence(),
            next_step: format!("{compare}, and try again in a minute where it matters."),
            ..result
        }
    }

    fn accepted(verified: &Verified, now: UnixSeconds) -> Self {
        let kind = verified.document().document_type();
        let mut notes = Vec::new();
        if kind.is_personal() {
            notes.push(Note::PhotoNotChecked);
        }
        if verified.custody() {
            notes.push(Note::MadeByServer);
        }
        if now >= verified.expires() {
            notes.push(Note::EmergencyLife);
        }
        Self {
            result: Colour::Green,
            reason: Reason::Valid,
            sentence: VALID.into(),
            next_step: format!("{}.", compare(Some(kind))),
            document_type: Some(kind),
            claims: Some(verified.document().clone()),
            step: Some(verified.step()),
            checked_at: now,
            withdrawals_known_to: None,
            offline: false,
            notes,
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
            withdrawals_known_to: None,
            offline: false,
            notes: Vec::new(),
        }
    }
}

const VALID: &str = "The document is valid.";

/// What the clerk compares, whatever the colour.
fn compare(kind: Option<DocumentType>) -> &'static str {
    if kind.is_none_or(DocumentType::is_personal) {
        "Compare the face with the photo"
    } else {
        "Compare the plate with the vehicle"
    }
}
