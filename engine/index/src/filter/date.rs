//! Dates and times as filters compare them: ISO 8601, to the day, the month, or a part of a second.

use std::cmp::Ordering;

/// The time that a date names: a moment, or as long as its last part lasts. In microseconds since 1970, of UTC where it names
/// no other zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    start: i64,
    end: i64,
}

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Date {
    /// Reads `2024-05`, `2024-05-01`, `2024-05-01T10:30`, with seconds and their parts, with `Z` or `+02:00` behind, and with a
    /// blank in the place of the `T`.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let year = rest.digits(4)?;
        rest.sign(b"-")?;
        let month = rest.digits(2).filter(|month| (1..=12).contains(month))?;
        if rest.is_empty() {
            return Some(Self::months(year, month, 1));
        }
        rest.sign(b"-")?;
        let day = rest.digits(2).filter(|day| (1..=days_in(year, month)).contains(day))?;
        let start = days_before(year, month) + day - 1;
        let start = start * DAY;
        if rest.is_empty() {
            return Some(Self { start, end: start + DAY });
        }
        rest.sign(b"Tt ")?;
        rest.time(start)
    }

    /// The whole year, where a text is nothing but its four digits.
    pub(super) fn year(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let year = rest.digits(4)?;
        rest.is_empty().then(|| Self::months(year, 1, 12))
    }

    /// Its first microsecond, and the one after its last.
    pub(super) fn bounds(self) -> (i64, i64) {
        (self.start, self.end)
    }

    fn months(year: i64, first: i64, count: i64) -> Self {
        let after = first + count;
        let end = if after > 12 { days_before(year + 1, after - 12) } else { days_before(year, after) };
        Self { start: days_before(year, first) * DAY, end: end * DAY }
    }

    /// How this, a value, is ordered to one that was asked for: equal where it lies within.
    pub(super) fn order(self, asked: Self) -> Ordering {
        match self.start.cmp(&asked.start) {
            Ordering::Less => Ordering::Less,
            _ if self.end <= asked.end => Ordering::Equal,
            _ => Ordering::Greater,
        }
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number of so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let number = digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| 10 * number + i64::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    /// One of some letters.
    fn sign(&mut self, signs: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        signs.contains(first).then(|| self.0 = rest).map(|()| *first)
    }

    /// The time on the day that begins at `day`.
    fn time(&mut self, day: i64) -> Option<Date> {
        let hour = self.digits(2).filter(|hour| *hour < 24)?;
        self.sign(b":")?;
        let minute = self.digits(2).filter(|minute| *minute < 60)?;
        let (mut start, mut lasts) = (day + hour * HOUR + minute * MINUTE, MINUTE);
        if self.sign(b":").is_some() {
            start += self.digits(2).filter(|second| *second < 61)? * SECOND;
            lasts = SECOND;
            if self.sign(b".,").is_some() {
                let (part, least) = self.part_of_second()?;
                start += part;
                lasts = least;
            }
        }
        let start = start - self.zone()?;
        self.is_empty().then_some(Date { start, end: start + lasts })
    }

    /// Digits behind the point, and what the last of them stands for: a microsecond at least.
    fn part_of_second(&mut self) -> Option<(i64, i64)> {
        let count = self.0.iter().take_while(|digit| digit.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let (mut part, mut unit) = (0, SECOND);
        for digit in digits.iter().take(6) {
            unit /= 10;
            part += i64::from(digit - b'0') * unit;
        }
        (count > 0).then_some((part, unit))
    }

    /// How far local time is ahead of UTC.
    fn zone(&mut self) -> Option<i64> {
        if self.is_empty() || self.sign(b"Zz").is_some() {
            return Some(0);
        }
        let ahead = self.sign(b"+-")? == b'+';
        let hours = self.digits(2).filter(|hours| *hours < 24)?;
        let has_colon = self.sign(b":").is_some();
        let minutes = if self.is_empty() && !has_colon { 0 } else { self.digits(2).filter(|m| *m < 60)? };
        let offset = hours * HOUR + minutes * MINUTE;
        Some(if ahead { offset } else { -offset })
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the first of a month, in the Gregorian calendar.
fn days_before(year: i64, month: i64) -> i64 {
    let leap_days = |before: i64| {
        let last = before - 1;
        last / 4 - last / 100 + last / 400
    };
    // The year 0 was a leap year, and what is before it counts from there.
    let leap_days = |year: i64| if year > 0 { leap_days(year) + 1 } else { 0 };
    let years = 365 * (year - 1970) + leap_days(year) - leap_days(1970);
    years + (1..month).map(|month| days_in(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &str) -> i64 {
        Date::of(text).unwrap_or_else(|| panic!("{text}")).start / SECOND
    }

    #[test]
    fn dates_are_seconds_since_1970() {
        assert_eq!(start("1970-01-01"), 0);
        assert_eq!(start("2000-02-29"), 951_782_400);
        assert_eq!(start("2000-03-01"), 951_868_800);
        assert_eq!(start("2024-05-01T10:30:00Z"), 1_714_559_400);
        assert_eq!(start("1900-03-01"), -2_203_891_200);
        assert_eq!(start("0000-01-01"), -62_167_219_200);
        assert_eq!(start("0001-01-01"), -62_135_596_800);
        assert_eq!(start("9999-12-31"), 253_402_214_400);
    }

    #[test]
    fn one_moment_may_be_written_in_many_zones() {
        for other in ["2024-05-01T12:30:00+02:00", "2024-05-01 06:00:00-0430", "2024-05-01t10:30:00z"] {
            assert_eq!(Date::of(other), Date::of("2024-05-01T10:30:00"), "{other}");
        }
    }

    #[test]
    fn what_is_asked_for_is_as_long_as_its_last_part() {
        let order = |value: &str, asked: &str| Date::of(value).unwrap().order(Date::of(asked).unwrap());
        assert_eq!(order("2024-05-31T23:59:59.5", "2024-05"), Ordering::Equal);
        assert_eq!(order("2024-06-01", "2024-05"), Ordering::Greater);
        assert_eq!(order("2024-04-30", "2024-05"), Ordering::Less);
        assert_eq!(order("2024-12-31", "2024-12"), Ordering::Equal);
        assert_eq!(order("2024-05", "2024-05-01"), Ordering::Greater);
        assert_eq!(order("2024-05-01T10:00:00.123456789", "2024-05-01T10:00"), Ordering::Equal);
        assert_eq!(Date::of("2024-07-04").unwrap().order(Date::year("2024").unwrap()), Ordering::Equal);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2024",
            "2024-13",
            "2024-00",
            "2023-02-29",
            "2024-5-1",
            "24-05-01",
            "2024-05-01T",
            "2024-05-01T1:00",
            "2024-05-01T24:00",
            "2024-05-01T10:00:00.",
            "2024-05-01T10:00+2",
            "2024-05-01T10:00+02:",
            "2024-05-01x",
            "2024-05-01T10:00 and more",
            "２０２４-05-01",
        ] {
            assert_eq!(Date::of(text), None, "{text}");
        }
        assert_eq!(Date::year("12345"), None);
    }
}
