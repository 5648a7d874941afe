//! The number code in words, for screen readers: digit by digit, in two groups of four, once for each code.

use signer_core::credential::Digits;

/// A language that codes are spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Ukrainian.
    Ukrainian,
}

impl Language {
    /// The language of a tag as in RFC 5646 or a locale (`uk`, `uk-UA`, `uk_UA.UTF-8`); English for any other.
    #[must_use]
    pub fn of_tag(tag: &str) -> Self {
        match tag.split(['-', '_', '.']).next() {
            Some("uk") => Self::Ukrainian,
            _ => Self::English,
        }
    }

    const fn digits(self) -> [&'static str; 10] {
        match self {
            Self::English => ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
            Self::Ukrainian => {
                ["нуль", "один", "два", "три", "чотири", "п’ять", "шість", "сім", "вісім", "дев’ять"]
            }
        }
    }

    const fn introduction(self) -> &'static str {
        match self {
            Self::English => "Number code",
            Self::Ukrainian => "Числовий код",
        }
    }
}

/// The digits in words: a screen reader then reads no thousands, and pauses between the groups.
#[must_use]
pub fn spoken(digits: Digits, language: Language) -> String {
    let words = language.digits();
    let word = |c: char| c.to_digit(10).and_then(|digit| words.get(usize::try_from(digit).ok()?)).copied();
    let text = digits.to_string();
    let groups = text.split(' ').map(|group| group.chars().filter_map(word).collect::<Vec<_>>().join(" "));
    groups.collect::<Vec<_>>().join(", ")
}

/// Says each number code once, when it changes. A live region of a screen is given what comes.
#[derive(Debug)]
pub struct Announcer {
    language: Language,
    last: Option<Digits>,
}

impl Announcer {
    /// One that has said nothing.
    #[must_use]
    pub const fn new(language: Language) -> Self {
        Self { language, last: None }
    }

    /// What to say now that these digits are on the screen; `None` if they were said, or if there are none.
    pub fn announce(&mut self, digits: Option<Digits>) -> Option<String> {
        let said = std::mem::replace(&mut self.last, digits);
        let digits = digits.filter(|digits| said != Some(*digits))?;
        Some(format!("{}: {}.", self.language.introduction(), spoken(digits, self.language)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_102_the_number_code_is_spoken_digit_by_digit_in_two_groups() {
        let digits: Digits = "0123 4567".parse().unwrap();
        assert_eq!(spoken(digits, Language::English), "zero one two three, four five six seven");
        assert_eq!(spoken(digits, Language::Ukrainian), "нуль один два три, чотири п’ять шість сім");
        let digits: Digits = "89890000".parse().unwrap();
        assert_eq!(spoken(digits, Language::English), "eight nine eight nine, zero zero zero zero");
        assert_eq!(spoken(digits, Language::Ukrainian), "вісім дев’ять вісім дев’ять, нуль нуль нуль нуль");
        for (tag, language) in
            [("uk", Language::Ukrainian), ("uk_UA.UTF-8", Language::Ukrainian), ("en-GB", Language::English)]
        {
            assert_eq!(Language::of_tag(tag), language);
        }
    }

    #[test]
    fn cli_103_each_number_code_is_announced_once() {
        let [one, two] = ["1111 2222", "3333 4444"].map(|text| text.parse::<Digits>().ok());
        let mut announcer = Announcer::new(Language::English);
        assert_eq!(announcer.announce(None), None);
        let first = announcer.announce(one).unwrap();
        assert_eq!(first, "Number code: one one one one, two two two two.");
        assert_eq!(announcer.announce(one), None);
        assert!(announcer.announce(two).is_some_and(|text| text.contains("three three three three")));
        // The network went away, and came back with the same digits: they are on the screen anew.
        assert_eq!(announcer.announce(None), None);
        assert!(announcer.announce(two).is_some());
        assert!(!format!("{announcer:?}").contains("3333"));
    }
}
