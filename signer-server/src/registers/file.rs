//! A JSON file that plays the register: for trying out and tests. See `spec/register.json`.

use std::{collections::HashMap, fs, path::Path};

use async_trait::async_trait;
use serde::Deserialize;
use signer_core::credential::{DocumentRecord, Vehicle};

use super::{Register, RegisterError, VehicleRecord};
use crate::store::{Holder, OrganisationDocument};

/// Documents by the operator's reference for their holder, or by the text of an [`OrganisationDocument`]; read once.
pub struct FileRegister(HashMap<String, Vec<Entry>>);

/// Told apart by their members.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Person(DocumentRecord),
    Vehicle(VehicleRecord),
}

impl std::fmt::Debug for FileRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileRegister({} references)", self.0.len())
    }
}

impl FileRegister {
    /// Reads the file.
    ///
    /// # Errors
    /// [`RegisterError`], saying where the file is wrong.
    pub fn open(path: &Path) -> Result<Self, RegisterError> {
        let wrong =
            |error: &dyn std::fmt::Display| RegisterError::NotReached(format!("{}: {error}", path.display()));
        let text = fs::read(path).map_err(|error| wrong(&error))?;
        serde_json::from_slice(&text).map(Self).map_err(|error| wrong(&error))
    }

    fn entries(&self, reference: &str) -> impl Iterator<Item = &Entry> {
        self.0.get(reference).into_iter().flatten()
    }
}

#[async_trait]
impl Register for FileRegister {
    async fn document(
        &self,
        holder: &Holder,
        document_type: u32,
    ) -> Result<Option<DocumentRecord>, RegisterError> {
        Ok(self.entries(holder.as_str()).find_map(|entry| match entry {
            Entry::Person(record) if u32::from(record.document_type.number()) == document_type => {
                Some(record.clone())
            }
            _ => None,
        }))
    }

    async fn vehicle(&self, document: &OrganisationDocument) -> Result<Option<Vehicle>, RegisterError> {
        let found = self.entries(&document.to_string()).find_map(|entry| match entry {
            Entry::Vehicle(record) => Some(record.clone()),
            Entry::Person(_) => None,
        });
        found.map(|record| record.claims(document)).transpose()
    }
}
