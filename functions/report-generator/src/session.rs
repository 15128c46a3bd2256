//! Which trading day it is, before anybody was asked: by the exchange's own clock and week. Holidays are not known here; the
//! prices tell, and what they told is remembered.

use jiff::{Timestamp, ToSpan as _, civil::Date, civil::Time, civil::Weekday, tz::TimeZone};

use crate::ticker::Ticker;

/// An exchange: the end of its symbols, its time zone, and when it opens ("Symbol suffixes", Yahoo Finance help).
const EXCHANGES: &[(&str, &str, Time)] = &[
    (".SI", "Asia/Singapore", at(9, 0)),
    (".BK", "Asia/Bangkok", at(10, 0)),
    (".HK", "Asia/Hong_Kong", at(9, 30)),
    (".T", "Asia/Tokyo", at(9, 0)),
    (".KS", "Asia/Seoul", at(9, 0)),
    (".KQ", "Asia/Seoul", at(9, 0)),
    (".TW", "Asia/Taipei", at(9, 0)),
    (".SS", "Asia/Shanghai", at(9, 30)),
    (".SZ", "Asia/Shanghai", at(9, 30)),
    (".NS", "Asia/Kolkata", at(9, 15)),
    (".BO", "Asia/Kolkata", at(9, 15)),
    (".JK", "Asia/Jakarta", at(9, 0)),
    (".KL", "Asia/Kuala_Lumpur", at(9, 0)),
    (".VN", "Asia/Ho_Chi_Minh", at(9, 0)),
    (".AX", "Australia/Sydney", at(10, 0)),
    (".NZ", "Pacific/Auckland", at(10, 0)),
    (".TWO", "Asia/Taipei", at(9, 0)),
    (".SR", "Asia/Riyadh", at(10, 0)),
    (".TA", "Asia/Jerusalem", at(9, 30)),
    (".IS", "Europe/Istanbul", at(10, 0)),
    (".MI", "Europe/Rome", at(9, 0)),
    (".AS", "Europe/Amsterdam", at(9, 0)),
    (".BR", "Europe/Brussels", at(9, 0)),
    (".MC", "Europe/Madrid", at(9, 0)),
    (".LS", "Europe/Lisbon", at(8, 0)),
    (".ST", "Europe/Stockholm", at(9, 0)),
    (".CO", "Europe/Copenhagen", at(9, 0)),
    (".HE", "Europe/Helsinki", at(10, 0)),
    (".OL", "Europe/Oslo", at(9, 0)),
    (".VI", "Europe/Vienna", at(9, 0)),
    (".F", "Europe/Berlin", at(8, 0)),
    (".SA", "America/Sao_Paulo", at(10, 0)),
    (".MX", "America/Mexico_City", at(8, 30)),
    (".L", "Europe/London", at(8, 0)),
    (".DE", "Europe/Berlin", at(9, 0)),
    (".PA", "Europe/Paris", at(9, 0)),
    (".SW", "Europe/Zurich", at(9, 0)),
    (".TO", "America/Toronto", at(9, 30)),
    ("=X", "Europe/London", at(0, 0)),
];
/// What is traded every day of the week, all day long.
const WITHOUT_A_WEEK: [&str; 3] = ["-USD", "-EUR", "-THB"];
/// Where symbols without an end are from.
const AMERICAN: (&str, Time) = ("America/New_York", at(9, 30));

const fn at(hour: i8, minute: i8) -> Time {
    Time::constant(hour, minute, 0, 0)
}

/// The day whose prices `symbol` has at `now`: today once the exchange has opened, or else the last weekday.
pub(crate) fn date_of(symbol: &Ticker, now: Timestamp) -> Date {
    let (zone, opens) = exchange(symbol);
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    if WITHOUT_A_WEEK
        .iter()
        .any(|end| symbol.as_str().ends_with(end))
    {
        return now.to_zoned(TimeZone::UTC).date();
    }
    let there = now.to_zoned(zone);
    let mut date = there.date();
    if there.time() < opens {
        date = day_before(date);
    }
    weekday_until(date)
}

/// The weekday before `date`.
pub(crate) fn weekday_before(date: Date) -> Date {
    weekday_until(day_before(date))
}

/// The last weekday that is no later than `date`.
fn weekday_until(mut date: Date) -> Date {
    while matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
        date = day_before(date);
    }
    date
}

fn day_before(date: Date) -> Date {
    date.saturating_sub(1.day())
}

fn exchange(symbol: &Ticker) -> (&'static str, Time) {
    let of = |(end, ..): &&(&str, _, _)| symbol.as_str().ends_with(end);
    let known = EXCHANGES.iter().find(of);
    known.map_or(AMERICAN, |(_, zone, opens)| (*zone, *opens))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(symbol: &str, now: &str) -> String {
        let symbol = symbol.parse().unwrap();
        date_of(&symbol, now.parse().unwrap()).to_string()
    }

    #[test]
    fn the_date_is_the_exchanges_trading_date() {
        // Saturday in Singapore, Friday by UTC.
        assert_eq!(date("D05.SI", "2026-11-20T22:00:00Z"), "2026-11-20");
        // Monday, before and after the open.
        assert_eq!(date("D05.SI", "2026-11-23T00:59:00Z"), "2026-11-20");
        assert_eq!(date("D05.SI", "2026-11-23T01:00:00Z"), "2026-11-23");
        // Already tomorrow by UTC.
        assert_eq!(date("AAPL", "2026-11-24T02:00:00Z"), "2026-11-23");
        assert_eq!(date("7203.T", "2026-11-24T02:00:00Z"), "2026-11-24");
        assert_eq!(
            date("BTC-USD", "2026-11-21T02:00:00Z"),
            "2026-11-21",
            "a Saturday"
        );
        // Daylight saving: New York opens at 13:30 UTC in July, and at 14:30 in December.
        assert_eq!(date("AAPL", "2026-07-22T13:30:00Z"), "2026-07-22");
        assert_eq!(date("AAPL", "2026-12-22T13:30:00Z"), "2026-12-21");
    }

    #[test]
    fn every_exchange_has_a_time_zone() {
        for (_, zone, _) in EXCHANGES {
            assert!(TimeZone::get(zone).is_ok(), "{zone}");
        }
        assert_eq!(
            weekday_before("2026-11-23".parse().unwrap()).to_string(),
            "2026-11-20"
        );
    }
}
