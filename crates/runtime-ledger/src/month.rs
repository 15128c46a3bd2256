//! Months as somebody's calendar has them, daylight saving and all.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A month of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

impl Month {
    /// The one that `at` is in, in `zone`.
    #[must_use]
    pub fn of(at: Timestamp, zone: &TimeZone) -> Self {
        Self(at.to_zoned(zone.clone()).date().first_of_month())
    }

    /// When it begins in `zone`; the end of time, if the calendar has no such month.
    #[must_use]
    pub fn start(self, zone: &TimeZone) -> Timestamp {
        start_of(self.0, zone)
    }

    /// When the next one begins.
    #[must_use]
    pub fn end(self, zone: &TimeZone) -> Timestamp {
        self.next().map_or(Timestamp::MAX, |next| next.start(zone))
    }

    /// When each of its days begins in `zone`, and at last when it ends. A day has 23 to 25 hours.
    pub fn days(self, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
        let count = usize::try_from(self.0.days_in_month()).unwrap_or_default();
        let days = std::iter::successors(Some(self.0), |day| day.tomorrow().ok());
        days.take(count)
            .map(|day| start_of(day, zone))
            .chain([self.end(zone)])
    }

    /// The one before.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        let last = self.0.yesterday().ok()?;
        Some(Self(last.first_of_month()))
    }

    /// The one after.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        let first = self.0.last_of_month().tomorrow().ok()?;
        Some(Self(first))
    }

    /// All from this to `last`, both included.
    pub fn to(self, last: Self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |month| month.next())
            .take_while(move |month| *month <= last)
    }
}

/// The first moment of a day: there may be no midnight on it.
fn start_of(day: Date, zone: &TimeZone) -> Timestamp {
    day.to_zoned(zone.clone())
        .and_then(|day| day.start_of_day())
        .map_or(Timestamp::MAX, |day| day.timestamp())
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, InvalidMonth> {
        let digits = |text: &str| {
            let all = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| all)
        };
        let month = text.split_once('-').filter(|_| text.len() == 7);
        month
            .and_then(|(year, month)| {
                let month = i8::try_from(digits(month)?).ok()?;
                Date::new(digits(year)?, month, 1).ok()
            })
            .map(Self)
            .ok_or_else(|| InvalidMonth(text.chars().take(20).collect()))
    }
}

/// A text that is no month.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a month such as 2026-10")]
pub struct InvalidMonth(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_read_and_written_alike() {
        for text in ["2026-10", "2026-01", "1999-12", "0001-01", "9999-12"] {
            assert_eq!(month(text).to_string(), text);
        }
        for other in [
            "",
            "2026",
            "2026-1",
            "2026-13",
            "2026-00",
            "2026-1x",
            "+026-10",
            "2026-10-01",
            "202610",
            "26-10-1",
        ] {
            assert!(other.parse::<Month>().is_err(), "{other:?}");
        }
    }

    #[test]
    fn a_month_begins_at_its_zones_midnight() {
        let start = |name: &str, text: &str| month(text).start(&zone(name)).to_string();
        assert_eq!(start("UTC", "2026-11"), "2026-11-01T00:00:00Z");
        assert_eq!(start("Asia/Bangkok", "2026-11"), "2026-10-31T17:00:00Z");
        assert_eq!(start("America/New_York", "2026-11"), "2026-11-01T04:00:00Z");
        assert_eq!(start("America/New_York", "2026-12"), "2026-12-01T05:00:00Z");
    }

    #[test]
    fn days_have_23_to_25_hours_and_fill_the_month() {
        let hours = |name: &str, text: &str| {
            let days: Vec<_> = month(text).days(&zone(name)).collect();
            let pairs = days.windows(2);
            pairs
                .map(|day| day[1].duration_since(day[0]).as_hours())
                .collect::<Vec<_>>()
        };
        assert_eq!(hours("UTC", "2026-02"), [24; 28]);
        assert_eq!(hours("UTC", "2028-02").len(), 29);
        let november = hours("America/New_York", "2026-11");
        assert_eq!(
            (november[0], november.iter().sum::<i64>()),
            (25, 30 * 24 + 1)
        );
        let march = hours("Europe/Berlin", "2026-03");
        assert_eq!((march[28], march.iter().sum::<i64>()), (23, 31 * 24 - 1));
        // Clocks go forward at midnight: the day has none.
        assert_eq!(hours("America/Santiago", "2026-09")[5], 23);
    }

    #[test]
    fn a_moment_is_in_the_month_of_its_zone() {
        let at: Timestamp = "2026-10-31T18:00:00Z".parse().unwrap();
        assert_eq!(Month::of(at, &TimeZone::UTC), month("2026-10"));
        assert_eq!(Month::of(at, &zone("Asia/Bangkok")), month("2026-11"));
    }

    #[test]
    fn months_follow_each_other() {
        assert_eq!(month("2026-12").next(), Some(month("2027-01")));
        assert_eq!(month("2026-01").previous(), Some(month("2025-12")));
        let all = month("2026-11").to(month("2027-02"));
        let all: Vec<_> = all.map(|month| month.to_string()).collect();
        assert_eq!(all, ["2026-11", "2026-12", "2027-01", "2027-02"]);
        assert_eq!(month("2026-11").to(month("2026-10")).count(), 0);
    }
}
