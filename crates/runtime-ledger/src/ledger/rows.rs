//! The ledger's items: keys and attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};

use super::{Gap, MonthTotal, Watermark};
use crate::{
    account::Looks,
    instance::InstanceId,
    item::{Item, number, parsed, text, text_of},
    month::Month,
    observation::{Observation, Power, Transition},
    total::Total,
};

/// How long what is written stays: 400 days.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The names of both in the ledger.
pub(super) const fn power(power: Power) -> &'static str {
    match power {
        Power::Up => "up",
        Power::Down => "down",
    }
}

pub(super) fn power_of(item: &Item, name: &str) -> Option<Power> {
    match text_of(item, name)? {
        "up" => Some(Power::Up),
        "down" => Some(Power::Down),
        _ => None,
    }
}

pub(super) fn keyed(pk: &str, sk: &str) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

pub(super) fn partition(region: &str, month: Month) -> String {
    format!("transitions#{region}#{month}")
}

pub(super) fn sort_key(transition: &Transition) -> String {
    let Transition {
        instance,
        observed,
        id,
    } = transition;
    format!("{instance}#{}#{id}", observed.at)
}

pub(super) fn server(instance: &InstanceId) -> String {
    format!("server#{instance}")
}

pub(super) fn month_key(month: Month) -> String {
    format!("month#{month}")
}

pub(super) fn reads_key(day: Date) -> String {
    format!("reads#{day}")
}

/// What was read how often is of use for a few days.
pub(super) fn reads_expiry(day: Date) -> AttributeValue {
    let end = day
        .saturating_add(Span::new().days(7))
        .to_zoned(TimeZone::UTC);
    number(end.map_or(0, |end| end.timestamp().as_second()))
}

pub(super) fn expiry(at: Timestamp) -> AttributeValue {
    number(
        at.saturating_add(KEPT)
            .unwrap_or(Timestamp::MAX)
            .as_second(),
    )
}

pub(super) fn observation(item: &Item) -> Option<(InstanceId, Observation)> {
    let mut parts = text_of(item, "sk")?.splitn(3, '#');
    let instance = parts.next()?.parse().ok()?;
    let at = parts.next()?.parse().ok()?;
    let after = power_of(item, "after")?;
    let launched = item.contains_key("launched");
    let observed = Observation::new(at, power_of(item, "before"), after);
    Some((
        instance,
        Observation {
            launched,
            ..observed
        },
    ))
}

pub(super) fn watermark(item: &Item) -> Option<Watermark> {
    let gaps = item.get("gaps").and_then(|gaps| gaps.as_l().ok());
    let gaps = gaps.into_iter().flatten();
    Some(Watermark {
        from: parsed(item, "from")?,
        until: parsed(item, "until")?,
        gaps: gaps.filter_map(|gap| gap_of(gap.as_s().ok()?)).collect(),
        closed: parsed(item, "closed"),
    })
}

pub(super) fn gap_text(gap: &Gap) -> String {
    format!("{}#{}#{}", gap.name, gap.from, gap.until)
}

pub(super) fn gap_of(text: &str) -> Option<Gap> {
    let mut parts = text.splitn(3, '#');
    Some(Gap {
        name: parts.next()?.to_owned(),
        from: parts.next()?.parse().ok()?,
        until: parts.next()?.parse().ok()?,
    })
}

pub(super) fn total(item: &Item) -> Option<MonthTotal> {
    let month = text_of(item, "sk")?.strip_prefix("month#")?.parse().ok()?;
    let days = item.get("days")?.as_l().ok()?.iter();
    let days: Option<_> = days.map(|day| day.as_n().ok()?.parse().ok()).collect();
    Some(MonthTotal {
        month,
        total: Total {
            seconds: parsed(item, "seconds")?,
            doubtful: parsed(item, "doubtful")?,
            days: days?,
        },
        opening: parsed(item, "opened").zip(power_of(item, "opening")),
        looks: Looks {
            first: parsed(item, "since")?,
            last: parsed(item, "seen")?,
            power: power_of(item, "power")?,
        },
        left: item.contains_key("left"),
    })
}
