//! When an instance ran → how long, in a month and on each of its days.

use jiff::{Timestamp, tz::TimeZone};

use crate::{month::Month, timeline::Timeline};

/// Running time in a month, as far as that has gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Seconds that it certainly ran.
    pub seconds: i64,
    /// Seconds that it may have run beside: something was not seen.
    pub doubtful: i64,
    /// The same as `seconds`, for each day of the month.
    pub days: Vec<i64>,
}

/// How good a total is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// It is what it is.
    Exact,
    /// It is at least the lower bound and at most the upper one.
    Bounded,
}

impl Quality {
    /// Its name in answers and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Bounded => "bounded",
        }
    }
}

impl Total {
    /// Of `month` in `zone`, by what `timeline` says.
    #[must_use]
    pub fn of(timeline: &Timeline, month: Month, zone: &TimeZone) -> Self {
        let days: Vec<_> = month.days(zone).collect();
        Self::between(timeline, &days)
    }

    /// The same between `days`: when each begins, and at last when the month ends. For many instances the calendar
    /// is looked at once.
    #[must_use]
    pub fn between(timeline: &Timeline, days: &[Timestamp]) -> Self {
        let mut total = Self {
            days: vec![0; days.len().saturating_sub(1)],
            ..Self::default()
        };
        let (Some(start), Some(end)) = (days.first(), days.last()) else {
            return total;
        };
        for span in timeline.spans() {
            let (from, until) = (span.from.max(*start), span.until.min(*end));
            if from >= until {
                continue;
            }
            if span.doubtful {
                total.doubtful += seconds(from, until);
                continue;
            }
            total.seconds += seconds(from, until);
            let first = days.partition_point(|day| *day <= from).saturating_sub(1);
            let day_by_day = days.iter().zip(days.iter().skip(1)).zip(&mut total.days);
            for ((day, next), of_day) in day_by_day.skip(first) {
                if *day >= until {
                    break;
                }
                *of_day += seconds(from.max(*day), until.min(*next));
            }
        }
        total
    }

    /// Minutes that it certainly ran, to two decimals: the lower bound.
    #[must_use]
    pub fn minutes(&self) -> Minutes {
        Minutes::of_seconds(self.seconds)
    }

    /// Minutes that it ran at most.
    #[must_use]
    pub fn upper(&self) -> Minutes {
        Minutes::of_seconds(self.seconds + self.doubtful)
    }

    /// Whether these differ.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        if self.doubtful == 0 {
            Quality::Exact
        } else {
            Quality::Bounded
        }
    }
}

fn seconds(from: Timestamp, until: Timestamp) -> i64 {
    until.duration_since(from).as_secs()
}

/// Minutes to two decimals, kept as hundredths: what is written, read and compared is the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minutes(i64);

impl Minutes {
    /// So many seconds, rounded half up.
    #[must_use]
    pub const fn of_seconds(seconds: i64) -> Self {
        // A hundredth of a minute is 0.6 s.
        Self((seconds * 10 + 3).div_euclid(6))
    }

    /// As a number; it prints with as many decimals as it has.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        // A month has 4.5 million hundredths of a minute.
        let hundredths = i32::try_from(self.0).unwrap_or(i32::MAX);
        f64::from(hundredths) / 100.0
    }
}

impl std::fmt::Display for Minutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Observation, Power};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn total(observations: &mut [Observation], month: &str, zone: &str, until: &str) -> Total {
        let timeline = Timeline::fold(observations, at(until));
        let zone = TimeZone::get(zone).unwrap();
        Total::of(&timeline, month.parse().unwrap(), &zone)
    }

    #[test]
    fn minutes_are_rounded_to_two_decimals() {
        let text = |seconds| Minutes::of_seconds(seconds).to_string();
        assert_eq!(text(0), "0.00");
        assert_eq!(text(1), "0.02");
        assert_eq!(text(60), "1.00");
        assert_eq!(text(3_601), "60.02");
        assert_eq!(text(74_073), "1234.55");
        assert_eq!(Minutes::of_seconds(74_073).as_f64().to_string(), "1234.55");
        assert_eq!(Minutes::of_seconds(120).as_f64().to_string(), "2");
    }

    #[test]
    fn what_lies_in_two_months_counts_for_each_with_its_part_and_day_by_day() {
        let mut ran = [
            Observation::new(at("2026-10-31T22:00:00Z"), Some(Power::Down), Power::Up),
            Observation::new(at("2026-11-02T01:30:00Z"), Some(Power::Up), Power::Down),
        ];
        let october = total(&mut ran, "2026-10", "UTC", "2026-12-01T00:00:00Z");
        assert_eq!(october.minutes().to_string(), "120.00");
        assert_eq!(october.days[30], 7_200);
        let november = total(&mut ran, "2026-11", "UTC", "2026-12-01T00:00:00Z");
        assert_eq!(november.minutes().to_string(), "1530.00");
        assert_eq!(november.days[..3], [86_400, 5_400, 0]);
        assert_eq!(november.days.len(), 30);
        let bangkok = total(&mut ran, "2026-11", "Asia/Bangkok", "2026-12-01T00:00:00Z");
        assert_eq!(bangkok.seconds, 120 * 60 + 1530 * 60);
    }

    #[test]
    fn the_25th_hour_of_a_day_counts() {
        let mut up = [Observation::seen(at("2026-10-01T00:00:00Z"), Power::Up)];
        let total = total(
            &mut up,
            "2026-11",
            "America/New_York",
            "2026-11-20T00:00:00Z",
        );
        assert_eq!(total.days[0], 25 * 3_600);
    }

    #[test]
    fn a_doubtful_stretch_is_between_the_bounds() {
        let mut gap = [
            Observation::launched(at("2026-11-01T10:00:00Z")),
            Observation::seen(at("2026-11-01T11:00:00Z"), Power::Up),
            Observation::seen(at("2026-11-01T12:00:00Z"), Power::Down),
        ];
        let total = total(&mut gap, "2026-11", "UTC", "2026-11-02T00:00:00Z");
        assert_eq!(total.minutes().to_string(), "60.00");
        assert_eq!(total.upper().to_string(), "120.00");
        assert_eq!(total.quality(), Quality::Bounded);
    }
}
