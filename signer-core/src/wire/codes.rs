//! JSON bodies of codes that the server makes for an organisation: `spec/fleets.md`.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use super::ProblemCode;
use crate::{
    credential::{DocumentType, Step},
    time::UnixSeconds,
};

/// Most documents in one call.
pub const CODES_MAX: usize = 1_000;

/// `POST /v1/codes`: a code for each of an organisation's documents, for one step.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(examples(json!({ "document_type": "vehicle_registration", "references": ["AA0001EX"], "step": "current" }))))]
pub struct MakeCodes {
    /// Kind of all the documents: one of an organisation's.
    pub document_type: DocumentType,
    /// The documents, by the organisation's references: 1 to [`CODES_MAX`], each once.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
    pub references: Vec<String>,
    /// The step.
    #[serde(default)]
    pub step: CodeStep,
}

/// References may be plates.
impl fmt::Debug for MakeCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MakeCodes({} documents)", self.references.len())
    }
}

/// A step that codes are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CodeStep {
    /// The one now.
    #[default]
    Current,
    /// The one after it, so that a display can change at the boundary.
    Next,
}

/// Reply to `POST /v1/codes`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MadeCodes {
    /// The step of all codes.
    pub step: Step,
    /// Its first second: show the codes from then on.
    pub valid_from: UnixSeconds,
    /// The first second after it: take the codes down.
    pub valid_until: UnixSeconds,
    /// One entry per document, in the order asked for.
    pub codes: Vec<MadeCode>,
}

/// Says how many, not what: they are live.
impl fmt::Debug for MadeCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeCodes(step {}, {} documents)", self.step.0, self.codes.len())
    }
}

/// One document's code, or why there is none.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeCode {
    /// The document.
    pub reference: String,
    /// Its code.
    #[serde(flatten)]
    pub made: Made,
}

/// What became of a document in a call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Made {
    /// A code.
    Code {
        /// Text of the QR.
        qr: String,
        /// The eight digits to show with it, `1234 5678`.
        digits: String,
    },
    /// None, for this document.
    Problem(ProblemCode),
}

impl fmt::Debug for MadeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.made {
            Made::Code { .. } => f.write_str("MadeCode(redacted)"),
            Made::Problem(code) => write!(f, "MadeCode({})", code.code()),
        }
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { .. } => f.write_str("Code(redacted)"),
            Self::Problem(code) => write!(f, "Problem({})", code.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    #[test]
    fn flt_001_what_is_asked_and_answered_has_one_strict_form_and_is_never_printed() {
        let asked: MakeCodes =
            serde_json::from_str(r#"{"document_type":"vehicle_registration","references":["AA0001EX"]}"#)
                .unwrap();
        assert_eq!((asked.step, asked.references.len()), (CodeStep::Current, 1));
        assert_eq!(format!("{asked:?}"), "MakeCodes(1 documents)");
        for bad in [
            r#"{"document_type":"vehicle_registration","references":["A"],"step":1}"#,
            r#"{"document_type":"vehicle_registration","references":["A"],"step":"last"}"#,
            r#"{"document_type":3,"references":["A"]}"#,
            r#"{"document_type":"vehicle_registration","references":["A"],"organisation":"other"}"#,
            r#"{"document_type":"vehicle_registration"}"#,
        ] {
            assert!(serde_json::from_str::<MakeCodes>(bad).is_err(), "{bad}");
        }
        let entry = |reference: &str, made| MadeCode { reference: reference.into(), made };
        let answer = MadeCodes {
            step: Step(9_973_165),
            valid_from: UnixSeconds(1_795_169_700),
            valid_until: UnixSeconds(1_795_169_880),
            codes: vec![
                entry("AA0001EX", Made::Code { qr: "DQ1:X".into(), digits: "1234 5678".into() }),
                entry("AA0002EX", Made::Problem(ProblemCode::NoDocument)),
            ],
        };
        let json = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"step":9973165,"valid_from":1795169700,"valid_until":1795169880,"codes":["#,
                r#"{"reference":"AA0001EX","code":{"qr":"DQ1:X","digits":"1234 5678"}},"#,
                r#"{"reference":"AA0002EX","problem":"no_document"}]}"#
            )
        );
        assert_eq!(serde_json::from_str::<MadeCodes>(&json).unwrap(), answer);
        let printed = format!("{answer:?} {:?} {:?}", answer.codes, answer.codes[0].made);
        assert!(
            !printed.contains("DQ1") && !printed.contains("1234") && !printed.contains("AA00"),
            "{printed}"
        );
    }
}
