//! Random walks: what a listing cost on any day, the same whenever it is asked.

use anyhow::Context as _;
use fastrand::Rng;
use jiff::{
    Timestamp,
    civil::{Date, Weekday, date},
    tz::TimeZone,
};

use super::listing::{Exchange, Listing, Quirk};

/// The first day that there are prices of.
const FIRST: Date = date(2015, 1, 1);
/// How much of its way from the usual price a price keeps from one day to the next.
const KEEPS: f64 = 0.985;

/// One session of an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) opens: Timestamp,
    pub(super) closes: Timestamp,
    /// Which is when it opened, unless it is on, or over since today.
    pub(super) stamp: Timestamp,
    pub(super) open: f64,
    pub(super) high: f64,
    pub(super) low: f64,
    pub(super) close: f64,
    pub(super) volume: u64,
}

/// All sessions that have begun at `now`, the oldest first.
pub(super) fn days(listing: &Listing, now: Timestamp) -> anyhow::Result<Vec<Day>> {
    let zone = TimeZone::get(listing.exchange.zone)?;
    let today = now.to_zoned(zone.clone()).date();
    let mut days = Vec::new();
    let (mut before, mut at) = (0.0, FIRST);
    while at <= today {
        if !matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday) {
            let mut day = step(listing, &zone, at, &mut before)?;
            if day.opens <= now {
                day.so_far(listing, now, at == today)?;
                days.push(day);
            }
        }
        at = at.tomorrow()?;
    }
    if listing.quirk == Some(Quirk::New) {
        days.drain(..days.len().saturating_sub(12));
    }
    Ok(days)
}

/// The instant that a clock of the exchange shows this time.
pub(super) fn instant(
    zone: &TimeZone,
    date: Date,
    (hour, minute): (i8, i8),
) -> anyhow::Result<Timestamp> {
    let at = date.at(hour, minute, 0, 0).to_zoned(zone.clone())?;
    Ok(at.timestamp())
}

/// The session of `date`, whole. `before` is how far off the usual price the last one ended.
fn step(listing: &Listing, zone: &TimeZone, date: Date, before: &mut f64) -> anyhow::Result<Day> {
    let Exchange { opens, closes, .. } = listing.exchange;
    let number = date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp();
    let number = u64::try_from(number.as_second() / 86_400).context("a day before 1970")?;
    // The symbol's own, and the day's own: what was does not change with what is.
    let seed = listing.symbol.bytes().fold(number, |seed, byte| {
        seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
    });
    let mut random = Rng::with_seed(seed);
    let usual = |off: f64| listing.price * (1.0 + off);
    let rounded = |price: f64| round(price, listing.decimals.0);
    let shock = bell(&mut random);
    let after = KEEPS * *before + listing.swing * shock;
    let open = usual(*before + 0.3 * listing.swing * bell(&mut random));
    let close = usual(after);
    let mut reach = || 0.5 * listing.swing * bell(&mut random).abs();
    let (high, low) = (
        open.max(close) * (1.0 + reach()),
        open.min(close) * (1.0 - reach()),
    );
    *before = after;
    let volume = listing.volume / 1_000 * random.u64(500..1_500);
    Ok(Day {
        date,
        opens: instant(zone, date, *opens)?,
        closes: instant(zone, date, *closes)?,
        stamp: instant(zone, date, *opens)?,
        open: rounded(open),
        high: rounded(high),
        low: rounded(low),
        close: rounded(close),
        // Great changes come with much trade.
        volume: if shock.abs() > 1.5 {
            volume * 2
        } else {
            volume
        },
    })
}

impl Day {
    /// Takes back what has not happened yet. A session that is over stays stamped with its end
    /// until the day is: yahoo-finance2#958.
    fn so_far(&mut self, listing: &Listing, now: Timestamp, is_today: bool) -> anyhow::Result<()> {
        if !is_today {
            return Ok(());
        }
        self.stamp = now.min(self.closes);
        if now >= self.closes {
            return Ok(());
        }
        let gone = now.as_second() - self.opens.as_second();
        let whole = (self.closes.as_second() - self.opens.as_second()).max(1);
        let part = f64::from(i32::try_from(gone)?) / f64::from(i32::try_from(whole)?);
        let (over, under) = (
            self.high - self.open.max(self.close),
            self.open.min(self.close) - self.low,
        );
        let rounded = |price: f64| round(price, listing.decimals.0);
        self.close = rounded(self.open + (self.close - self.open) * part);
        self.high = rounded(self.open.max(self.close) + over * part);
        self.low = rounded(self.open.min(self.close) - under * part);
        self.volume = self.volume / u64::try_from(whole)? * u64::try_from(gone)?;
        Ok(())
    }
}

/// A number from a bell curve of mean 0 and deviation 1, by sums alone, which all machines do alike.
fn bell(random: &mut Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

/// To so many decimals.
pub(super) fn round(value: f64, decimals: u8) -> f64 {
    let scale = 10_f64.powi(i32::from(decimals));
    (value * scale).round() / scale
}
