//! Base45 (RFC 9285): two bytes to three characters of a QR code's alphanumeric set.
//!
//! A group that stands for more than its bytes can hold is refused, so a text has one meaning and one form.

use alloc::{string::String, vec::Vec};

const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/// What each character stands for; 45 where it stands for nothing.
const DIGITS: [u8; 128] = digits();

/// The text form of `bytes`.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(3).div_ceil(2));
    let (pairs, rest) = bytes.as_chunks::<2>();
    for pair in pairs {
        text.extend(letters(u16::from_be_bytes(*pair)));
    }
    for byte in rest {
        let [first, second, _] = letters(u16::from(*byte));
        text.extend([first, second]);
    }
    String::from_utf8(text).unwrap_or_default()
}

/// The bytes behind `text`, or `None` if it is not what [`encode`] writes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (triples, rest) = text.as_bytes().as_chunks::<3>();
    for triple in triples {
        bytes.extend(u16::try_from(value(triple)?).ok()?.to_be_bytes());
    }
    match rest {
        [] => {}
        [_, _] => bytes.push(u8::try_from(value(rest)?).ok()?),
        _ => return None,
    }
    Some(bytes)
}

/// Lowest digit first, as the RFC has it.
fn letters(number: u16) -> [u8; 3] {
    [number % 45, number / 45 % 45, number / 2025].map(|digit| {
        // Never more than 44: the largest number has 32 in its highest place.
        ALPHABET.get(usize::from(digit)).copied().unwrap_or(b'0')
    })
}

/// At most three characters, so the number stays under 45³.
fn value(group: &[u8]) -> Option<u32> {
    group.iter().rev().try_fold(0_u32, |sum, c| {
        let digit = DIGITS.get(usize::from(*c)).copied().filter(|digit| *digit < 45)?;
        sum.checked_mul(45)?.checked_add(digit.into())
    })
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "computed by the compiler: out of range is a failed build"
)]
const fn digits() -> [u8; 128] {
    let mut digits = [45; 128];
    let mut digit = 0;
    while digit < 45 {
        digits[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_the_rfc() {
        for (plain, text) in [("AB", "BB8"), ("Hello!!", "%69 VD92EX0"), ("base-45", "UJCLQE7W581"), ("", "")]
        {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
        for bad in ["A", "ABCD", "GGW", ":::", "V5", "bb8", "BB8\n", "ВВ8", "BB\u{0}"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_itself(text in "[0-9A-Z $%*+./:-]{0,12}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(decoded) = decode(&text) {
                prop_assert_eq!(encode(&decoded), text);
            }
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
