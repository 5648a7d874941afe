//! The lost code: whoever has it can report the phone lost, and do nothing else. The phone draws it from its keystore; the
//! server keeps a hash.
//!
//! 20 characters of Crockford's base 32 (100 bits) and 4 check letters, in groups of four. The check letters tell a slip of
//! the pen from a code that nobody has, so that all well-formed codes can get the same answer.

use alloc::string::String;

use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::{
    domain::{Domain, Hasher},
    history::HistoryKeyBytes,
    secret::SecretBytes,
};

/// Letters and digits that are not mistaken for one another (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SECRET_LETTERS: usize = 20;
const LETTERS: usize = 24;
const GROUP: usize = 4;

/// Text that is not a lost code, or was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a lost code: compare it letter by letter")]
pub struct LostCodeError;

/// A lost code.
#[derive(Debug)]
pub struct LostCode(SecretBytes<LETTERS>);

impl LostCode {
    /// The code made of a secret of the phone's keystore.
    #[must_use]
    pub fn derive(secret: &SecretBytes<32>) -> Self {
        let mut letters = SecretBytes::new([0; LETTERS]);
        for (to, from) in letters.expose_mut().iter_mut().zip(secret.expose()).take(SECRET_LETTERS) {
            *to = letter(*from);
        }
        let check = check(letters.expose());
        letters.expose_mut().iter_mut().skip(SECRET_LETTERS).zip(check).for_each(|(to, from)| *to = from);
        Self(letters)
    }

    /// The code a person typed. Case, spaces and dashes do not matter, nor do O for 0 and I or L for 1.
    ///
    /// # Errors
    /// [`LostCodeError`]
    pub fn parse(text: &str) -> Result<Self, LostCodeError> {
        let mut letters = SecretBytes::new([0; LETTERS]);
        let mut places = letters.expose_mut().iter_mut();
        for typed in text.chars().filter(|typed| !matches!(typed, ' ' | '-')) {
            let typed = match typed.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let typed = u8::try_from(typed).ok().filter(|typed| ALPHABET.contains(typed));
            *places.next().ok_or(LostCodeError)? = typed.ok_or(LostCodeError)?;
        }
        let complete = places.next().is_none();
        let right = letters.expose().iter().skip(SECRET_LETTERS).eq(&check(letters.expose()));
        if complete && right { Ok(Self(letters)) } else { Err(LostCodeError) }
    }

    /// The code as the holder writes it down.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(LETTERS.saturating_mul(2)));
        for (place, group) in self.0.expose().chunks(GROUP).enumerate() {
            if place > 0 {
                text.push('-');
            }
            group.iter().for_each(|letter| text.push(char::from(*letter)));
        }
        text
    }

    /// The stored form.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Hasher::new(Domain::TokenHash).field(b"lost-code").field(self.0.expose()).finish()
    }
}

/// What a phone leaves with the server for its holder. The first signature covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct HolderKeys {
    /// Entries of the history are sealed to it.
    #[n(0)]
    pub history: HistoryKeyBytes,
    /// Hash of the lost code.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub lost_code: [u8; 32],
}

impl HolderKeys {
    /// One hash of both. A statement names this, so that it can be shown to outsiders without them.
    #[must_use]
    pub fn digest(&self) -> HolderKeysDigest {
        let hash = Hasher::new(Domain::HolderKeys).field(&self.history.0).field(&self.lost_code);
        HolderKeysDigest(hash.finish())
    }
}

/// [`HolderKeys::digest`]. It tells nothing: the history key has 32 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderKeysDigest(pub [u8; 32]);

/// The letter for the low five bits of a byte.
fn letter(bits: u8) -> u8 {
    ALPHABET.get(usize::from(bits & 31)).copied().unwrap_or(b'0')
}

fn check(letters: &[u8; LETTERS]) -> [u8; 4] {
    let (secret, _) = letters.split_at(SECRET_LETTERS);
    let [a, b, c, d, ..] = Hasher::new(Domain::LostCodeCheck).field(secret).finish();
    [a, b, c, d].map(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    fn code() -> LostCode {
        LostCode::derive(&SecretBytes::new(core::array::from_fn(|place| {
            u8::try_from(place.wrapping_mul(37) & 0xff).unwrap()
        })))
    }

    #[test]
    fn his_020_a_lost_code_is_read_as_people_write_it() {
        let text = code().text();
        assert_eq!(text.len(), 29);
        for written in [
            text.to_string(),
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', " "),
            text.replace('0', "O").replace('1', "l"),
            format!("  {} ", text.as_str()),
        ] {
            assert_eq!(LostCode::parse(&written).unwrap().hash(), code().hash(), "{written}");
        }
    }

    #[test]
    fn his_020_a_slip_of_the_pen_is_found() {
        let text = code().text();
        let plain = text.replace('-', "");
        for at in 0..plain.len() {
            for other in ALPHABET {
                let mut typed = plain.clone().into_bytes();
                if typed[at] == *other {
                    continue;
                }
                typed[at] = *other;
                let typed = String::from_utf8(typed).unwrap();
                assert!(LostCode::parse(&typed).is_err(), "{typed}");
            }
        }
        for bad in [
            "",
            "0000",
            &plain[1..],
            &format!("{plain}0"),
            &plain.replace(&plain[..1], "U"),
            &plain.replace(&plain[..1], "ї"),
        ] {
            assert!(LostCode::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", code()), "LostCode(Secret(redacted))");
    }
}
