//! What a credential says about a document: of a person's in three sizes, age, minimal, full; of an organisation's all.
//!
//! Each size is a credential of its own; [`DocumentRecord`] is what the register gives of a person, and makes all three.

use alloc::{string::String, vec::Vec};
use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use unicode_normalization::is_nfc;

use super::{
    date::Date,
    hex::{PortraitDigest, PortraitSalt},
    portrait::Portrait,
    vehicle::Vehicle,
};
use crate::{codec::is_plain, wire::Profile};

/// The kinds of document we know. A number outside this table is refused, not guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DocumentType {
    /// 1
    IdentityCard,
    /// 2
    DrivingLicence,
    /// 3, of a vehicle of an organisation
    VehicleRegistration,
}

impl DocumentType {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::IdentityCard, Self::DrivingLicence, Self::VehicleRegistration];
    /// Those of a person.
    pub const PERSONAL: &'static [Self] = &[Self::IdentityCard, Self::DrivingLicence];

    /// Its number in the format.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::IdentityCard => 1,
            Self::DrivingLicence => 2,
            Self::VehicleRegistration => 3,
        }
    }

    /// Its name for a person.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IdentityCard => "identity card",
            Self::DrivingLicence => "driving licence",
            Self::VehicleRegistration => "vehicle registration",
        }
    }

    /// Whether it is about a person: then its day keys are in the person's phone and nowhere else.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        match self {
            Self::IdentityCard | Self::DrivingLicence => true,
            Self::VehicleRegistration => false,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

/// One line of text from a register: NFC, at most `MAX` bytes, without control, bidi or invisible characters. May be empty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line<const MAX: usize>(String);

/// Text that breaks a rule of [`Line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is too long, not in NFC, or has hidden characters")]
pub struct LineError;

impl<const MAX: usize> Line<MAX> {
    /// The line.
    ///
    /// # Errors
    /// [`LineError`] if a rule of the type is broken.
    pub fn new(text: impl Into<String>) -> Result<Self, LineError> {
        let text = text.into();
        let fits = text.len() <= MAX && text.chars().all(is_plain) && is_nfc(&text);
        if fits { Ok(Self(text)) } else { Err(LineError) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Says how long it is, not what it holds: it is personal data.
impl<const MAX: usize> fmt::Debug for Line<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = LineError;
    fn try_from(text: String) -> Result<Self, LineError> {
        Self::new(text)
    }
}

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(line: Line<MAX>) -> Self {
        line.0
    }
}

/// A name: 48 Cyrillic letters.
pub type Name = Line<96>;
/// A document number, or the rights it gives (licence categories).
pub type Short = Line<32>;

/// What a credential shows of a document. `Debug` prints the size and the kind, no personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Document {
    /// Everything the verifier may learn.
    Full(Full),
    /// Initials, day and month of birth, of age or not.
    Minimal(Minimal),
    /// Only that the holder is old enough.
    Age(Age),
    /// Everything of a vehicle's registration.
    Vehicle(Vehicle),
}

/// Claims of the full profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Full {
    /// Kind of document, a person's.
    #[serde(deserialize_with = "personal")]
    pub document_type: DocumentType,
    /// Family name.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 96))]
    pub family: Name,
    /// Given names.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 96))]
    pub given: Name,
    /// Date of birth.
    pub birth: Date,
    /// Number of the document.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub number: Short,
    /// Last day of validity.
    pub expires: Date,
    /// What the document allows; empty for an identity card.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub rights: Short,
    /// Salted digest of the portrait, where there is one.
    pub portrait: Option<PortraitDigest>,
}

/// Claims of the minimal profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Minimal {
    /// Kind of document, a person's.
    #[serde(deserialize_with = "personal")]
    pub document_type: DocumentType,
    /// Initials, family name first.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub initials: Short,
    /// Day and month of birth: 905 is 9 May.
    pub ddmm: u16,
    /// Whether the holder is at least 18.
    pub over18: bool,
}

/// Claims of the age profile.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Age {
    /// Kind of document, a person's.
    #[serde(deserialize_with = "personal")]
    pub document_type: DocumentType,
    /// The holder is at least this old.
    pub over: u8,
    /// Salted digest of the portrait, where there is one.
    pub portrait: Option<PortraitDigest>,
}

impl Document {
    /// Kind of document.
    #[must_use]
    pub const fn document_type(&self) -> DocumentType {
        match self {
            Self::Full(full) => full.document_type,
            Self::Minimal(minimal) => minimal.document_type,
            Self::Age(age) => age.document_type,
            Self::Vehicle(_) => DocumentType::VehicleRegistration,
        }
    }

    /// What its claims amount to.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        match self {
            Self::Full(_) | Self::Vehicle(_) => Profile::Full,
            Self::Minimal(_) => Profile::Minimal,
            Self::Age(_) => Profile::Age,
        }
    }

    /// Last day on which the document itself is valid, where the profile says so.
    #[must_use]
    pub const fn expires(&self) -> Option<Date> {
        match self {
            Self::Full(full) => Some(full.expires),
            Self::Vehicle(vehicle) => Some(vehicle.expires),
            Self::Minimal(_) | Self::Age(_) => None,
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({}, {})", self.profile().name(), self.document_type().name())
    }
}

macro_rules! redacted_debug {
    ($($name:ident)*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}, redacted)"), self.document_type.name())
            }
        }
    )* };
}
redacted_debug!(Full Minimal Age DocumentRecord);

/// A document as its register has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentRecord {
    /// Kind of document, a person's.
    #[serde(deserialize_with = "personal")]
    pub document_type: DocumentType,
    /// Family name.
    pub family: Name,
    /// Given names, patronymic included.
    pub given: Name,
    /// Date of birth.
    pub birth: Date,
    /// Number of the document.
    pub number: Short,
    /// Last day of validity.
    pub expires: Date,
    /// What the document allows; empty for an identity card.
    pub rights: Short,
    /// The portrait, where there is one.
    #[serde(default)]
    pub portrait: Option<Portrait>,
}

impl DocumentRecord {
    /// The age asked for where nobody says otherwise.
    pub const AGE: u8 = 18;

    /// The full profile, for the credential whose portrait digest has this salt.
    #[must_use]
    pub fn full(&self, salt: &PortraitSalt) -> Document {
        Document::Full(Full {
            document_type: self.document_type,
            family: self.family.clone(),
            given: self.given.clone(),
            birth: self.birth,
            number: self.number.clone(),
            expires: self.expires,
            rights: self.rights.clone(),
            portrait: self.portrait_digest(salt),
        })
    }

    /// The minimal profile as of `today`.
    ///
    /// # Errors
    /// [`LineError`] if the initials do not fit.
    pub fn minimal(&self, today: Date) -> Result<Document, LineError> {
        Ok(Document::Minimal(Minimal {
            document_type: self.document_type,
            initials: Short::new(initials(self.family.as_str(), self.given.as_str()))?,
            ddmm: self.birth.ddmm(),
            over18: self.birth.age_on(today) >= 18,
        }))
    }

    /// The age profile as of `today`: the highest of `thresholds` the holder has reached, or `None` if none.
    #[must_use]
    pub fn age(&self, today: Date, thresholds: &[u8], salt: &PortraitSalt) -> Option<Document> {
        let age = self.birth.age_on(today);
        let over = thresholds.iter().copied().filter(|years| u16::from(*years) <= age).max()?;
        let portrait = self.portrait_digest(salt);
        Some(Document::Age(Age { document_type: self.document_type, over, portrait }))
    }

    fn portrait_digest(&self, salt: &PortraitSalt) -> Option<PortraitDigest> {
        self.portrait.as_ref().map(|portrait| PortraitDigest::of(salt, portrait.as_bytes()))
    }
}

/// First letter of each word, family name first: "Ш.Т.Г."
fn initials(family: &str, given: &str) -> String {
    let mut out = String::new();
    for letter in
        family.split(' ').take(1).chain(given.split(' ')).filter_map(|word| word.chars().next()).take(4)
    {
        out.extend(letter.to_uppercase());
        out.push('.');
    }
    out
}

impl Encode<()> for Document {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        if !matches!(self, Self::Vehicle(_)) && !self.document_type().is_personal() {
            return Err(EncodeError::message("not a kind of document with this profile"));
        }
        match self {
            Self::Full(full) => {
                let expires = last_day(full.expires)?;
                e.array(8)?.u8(full.document_type.number())?;
                e.str(full.family.as_str())?.str(full.given.as_str())?.u32(full.birth.days_1900())?;
                e.str(full.number.as_str())?.u32(expires)?.str(full.rights.as_str())?;
                full.portrait.encode(e, ctx)
            }
            Self::Minimal(minimal) => {
                e.array(4)?.u8(minimal.document_type.number())?;
                e.str(minimal.initials.as_str())?.u16(minimal.ddmm)?.bool(minimal.over18)?.ok()
            }
            Self::Age(age) => {
                e.array(3)?.u8(age.document_type.number())?.u8(age.over)?;
                age.portrait.encode(e, ctx)
            }
            Self::Vehicle(vehicle) => vehicle.encode(e),
        }
    }
}

impl<'b> Decode<'b, ()> for Document {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        let length = d.array()?;
        let document_type = DocumentType::from_number(d.u8()?)
            .ok_or_else(|| DecodeError::message("unknown kind of document"))?;
        if document_type.is_personal() == (length == Some(5)) {
            return Err(DecodeError::message("not a profile of this kind of document"));
        }
        match length {
            Some(8) => Ok(Self::Full(Full {
                document_type,
                family: line(d)?,
                given: line(d)?,
                birth: date(d, Date::from_days_1900)?,
                number: line(d)?,
                expires: date(d, Date::from_days_1970)?,
                rights: line(d)?,
                portrait: Option::decode(d, ctx)?,
            })),
            Some(4) => Ok(Self::Minimal(Minimal {
                document_type,
                initials: line(d)?,
                ddmm: d.u16()?,
                over18: d.bool()?,
            })),
            Some(5) => Ok(Self::Vehicle(Vehicle::decode(d)?)),
            Some(3) => Ok(Self::Age(Age { document_type, over: d.u8()?, portrait: Option::decode(d, ctx)? })),
            _ => Err(DecodeError::message("unknown profile")),
        }
    }
}

/// The kind of a person's document.
fn personal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DocumentType, D::Error> {
    let kind = DocumentType::deserialize(deserializer)?;
    if kind.is_personal() { Ok(kind) } else { Err(D::Error::custom("not a person's document")) }
}

/// The last day of validity as the format has it.
pub(super) fn last_day<E>(expires: Date) -> Result<u32, EncodeError<E>> {
    expires.days_1970().ok_or_else(|| EncodeError::message("expires before 1970"))
}

pub(super) fn line<const MAX: usize>(d: &mut Decoder<'_>) -> Result<Line<MAX>, DecodeError> {
    Line::new(d.str()?).map_err(|_| DecodeError::message("text is too long or has hidden characters"))
}

pub(super) fn date(d: &mut Decoder<'_>, from_days: fn(u32) -> Option<Date>) -> Result<Date, DecodeError> {
    from_days(d.u32()?).ok_or_else(|| DecodeError::message("date is out of range"))
}

/// Bytes of `document` in the format, or `None` if a field has no place in it (a document that ended before 1970).
pub(super) fn encoded(document: &Document) -> Option<Vec<u8>> {
    minicbor::to_vec(document).ok()
}
