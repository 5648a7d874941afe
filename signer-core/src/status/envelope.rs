//! The outer form of a status list: COSE_Sign1 with its tag and its media type, payload a CWT (RFC 8392).

use alloc::{string::String, vec::Vec};

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    data::Tag,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};

use super::{STATUS_LIST_LIFE_SECONDS, STATUS_LIST_PERIOD_SECONDS};
use crate::{codec, credential::cose::Sign1, time::UnixSeconds};

/// `{1: -7, 16: "application/statuslist+cwt"}`: ES256, and the type of RFC 9596.
pub(super) const PROTECTED: &[u8] = b"\xA2\x01\x26\x10\x78\x1Aapplication/statuslist+cwt";
/// COSE_Sign1 (RFC 9052 §2).
const TAG: u64 = 18;

pub(super) struct StatusEnvelope(pub(super) Sign1);

impl StatusEnvelope {
    pub(super) fn encode(sign1: Sign1) -> Vec<u8> {
        codec::encode(&Self(sign1))
    }
}

impl Encode<()> for StatusEnvelope {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut ()) -> Result<(), EncodeError<W::Error>> {
        self.0.encode_under(PROTECTED, e.tag(Tag::new(TAG))?)
    }
}

impl<'b> Decode<'b, ()> for StatusEnvelope {
    fn decode(d: &mut Decoder<'b>, _: &mut ()) -> Result<Self, DecodeError> {
        if d.tag()?.as_u64() != TAG {
            return Err(DecodeError::message("not tagged as COSE_Sign1"));
        }
        Sign1::decode_under(PROTECTED, d).map(Self)
    }
}

/// The payload: address, time, and the compressed statuses.
pub(super) struct StatusClaims {
    pub(super) uri: String,
    pub(super) issued: UnixSeconds,
    pub(super) zlib: Vec<u8>,
}

impl Encode<()> for StatusClaims {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.map(5)?;
        e.u8(2)?.str(&self.uri)?;
        e.u8(4)?.u64(self.issued.plus(STATUS_LIST_LIFE_SECONDS).0)?;
        e.u8(6)?.u64(self.issued.0)?;
        e.u32(65_533)?.map(2)?.str("lst")?.bytes(&self.zlib)?.str("bits")?.u8(2)?;
        e.u32(65_534)?.u64(STATUS_LIST_PERIOD_SECONDS)?.ok()
    }
}

impl<'b> Decode<'b, ()> for StatusClaims {
    fn decode(d: &mut Decoder<'b>, _: &mut ()) -> Result<Self, DecodeError> {
        expect(d.map()? == Some(5) && d.u8()? == 2)?;
        let uri = d.str()?.into();
        expect(d.u8()? == 4)?;
        let expires = d.u64()?;
        expect(d.u8()? == 6)?;
        let issued = UnixSeconds(d.u64()?);
        expect(issued.0.checked_add(STATUS_LIST_LIFE_SECONDS) == Some(expires))?;
        expect(issued.0.is_multiple_of(STATUS_LIST_PERIOD_SECONDS))?;
        expect(d.u32()? == 65_533 && d.map()? == Some(2) && d.str()? == "lst")?;
        let zlib = d.bytes()?.to_vec();
        expect(d.str()? == "bits" && d.u8()? == 2)?;
        expect(d.u32()? == 65_534 && d.u64()? == STATUS_LIST_PERIOD_SECONDS)?;
        Ok(Self { uri, issued, zlib })
    }
}

fn expect(fits: bool) -> Result<(), DecodeError> {
    if fits { Ok(()) } else { Err(DecodeError::message("not the claims of a status list")) }
}
