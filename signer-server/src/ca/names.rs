//! Distinguished names (RFC 5280 §4.1.2.4 and appendix A, ETSI EN 319 412-2 §4.2.4): UTF8String in NFC, PrintableString for
//! country and serial number, each within its upper bound.

use signer_core::{codec::Label, credential::DocumentRecord, domain::sha256};
use x509_cert::{
    attr::AttributeTypeAndValue,
    der::{
        Any, Decode as _, Encode as _,
        asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef},
    },
    name::{Name, RdnSequence, RelativeDistinguishedName},
};

use crate::store::Holder;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SURNAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.4");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const GIVEN_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.42");

/// ub-common-name, characters.
const COMMON_NAME_CHARS_MAX: usize = 64;

/// Name of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityName {
    country: Country,
    common_name: String,
}

impl AuthorityName {
    /// The name, or `None` unless it is one line of 1 to 64 characters of NFC text without hidden ones.
    #[must_use]
    pub fn new(country: Country, common_name: &str) -> Option<Self> {
        let label = Label::<{ 4 * COMMON_NAME_CHARS_MAX }>::new(common_name.to_owned())?;
        let fits = label.as_str().chars().count() <= COMMON_NAME_CHARS_MAX;
        fits.then(|| Self { country, common_name: common_name.to_owned() })
    }

    pub(super) fn to_name(&self) -> Result<Name, x509_cert::der::Error> {
        name(&[(COUNTRY, printable(self.country.as_str())?), (COMMON_NAME, utf8(&self.common_name)?)])
    }
}

/// ISO 3166 code of a country: two capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country([u8; 2]);

impl Country {
    /// The code, or `None` if it is not two capital letters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let code: [u8; 2] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whom a certificate names.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    country: Country,
    reference: Holder,
    names: Option<(String, String)>,
}

/// Personal data.
impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject(..)")
    }
}

impl Subject {
    /// The holder with this reference; by the name in `document`, if there is one.
    #[must_use]
    pub fn new(country: Country, reference: Holder, document: Option<&DocumentRecord>) -> Self {
        let names = document
            .map(|document| (document.given.as_str().to_owned(), document.family.as_str().to_owned()));
        // A register may leave one empty; an attribute may not be.
        let names = names.filter(|(given, family)| !given.is_empty() && !family.is_empty());
        Self { country, reference, names }
    }

    pub(super) fn to_name(&self) -> Result<Name, x509_cert::der::Error> {
        let reference = self.reference.as_str();
        let mut attributes = vec![(COUNTRY, printable(self.country.as_str())?)];
        let common_name = match &self.names {
            Some((given, family)) => {
                attributes.push((SURNAME, utf8(family)?));
                attributes.push((GIVEN_NAME, utf8(given)?));
                format!("{given} {family}")
            }
            None => reference.to_owned(),
        };
        // A longer name stands whole in surname and givenName. What begins an NFC text is NFC.
        let common_name: String = common_name.chars().take(COMMON_NAME_CHARS_MAX).collect();
        attributes.push((COMMON_NAME, utf8(common_name.trim_end())?));
        attributes.push((SERIAL_NUMBER, serial_number(reference)?));
        name(&attributes)
    }
}

/// The reference, where it can be a PrintableString; else `SHA256-` and 32 hexadecimal digits of its hash.
fn serial_number(reference: &str) -> Result<Any, x509_cert::der::Error> {
    printable(reference).or_else(|_| {
        let digits: String =
            sha256(reference.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        printable(&format!("SHA256-{digits}"))
    })
}

fn printable(text: &str) -> Result<Any, x509_cert::der::Error> {
    Any::encode_from(&PrintableStringRef::new(text)?)
}

fn utf8(text: &str) -> Result<Any, x509_cert::der::Error> {
    Any::encode_from(&Utf8StringRef::new(text)?)
}

fn name(attributes: &[(ObjectIdentifier, Any)]) -> Result<Name, x509_cert::der::Error> {
    let mut sequence = RdnSequence::default();
    for (oid, value) in attributes {
        let attribute = AttributeTypeAndValue { oid: *oid, value: value.clone() };
        sequence.push(RelativeDistinguishedName::try_from(vec![attribute])?);
    }
    Name::from_der(&sequence.to_der()?)
}
