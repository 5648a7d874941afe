//! Documents of organisations, whose day keys this server holds: names, places in status lists, and their state.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use signer_core::{credential::StatusIndex, time::UnixSeconds};

use super::StoreResult;

/// The register's name for an organisation: 1 to 24 ASCII letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Organisation(String);

impl Organisation {
    /// The name, or `None` if it breaks a rule of the type.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=24).contains(&text.len()) && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Organisation {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("an organisation is 1 to 24 ASCII letters, digits, - and _")
    }
}

impl From<Organisation> for String {
    fn from(organisation: Organisation) -> Self {
        organisation.0
    }
}

/// A document by its organisation's reference: 1 to 32 visible ASCII characters. In text `ORGANISATION/REFERENCE`, which reads
/// one way, as no organisation has a slash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OrganisationDocument {
    organisation: Organisation,
    reference: String,
}

impl OrganisationDocument {
    /// The document, or `None` if the reference breaks its rule.
    #[must_use]
    pub fn new(organisation: Organisation, reference: &str) -> Option<Self> {
        let fits =
            (1..=32).contains(&reference.len()) && reference.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self { organisation, reference: reference.to_owned() })
    }

    /// Whose it is.
    #[must_use]
    pub const fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// The organisation's reference.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

impl FromStr for OrganisationDocument {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (organisation, reference) = text.split_once('/').ok_or(())?;
        Self::new(Organisation::new(organisation).ok_or(())?, reference).ok_or(())
    }
}

impl fmt::Display for OrganisationDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organisation.as_str(), self.reference)
    }
}

/// The reference may be a plate.
impl fmt::Debug for OrganisationDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrganisationDocument({})", self.organisation.as_str())
    }
}

/// Keyed hash of a document and its kind: the store knows no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocumentHash(pub [u8; 32]);

/// A credential of an organisation's document: no claim of the document is in it, and no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetCredentialRow {
    /// Place in the status lists.
    pub status: StatusIndex,
    /// The document.
    pub document: DocumentHash,
    /// Its kind.
    pub document_type: u32,
    /// Wrapped text of the [`OrganisationDocument`], by which the register is asked.
    pub wrapped_document: Vec<u8>,
    /// The day key, SEC1 compressed.
    pub day_key: [u8; 33],
    /// End of its life.
    pub expires: UnixSeconds,
}

/// A place whose credential is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivePlace {
    /// The highest (step, n) of its codes that was used.
    pub used: Option<(u64, u8)>,
}

/// Credentials of organisations' documents.
#[async_trait]
pub trait Fleets: Send + Sync {
    /// Takes places, all or nothing: the positions of those that are taken, which are to be drawn anew; none if all are its
    /// own now.
    async fn take_places(&self, rows: Vec<FleetCredentialRow>, now: UnixSeconds) -> StoreResult<Vec<usize>>;

    /// Gives places back for which no credential was made.
    async fn give_back(&self, places: Vec<StatusIndex>, now: UnixSeconds) -> StoreResult<()>;

    /// The state of places, in one reading: `None` for those that have ended.
    async fn live_places(&self, places: Vec<StatusIndex>) -> StoreResult<Vec<Option<LivePlace>>>;

    /// A credential by its place.
    async fn fleet_credential(&self, status: StatusIndex) -> StoreResult<Option<FleetCredentialRow>>;

    /// Ends a document's credentials: the register has it no longer.
    async fn withdraw_document(&self, document: DocumentHash, now: UnixSeconds) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flt_002_a_reference_names_one_document_of_one_organisation() {
        let organisation = |text| Organisation::new(text).unwrap();
        let document = OrganisationDocument::new(organisation("40075815"), "AA/0001/EX").unwrap();
        assert_eq!(document.to_string(), "40075815/AA/0001/EX");
        assert_eq!(document.to_string().parse(), Ok(document.clone()));
        assert_eq!((document.organisation().as_str(), document.reference()), ("40075815", "AA/0001/EX"));
        assert_eq!(format!("{document:?}"), "OrganisationDocument(40075815)");
        for bad in ["", "a/b", "a.b", "..", "a b", "ф", &"a".repeat(25)] {
            assert_eq!(Organisation::new(bad), None, "{bad}");
        }
        for bad in ["", "a b", "КА1234ВВ", &"a".repeat(33)] {
            assert!(OrganisationDocument::new(organisation("a"), bad).is_none(), "{bad}");
        }
        for bad in ["a", "/b", "a/", "a b/c"] {
            assert!(bad.parse::<OrganisationDocument>().is_err(), "{bad}");
        }
    }
}
