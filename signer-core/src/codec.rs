//! Strict, bounded, canonical CBOR (RFC 8949 §4.2.1): one value, one encoding.
//!
//! [`decode`] decodes, then encodes the result again and compares. What has a second encoding (longer integers,
//! indefinite lengths, duplicate or unknown entries, bytes left over) is therefore refused without a rule for each.

use alloc::{string::String, vec::Vec};
use core::{convert::Infallible, fmt};

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use unicode_normalization::is_nfc;

/// Bytes that are not the canonical encoding of the expected message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the message may have.
    #[error("message is {got} bytes, the limit is {max}")]
    TooLong {
        /// Bytes received.
        got: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not CBOR of the expected shape, or a field out of its bounds.
    #[error("message does not have the expected shape")]
    Malformed,
    /// The right shape in a second encoding, or with something added.
    #[error("message is not in canonical form, or has extra entries")]
    NotCanonical,
}

/// Encodes `value`. Encoding to memory cannot fail for the types of this crate.
#[must_use]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    // Sized beforehand: a vector that grows leaves copies of secrets behind.
    let mut length = Length(0);
    let counted = minicbor::encode(value, &mut length);
    let mut bytes = Vec::with_capacity(length.0);
    let done = minicbor::encode(value, &mut bytes);
    debug_assert!(counted.is_ok() && done.is_ok());
    bytes
}

/// Counts what is written.
struct Length(usize);

impl Write for &mut Length {
    type Error = Infallible;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(())
    }
}

/// Compares what is written with what is expected, without a copy of it.
struct Expected<'a>(&'a [u8]);

impl Write for &mut Expected<'_> {
    type Error = Different;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Different> {
        self.0 = self.0.strip_prefix(bytes).ok_or(Different)?;
        Ok(())
    }
}

struct Different;

/// Decodes the canonical encoding of a `T` of at most `max` bytes.
///
/// # Errors
/// [`CodecError`], saying which of the three rules was broken.
pub fn decode<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8], max: usize) -> Result<T, CodecError> {
    if bytes.len() > max {
        return Err(CodecError::TooLong { got: bytes.len(), max });
    }
    let value: T = minicbor::decode(bytes).map_err(|_| CodecError::Malformed)?;
    let mut rest = Expected(bytes);
    let same = minicbor::encode(&value, &mut rest).is_ok() && rest.0.is_empty();
    if same { Ok(value) } else { Err(CodecError::NotCanonical) }
}

/// A list of 1 to `MAX` items: an empty list is not a list (pitfall 3), nor is an endless one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The list, or `None` if it is empty or longer than `MAX`.
    #[must_use]
    pub fn new(items: Vec<T>) -> Option<Self> {
        (1..=MAX).contains(&items.len()).then_some(Self(items))
    }

    /// The items.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The items, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<C, T: Encode<C>, const MAX: usize> Encode<C> for List<T, MAX> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
        self.0.encode(e, ctx)
    }
}

impl<'b, C, T: Decode<'b, C>, const MAX: usize> Decode<'b, C> for List<T, MAX> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, DecodeError> {
        let length = d.array()?.ok_or_else(|| DecodeError::message("indefinite length"))?;
        if !usize::try_from(length).is_ok_and(|length| (1..=MAX).contains(&length)) {
            return Err(DecodeError::message("list is empty or too long"));
        }
        let items = (0..length).map(|_| T::decode(d, ctx)).collect::<Result<Vec<T>, _>>()?;
        Ok(Self(items))
    }
}

/// A byte string of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// The bytes, or `None` if they are more than `MAX`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// Wiped when dropped, for the same reason.
impl<const MAX: usize> Drop for Blob<MAX> {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Says how long it is, not what it holds: protocol bodies are secrets.
impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<C, const MAX: usize> Encode<C> for Blob<MAX> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C, const MAX: usize> Decode<'b, C> for Blob<MAX> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let bytes = d.bytes()?;
        if bytes.len() > MAX {
            return Err(DecodeError::message("byte string is too long"));
        }
        Ok(Self(bytes.to_vec()))
    }
}

/// Text a person is shown: NFC, at most `MAX` bytes, not empty, without control or bidi-override characters, so that what
/// is approved is what was written. Line feeds are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text, or `None` if it breaks a rule of the type.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let fits = (1..=MAX).contains(&text.len());
        (fits && text.chars().all(|c| c == '\n' || is_plain(c)) && is_nfc(&text)).then_some(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<C, const MAX: usize> Encode<C> for Text<MAX> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C, const MAX: usize> Decode<'b, C> for Text<MAX> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.str()?.into())
            .ok_or_else(|| DecodeError::message("text is empty, too long or has hidden characters"))
    }
}

/// [`Text`] on one line: a name, which must not pass for lines of its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label<const MAX: usize>(Text<MAX>);

impl<const MAX: usize> Label<MAX> {
    /// The label, or `None` if it breaks a rule of the type.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        Text::new(text).filter(|text| !text.as_str().contains('\n')).map(Self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<C, const MAX: usize> Encode<C> for Label<MAX> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut C) -> Result<(), EncodeError<W::Error>> {
        self.0.encode(e, ctx)
    }
}

impl<'b, C, const MAX: usize> Decode<'b, C> for Label<MAX> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::new(d.str()?.into()).ok_or_else(|| {
            DecodeError::message("label is empty, too long, has hidden characters or several lines")
        })
    }
}

/// Whether `c` shows as itself: no control, no bidi override or isolate, no zero-width or invisible format character.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec};

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Pair(#[n(0)] u32, #[n(1)] List<u8, 3>);

    #[test]
    fn only_the_canonical_encoding_is_taken() {
        let pair = Pair(5, List::new(vec![1, 2]).unwrap());
        let bytes = encode(&pair);
        assert_eq!(bytes, [0x82, 5, 0x82, 1, 2]);
        assert_eq!(decode::<Pair>(&bytes, 5), Ok(pair));
        assert_eq!(decode::<Pair>(&bytes, 4), Err(CodecError::TooLong { got: 5, max: 4 }));
        for (bad, why) in [
            (&[0x82, 0x18, 5, 0x82, 1, 2][..], CodecError::NotCanonical),
            (&[0x83, 5, 0x82, 1, 2, 0], CodecError::NotCanonical),
            (&[0x82, 5, 0x82, 1, 2, 0], CodecError::NotCanonical),
            (&[0x9f, 5, 0x82, 1, 2, 0xff], CodecError::NotCanonical),
            (&[0x82, 5, 0x9f, 1, 2, 0xff], CodecError::Malformed),
            (&[0x82, 5, 0x80], CodecError::Malformed),
            (&[0x82, 5, 0x84, 1, 2, 3, 4], CodecError::Malformed),
            (&[0x82, 5], CodecError::Malformed),
            (&[], CodecError::Malformed),
        ] {
            assert_eq!(decode::<Pair>(bad, 64), Err(why), "{bad:02x?}");
        }
    }

    #[test]
    fn text_hides_nothing() {
        assert!(Text::<24>::new("Кредит\nна 5 €".to_string()).is_some());
        for bad in [
            "",
            "a\u{202E}b",
            "a\u{0}",
            "a\u{200B}b",
            "e\u{301}",
            &"x".repeat(25),
            "a\u{2066}b",
            "a\rb",
            "a\u{AD}b",
            "a\u{FE0F}",
            "\u{3164}",
        ] {
            assert!(Text::<24>::new(bad.to_string()).is_none(), "{bad:?}");
        }
    }
}
