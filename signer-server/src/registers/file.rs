//! A JSON file that plays the register: for trying out and tests. See `spec/register.json`.

use std::{collections::HashMap, fs, path::Path};

use async_trait::async_trait;
use signer_core::credential::DocumentRecord;

use super::{Register, RegisterError};
use crate::store::Holder;

/// Documents by the operator's reference for their holder, read once.
pub struct FileRegister(HashMap<String, Vec<DocumentRecord>>);

impl std::fmt::Debug for FileRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileRegister({} people)", self.0.len())
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
}

#[async_trait]
impl Register for FileRegister {
    async fn document(
        &self,
        holder: &Holder,
        document_type: u32,
    ) -> Result<Option<DocumentRecord>, RegisterError> {
        let documents = self.0.get(holder.as_str());
        let wanted = |record: &&DocumentRecord| u32::from(record.document_type.number()) == document_type;
        Ok(documents.and_then(|documents| documents.iter().find(wanted)).cloned())
    }
}
