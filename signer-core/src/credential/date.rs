//! Calendar dates, counted in days as the format does. No time zones: a date is what is printed in the document.

use alloc::string::String;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::time::UnixSeconds;

/// Days from 1900-01-01 to 1970-01-01.
const UNIX_EPOCH: u32 = 25_567;
const FIRST_YEAR: u16 = 1900;
const LAST_YEAR: u16 = 2199;
/// Leap years of the Gregorian rule in the years 1 to 1899.
const LEAP_YEARS_BEFORE_1900: u32 = 460;

/// Not a date of the years 1900 to 2199 in the form `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is YYYY-MM-DD, from 1900-01-01 to 2199-12-31")]
pub struct DateError;

/// A day of the Gregorian calendar, 1900-01-01 to 2199-12-31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

crate::openapi::text_schema!(
    Date,
    "^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "A date, YYYY-MM-DD."
);

impl Date {
    /// The date, or `None` if there is none such.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let exists = (FIRST_YEAR..=LAST_YEAR).contains(&year)
            && (1..=12).contains(&month)
            && day >= 1
            && u32::from(day) <= month_days(year, month);
        exists.then_some(Self { year, month, day })
    }

    /// The date `days` after 1900-01-01.
    #[must_use]
    pub fn from_days_1900(days: u32) -> Option<Self> {
        // A year has at most 366 days: the quotient is the year or, these three centuries, the one before it.
        let guess = u16::try_from(days / 366).ok()?.checked_add(FIRST_YEAR)?;
        let following = guess.checked_add(1)?;
        let year = if days_before(following) <= days { following } else { guess };
        let mut left = days.checked_sub(days_before(year))?;
        for month in 1..=12 {
            match left.checked_sub(month_days(year, month)) {
                Some(rest) => left = rest,
                None => return Self::new(year, month, u8::try_from(left.saturating_add(1)).ok()?),
            }
        }
        None
    }

    /// The date `days` after 1970-01-01.
    #[must_use]
    pub fn from_days_1970(days: u32) -> Option<Self> {
        Self::from_days_1900(days.checked_add(UNIX_EPOCH)?)
    }

    /// The date of `now` in UTC.
    #[must_use]
    pub fn of(now: UnixSeconds) -> Option<Self> {
        Self::from_days_1970(u32::try_from(now.0 / 86_400).ok()?)
    }

    /// Days since 1900-01-01.
    #[must_use]
    pub fn days_1900(self) -> u32 {
        let months: u32 = (1..self.month).map(|month| month_days(self.year, month)).sum();
        days_before(self.year).saturating_add(months).saturating_add(self.day.into()).saturating_sub(1)
    }

    /// Days since 1970-01-01, or `None` before it.
    #[must_use]
    pub fn days_1970(self) -> Option<u32> {
        self.days_1900().checked_sub(UNIX_EPOCH)
    }

    /// Day and month as one number: 905 is 9 May.
    #[must_use]
    pub fn ddmm(self) -> u16 {
        u16::from(self.day).saturating_mul(100).saturating_add(self.month.into())
    }

    /// Full years from this date of birth to `today`. Who is born on 29 February comes of age on 1 March.
    #[must_use]
    pub fn age_on(self, today: Self) -> u16 {
        let before_birthday = (today.month, today.day) < (self.month, self.day);
        today.year.saturating_sub(self.year).saturating_sub(before_birthday.into())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = DateError;
    fn from_str(text: &str) -> Result<Self, DateError> {
        let mut parts = text.splitn(3, '-');
        let mut next = |digits: usize| -> Option<u16> {
            let part = parts.next()?;
            (part.len() == digits && part.bytes().all(|c| c.is_ascii_digit())).then(|| part.parse().ok())?
        };
        (|| Self::new(next(4)?, u8::try_from(next(2)?).ok()?, u8::try_from(next(2)?).ok()?))()
            .ok_or(DateError)
    }
}

impl TryFrom<String> for Date {
    type Error = DateError;
    fn try_from(text: String) -> Result<Self, DateError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        alloc::format!("{date}")
    }
}

/// Days from 1900-01-01 to the first day of a year since then.
fn days_before(year: u16) -> u32 {
    let (years, last) = (u32::from(year.saturating_sub(FIRST_YEAR)), u32::from(year).saturating_sub(1));
    let leap_years = (last / 4).saturating_sub(last / 100).saturating_add(last / 400);
    years.saturating_mul(365).saturating_add(leap_years.saturating_sub(LEAP_YEARS_BEFORE_1900))
}

const fn month_days(year: u16, month: u8) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn days_are_counted_as_others_count_them() {
        for (text, since_1900, since_1970) in [
            ("1900-01-01", 0, None),
            ("1900-03-01", 59, None),
            ("1970-01-01", 25_567, Some(0)),
            ("2000-02-29", 36_583, Some(11_016)),
            ("2026-11-20", 46_344, Some(20_777)),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.days_1900(), date.days_1970()), (since_1900, since_1970), "{text}");
            assert_eq!(date.to_string(), text);
        }
        for days in (0..109_572).step_by(97).chain([109_572]) {
            assert_eq!(Date::from_days_1900(days).unwrap().days_1900(), days);
        }
        assert_eq!(Date::from_days_1900(109_573), None);
        assert_eq!(Date::of(UnixSeconds(1_795_132_800)).unwrap().to_string(), "2026-11-20");
    }

    #[test]
    fn text_form_is_strict() {
        for bad in [
            "",
            "2026-1-01",
            "2026-13-01",
            "2026-02-29",
            "2026-02-30",
            "1899-12-31",
            "2200-01-01",
            "+026-01-01",
            "2026-01-01 ",
            "2026-01-01-",
            "26-01-2001",
        ] {
            assert_eq!(bad.parse::<Date>(), Err(DateError), "{bad}");
        }
    }

    #[test]
    fn age_counts_full_years() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(date("2008-11-20").age_on(date("2026-11-19")), 17);
        assert_eq!(date("2008-11-20").age_on(date("2026-11-20")), 18);
        assert_eq!(date("2008-02-29").age_on(date("2026-02-28")), 17);
        assert_eq!(date("2008-02-29").age_on(date("2026-03-01")), 18);
        assert_eq!(date("2030-01-01").age_on(date("2026-03-01")), 0);
    }
}
