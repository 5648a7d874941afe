//! The registration of a vehicle: a document of an organisation, not of a person. It has one profile, the full one.

#[cfg(feature = "openapi")]
use std::prelude::v1::*;

use core::fmt;

use minicbor::{
    Decoder, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use serde::{Deserialize, Serialize};

use super::{
    date::Date,
    document::{self, DocumentType, Line, Short},
};

/// Make and model: 64 bytes, so that every registration fits a code.
pub type Model = Line<64>;

/// Claims of a vehicle registration. `Debug` hides them: they say where a vehicle was.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    /// What the plate says.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub plate: Short,
    /// Make and model.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub model: Model,
    /// Number of the registration.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub number: Short,
    /// Last day of validity.
    pub expires: Date,
}

impl Vehicle {
    pub(super) fn encode<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(5)?.u8(DocumentType::VehicleRegistration.number())?;
        e.str(self.plate.as_str())?.str(self.model.as_str())?.str(self.number.as_str())?;
        e.u32(document::last_day(self.expires)?)?.ok()
    }

    /// After the kind of document.
    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            plate: document::line(d)?,
            model: document::line(d)?,
            number: document::line(d)?,
            expires: document::date(d, Date::from_days_1970)?,
        })
    }
}

impl fmt::Debug for Vehicle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vehicle(redacted)")
    }
}
