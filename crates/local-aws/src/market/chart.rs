//! Prices as Yahoo's `/v8/finance/chart` tells them.

use std::collections::BTreeMap;

use jiff::{Span, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{
    listing::{Exchange, Listing, Quirk},
    walk::{Day, days, instant, round},
};

/// All that can be asked for by name.
const RANGES: [&str; 11] = [
    "1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max",
];

/// The fields of a query.
pub(super) type Fields = BTreeMap<String, String>;

/// One line of an answer.
#[derive(Clone, Debug)]
struct Row {
    day: Day,
    /// Open, high, low and close.
    prices: [Option<f64>; 4],
    adjusted: Option<f64>,
    volume: Option<u64>,
}

/// What happened to a share on a day.
#[derive(Clone, Copy, Debug)]
struct Event {
    day: Day,
    /// Of what is paid; it was split if unset.
    amount: Option<f64>,
}

/// The answer to a question about a listing, and the one that has the same meta and no prices.
pub(super) fn answer(
    listing: &Listing,
    fields: &Fields,
    now: Timestamp,
) -> anyhow::Result<Result<(Value, Value), String>> {
    let days = days(listing, now)?;
    let wanted = match Wanted::of(fields, listing, now)? {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let events = events(listing, &days);
    let mut rows = rows(listing, &days, &events);
    let from = wanted.first(&rows);
    let until = rows.partition_point(|row| row.day.opens.as_second() < wanted.until);
    let before = rows.get(..from).unwrap_or_default();
    let before = before.iter().rev().find_map(|row| row.prices[3]);
    let listed = days.first().map(|day| day.opens.as_second());
    let year: Vec<Row> = rows.iter().rev().take(252).cloned().collect();
    rows.truncate(until);
    let mut rows = rows.split_off(from.min(rows.len()));
    let mut meta = meta(listing, &year, now)?;
    let previous = before.or_else(|| rows.first().map(|row| row.day.open));
    meta.insert("chartPreviousClose".to_owned(), json!(previous));
    meta.insert("firstTradeDate".to_owned(), json!(listed));
    meta.insert("range".to_owned(), json!(wanted.range));
    let meta = Value::Object(meta);
    let empty = json!({ "meta": meta, "indicators": { "quote": [{}], "adjclose": [{}] } });
    let mut whole = empty.clone();
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let during = |event: &&Event| (first.day.opens..=last.day.opens).contains(&event.day.opens);
        let events = told(events.iter().filter(during), &wanted);
        if listing.quirk == Some(Quirk::Twice) {
            double(&mut rows);
        }
        fill(&mut whole, &rows, events);
    }
    let chart = |result| json!({ "chart": { "result": [result], "error": null } });
    Ok(Ok((chart(whole), chart(empty))))
}

/// Which part of it is asked for.
#[derive(Debug)]
struct Wanted {
    range: String,
    /// The first day, by the exchange's calendar.
    date: Option<Date>,
    /// The same as an instant.
    from: i64,
    until: i64,
    /// The most rows, counted from the end.
    most: usize,
    dividends: bool,
    splits: bool,
}

impl Wanted {
    fn of(
        fields: &Fields,
        listing: &Listing,
        now: Timestamp,
    ) -> anyhow::Result<Result<Self, String>> {
        let field = |name: &str| fields.get(name).map(String::as_str);
        let interval = field("interval").unwrap_or("1d");
        if interval != "1d" {
            return Ok(Err(format!(
                "Invalid input - interval={interval} is not supported. Valid intervals: [1d]"
            )));
        }
        let second = |name: &str| field(name).and_then(|text| text.parse::<i64>().ok());
        let period = second("period1").zip(second("period2"));
        let range = field("range").unwrap_or(if period.is_some() { "" } else { "1d" });
        if period.is_none() && !RANGES.contains(&range) {
            return Ok(Err(format!(
                "Invalid input - range={range} is not supported. Valid ranges: [{}]",
                RANGES.join(", ")
            )));
        }
        let (from, until) = period.unwrap_or((i64::MIN, i64::MAX));
        let zone = TimeZone::get(listing.exchange.zone)?;
        let today = now.to_zoned(zone).date();
        let date = match (period, range) {
            (Some(_), _) | (None, "max") => None,
            (None, "ytd") => Some(today.first_of_year()),
            (None, range) => span(range)
                .map(|span| today.checked_sub(span))
                .transpose()?,
        };
        let events = field("events").unwrap_or_default();
        Ok(Ok(Self {
            range: range.to_owned(),
            date,
            from,
            until,
            most: match range {
                "1d" => 1,
                "5d" => 5,
                _ => usize::MAX,
            },
            dividends: events.contains("div"),
            splits: events.contains("split"),
        }))
    }

    /// Which row is the first that is asked for.
    fn first(&self, rows: &[Row]) -> usize {
        let by_time = rows.partition_point(|row| row.day.opens.as_second() < self.from);
        let by_date = rows.partition_point(|row| Some(row.day.date) < self.date);
        by_time
            .max(by_date)
            .max(rows.len().saturating_sub(self.most))
    }
}

/// How far back a range goes, if that is not counted in sessions.
fn span(range: &str) -> Option<Span> {
    let (count, unit) = range.split_at(range.find(char::is_alphabetic)?);
    let count: i64 = count.parse().ok()?;
    match unit {
        "mo" => Some(count.months()),
        "y" => Some(count.years()),
        _ => None,
    }
}

/// What was paid and split, the oldest first: each year again, on the first session from its day.
fn events(listing: &Listing, days: &[Day]) -> Vec<Event> {
    let paid = listing.dividends.iter();
    let paid = paid.map(|(month, day, amount)| (*month, *day, Some(*amount)));
    let split = listing.split.map(|(month, day)| (month, day, None));
    let yearly: Vec<_> = paid.chain(split).collect();
    let mut events = Vec::new();
    for (before, today) in days.iter().zip(days.iter().skip(1)) {
        for (month, day, amount) in &yearly {
            let due = Date::new(today.date.year(), *month, *day);
            if due.is_ok_and(|due| before.date < due && due <= today.date) {
                let (day, amount) = (*today, *amount);
                events.push(Event { day, amount });
            }
        }
    }
    events
}

/// A row a day: what is paid later is taken from every close before it.
fn rows(listing: &Listing, days: &[Day], events: &[Event]) -> Vec<Row> {
    let mut events = events.iter().rev().peekable();
    let (mut factor, last) = (1.0, days.last().map(|day| day.date));
    let mut rows = Vec::new();
    for (nth, day) in days.iter().enumerate().rev() {
        let prices = [day.open, day.high, day.low, day.close].map(Some);
        let mut row = Row {
            day: *day,
            prices: prices.map(|price| price.map(single)),
            adjusted: Some(single(day.close * factor)),
            volume: Some(day.volume),
        };
        if listing.quirk == Some(Quirk::Nulls) && Some(day.date) != last {
            row.lose();
        }
        rows.push(row);
        while let Some(event) = events.next_if(|event| event.day.date == day.date) {
            let before = nth.checked_sub(1).and_then(|nth| days.get(nth));
            if let Some((before, amount)) = before.zip(event.amount) {
                factor *= 1.0 - amount / before.close;
            }
        }
    }
    rows.reverse();
    rows
}

impl Row {
    /// Leaves gaps, always on the same days: a holiday in August, a day without trade in each
    /// February, May and November, a close that went missing in every quarter.
    fn lose(&mut self) {
        let day = self.day.date;
        match (day.month(), week(day)) {
            (8, 1) => (self.prices, self.adjusted, self.volume) = ([None; 4], None, None),
            (2 | 5 | 11, 1) => {
                (self.prices, self.adjusted, self.volume) = ([None; 4], None, Some(0));
            }
            (1 | 4 | 7 | 10, 2) => (self.prices[3], self.adjusted) = (None, None),
            _ => {}
        }
    }
}

/// Which Wednesday of its month a day is, or 0.
fn week(day: Date) -> i8 {
    if day.weekday() == jiff::civil::Weekday::Wednesday {
        (day.day() - 1) / 7 + 1
    } else {
        0
    }
}

/// Has the session that is on come once more, as it was a moment ago.
fn double(rows: &mut Vec<Row>) {
    let Some(last) = rows.last() else { return };
    if last.day.stamp != last.day.opens {
        let mut first = last.clone();
        first.day.stamp = first.day.opens;
        first.volume = first.volume.map(|volume| volume - volume / 100);
        rows.insert(rows.len() - 1, first);
    }
}

/// The nearest of single precision, which is what Yahoo computes with: 53.9 is 53.900001525878906.
fn single(value: f64) -> f64 {
    format!("{value:.6}")
        .parse::<f32>()
        .map_or(value, f64::from)
}

/// Those events that are asked for, by kind and second.
fn told<'a>(events: impl Iterator<Item = &'a Event>, wanted: &Wanted) -> Map<String, Value> {
    let (mut dividends, mut splits) = (Map::new(), Map::new());
    for event in events {
        let date = event.day.opens.as_second();
        match event.amount {
            Some(amount) if wanted.dividends => {
                dividends.insert(date.to_string(), json!({ "amount": amount, "date": date }));
            }
            None if wanted.splits => {
                let split = json!({ "date": date, "numerator": 4.0, "denominator": 1.0, "splitRatio": "4:1" });
                splits.insert(date.to_string(), split);
            }
            _ => {}
        }
    }
    let kinds = [("dividends", dividends), ("splits", splits)].into_iter();
    let kinds = kinds.filter(|(_, events)| !events.is_empty());
    kinds
        .map(|(kind, events)| (kind.to_owned(), events.into()))
        .collect()
}

fn fill(result: &mut Value, rows: &[Row], events: Map<String, Value>) {
    let column = |nth: usize| -> Value {
        let prices = rows
            .iter()
            .map(|row| row.prices.get(nth).copied().flatten());
        prices.collect::<Vec<_>>().into()
    };
    let volumes: Vec<_> = rows.iter().map(|row| row.volume).collect();
    let adjusted: Vec<_> = rows.iter().map(|row| row.adjusted).collect();
    let stamps = rows.iter().map(|row| row.day.stamp.as_second());
    result["timestamp"] = stamps.collect::<Vec<_>>().into();
    if !events.is_empty() {
        result["events"] = events.into();
    }
    result["indicators"] = json!({
        "quote": [{
            "open": column(0), "high": column(1), "low": column(2), "close": column(3),
            "volume": volumes,
        }],
        "adjclose": [{ "adjclose": adjusted }],
    });
}

/// What is said of a listing; `year` is its last year, the newest first.
fn meta(listing: &Listing, year: &[Row], now: Timestamp) -> anyhow::Result<Map<String, Value>> {
    let exchange = listing.exchange;
    // Of what has no past, only the nearest may be asked for by name.
    let ranges = match listing.quirk {
        Some(Quirk::New) => RANGES.split_at(2).0,
        _ => &RANGES,
    };
    let zone = TimeZone::get(exchange.zone)?;
    let offset = zone.to_offset_info(now);
    let letters = exchange.letters.unwrap_or(offset.abbreviation());
    let shown = |price: f64| round(price, listing.decimals.0);
    let last = year.first();
    let price = year.iter().find_map(|row| row.prices[3]).map(shown);
    let high = year.iter().filter_map(|row| row.prices[1]).reduce(f64::max);
    let low = year.iter().filter_map(|row| row.prices[2]).reduce(f64::min);
    let meta = json!({
        "currency": listing.currency,
        "symbol": listing.symbol,
        "exchangeName": exchange.code,
        "fullExchangeName": exchange.name,
        "instrumentType": listing.kind,
        "regularMarketTime": last.map(|row| now.min(row.day.closes).as_second()),
        "hasPrePostMarketData": exchange.around.is_some(),
        "gmtoffset": offset.offset().seconds(),
        "timezone": letters,
        "exchangeTimezoneName": exchange.zone,
        "regularMarketPrice": price,
        "fiftyTwoWeekHigh": high.map(shown),
        "fiftyTwoWeekLow": low.map(shown),
        "regularMarketDayHigh": last.map(|row| row.day.high),
        "regularMarketDayLow": last.map(|row| row.day.low),
        "regularMarketVolume": last.map(|row| row.day.volume),
        "longName": listing.long_name,
        "shortName": listing.short_name,
        "priceHint": listing.decimals.1,
        "currentTradingPeriod": last.map(|row| periods(exchange, &zone, row.day.date, letters)).transpose()?,
        "dataGranularity": "1d",
        "validRanges": ranges,
    });
    let Value::Object(meta) = meta else {
        anyhow::bail!("it is an object as it is written above")
    };
    Ok(meta)
}

/// When the exchange is open on a day, before, regularly and after.
fn periods(
    exchange: &Exchange,
    zone: &TimeZone,
    date: Date,
    letters: &str,
) -> anyhow::Result<Value> {
    let (before, after) = exchange.around.unwrap_or((exchange.opens, exchange.closes));
    let offset = zone.to_offset_info(instant(zone, date, exchange.opens)?);
    let period = |from, to| -> anyhow::Result<Value> {
        Ok(json!({
            "timezone": letters,
            "start": instant(zone, date, from)?.as_second(),
            "end": instant(zone, date, to)?.as_second(),
            "gmtoffset": offset.offset().seconds(),
        }))
    };
    Ok(json!({
        "pre": period(before, exchange.opens)?,
        "regular": period(exchange.opens, exchange.closes)?,
        "post": period(exchange.closes, after)?,
    }))
}
