//! What a register answers about a vehicle of an organisation.

use std::fmt;

use serde::{Deserialize, Serialize};
use signer_core::credential::{Date, DocumentType, Model, Short, Vehicle};

use super::RegisterError;
use crate::store::{Organisation, OrganisationDocument};

/// A vehicle as its register has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VehicleRecord {
    /// `vehicle_registration`.
    pub document_type: DocumentType,
    /// Whose vehicle it is, by the register's name.
    pub organisation: Organisation,
    /// What the plate says.
    pub plate: Short,
    /// Make and model.
    pub model: Model,
    /// Number of the registration.
    pub number: Short,
    /// Last day of validity.
    pub expires: Date,
}

impl VehicleRecord {
    /// What a credential says of it.
    ///
    /// # Errors
    /// [`RegisterError`] if it is not what was asked for: another kind, or another organisation's, which a register may answer
    /// that looks at the reference alone.
    pub fn claims(self, asked: &OrganisationDocument) -> Result<Vehicle, RegisterError> {
        if self.document_type != DocumentType::VehicleRegistration
            || self.organisation != *asked.organisation()
        {
            let text = "it answered with another kind of document, or another organisation's";
            return Err(RegisterError::NotReached(text.into()));
        }
        let Self { plate, model, number, expires, .. } = self;
        Ok(Vehicle { plate, model, number, expires })
    }
}

impl fmt::Debug for VehicleRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VehicleRecord({}, redacted)", self.organisation.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flt_003_what_a_register_says_of_another_organisations_vehicle_is_no_answer() {
        let json = r#"{"document_type":"vehicle_registration","organisation":"40075815","plate":"AA0001EX","model":"M",
            "number":"N","expires":"2031-03-31"}"#;
        let record: VehicleRecord = serde_json::from_str(json).unwrap();
        assert_eq!(format!("{record:?}"), "VehicleRecord(40075815, redacted)");
        let asked = |text: &str| text.parse::<OrganisationDocument>().unwrap();
        assert_eq!(record.clone().claims(&asked("40075815/AA0001EX")).unwrap().plate.as_str(), "AA0001EX");
        assert!(record.clone().claims(&asked("40075816/AA0001EX")).is_err());
        let card = VehicleRecord { document_type: DocumentType::IdentityCard, ..record };
        assert!(card.claims(&asked("40075815/AA0001EX")).is_err());
        for bad in [
            json.replace("\"plate\"", "\"colour\":\"red\",\"plate\""),
            json.replace("40075815", "4007 5815"),
            json.replace("AA0001EX", &"A".repeat(33)),
            json.replace("2031-03-31", "2031-02-31"),
        ] {
            assert!(serde_json::from_str::<VehicleRecord>(&bad).is_err(), "{bad}");
        }
    }
}
