//! Alarms, held to the rules that CloudWatch checks only when one is created (`PutMetricAlarm`, "Using metric math").

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rendered::{Rendered, Resource};

/// Metric math that CloudWatch is known to take, with `m` for a metric and `n` for a number. A function of a list and a
/// scalar, such as `MAX([m, 1])`, is refused, and nothing but CloudWatch says so: add a form once an account has taken it.
const FORMS: [&str; 4] = [
    "IF(m>n,n*m/m,n)",
    "FILL(m,n)+FILL(m,n)",
    "SUM(METRICS())",
    "n*m/n",
];
const FUNCTIONS: [&str; 4] = ["FILL", "IF", "METRICS", "SUM"];
const COMPARISONS: [&str; 4] = [
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
];
const MISSING_DATA: [&str; 4] = ["breaching", "notBreaching", "ignore", "missing"];
/// The metrics that an alarm on metric math may have.
const MAX_METRICS: usize = 10;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn alarms() -> Vec<Resource> {
    // With everything that a parameter can add.
    let parameters = [
        ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms"),
        ("Monitors", "slack"),
        ("TrustedKeys", "RWQ"),
    ];
    let resources = Rendered::with(&parameters).resources();
    let alarms: Vec<_> = resources
        .into_iter()
        .filter(|resource| resource.kind == "AWS::CloudWatch::Alarm")
        .collect();
    assert!(alarms.len() >= 10, "{} alarms", alarms.len());
    alarms
}

/// An expression's form, and the metrics that it names.
fn form(expression: &str) -> (String, BTreeSet<String>) {
    let (mut form, mut named) = (String::new(), BTreeSet::new());
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let of_word =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '.' && first.is_ascii_digit());
        let is_word = of_word(first);
        let len = if is_word {
            rest.find(|c: char| !of_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(len);
        if first.is_ascii_digit() {
            form.push('n');
        } else if is_word && !FUNCTIONS.contains(&token) {
            form.push('m');
            named.insert(token.to_owned());
        } else {
            form.push_str(token);
        }
        rest = after.trim_start();
    }
    (form, named)
}

#[test]
fn forms_tell_what_cloudwatch_refuses_from_what_it_takes() {
    let form = |expression| form(expression).0;
    assert_eq!(form("100 * errors / MAX([invocations, 1])"), "n*m/m([m,n])");
    let taken = form("IF(invocations > 0, 100 * errors / invocations, 0)");
    assert_eq!(taken, FORMS[0]);
    assert_eq!(form("100 * paths / 1000"), "n*m/n");
    assert_eq!(form("SUM(METRICS())"), "SUM(METRICS())");
}

#[test]
fn metric_math_of_every_alarm_has_a_form_that_cloudwatch_takes() {
    for alarm in alarms() {
        let id = &alarm.id;
        let Some(queries) = alarm.properties().get("Metrics") else {
            continue;
        };
        let queries = queries.as_array().unwrap();
        let ids: BTreeSet<String> = queries.iter().map(|query| text(query, "Id")).collect();
        assert_eq!(ids.len(), queries.len(), "{id}: two queries with one id");
        let is_id = |id: &String| {
            id.starts_with(|c: char| c.is_ascii_lowercase())
                && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        assert!(ids.iter().all(is_id), "{id}: {ids:?}");
        let (math, metrics): (Vec<_>, Vec<_>) = queries
            .iter()
            .partition(|query| query.get("Expression").is_some());
        assert!((1..=MAX_METRICS).contains(&metrics.len()), "{id}");
        let returned = queries.iter().filter(|query| query["ReturnData"] != false);
        let returned: Vec<_> = returned.map(|query| text(query, "Id")).collect();
        assert_eq!(
            returned.len(),
            1,
            "{id} returns {returned:?}: exactly one is watched"
        );
        for query in math {
            let expression = text(query, "Expression");
            let (form, named) = form(&expression);
            assert!(
                FORMS.contains(&form.as_str()),
                "{id}: {expression:?} has the form {form}"
            );
            assert!(
                named.is_subset(&ids),
                "{id}: {expression:?} names what is not there"
            );
            let takes_all = form.contains("METRICS()");
            for metric in &metrics {
                let metric = text(metric, "Id");
                assert!(
                    takes_all || named.contains(&metric),
                    "{id}: {metric} is not used"
                );
            }
        }
    }
}

/// The metrics of an alarm on metric math.
fn stats(alarm: &Resource) -> Vec<&Value> {
    let queries = alarm.properties()["Metrics"].as_array();
    let queries = queries.into_iter().flatten();
    queries
        .filter_map(|query| query.get("MetricStat"))
        .collect()
}

#[test]
fn every_alarm_is_of_one_metric_or_of_metric_math() {
    let single = [
        "MetricName",
        "Namespace",
        "Period",
        "Statistic",
        "Dimensions",
    ];
    for alarm in alarms() {
        let (id, properties, stats) = (&alarm.id, alarm.properties(), stats(&alarm));
        let has = single.map(|name| properties.get(name).is_some());
        assert_eq!(has, [stats.is_empty(); 5], "{id}");
        for stat in &stats {
            let metric = &stat["Metric"];
            let named = [&stat["Stat"], &metric["Namespace"], &metric["MetricName"]];
            assert!(named.iter().all(|name| name.is_string()), "{id}: {stat}");
        }
        let dimensions = stats.iter().map(|stat| &stat["Metric"]["Dimensions"]);
        for dimensions in dimensions.chain(properties.get("Dimensions")) {
            let dimensions = dimensions.as_array().map_or(&[][..], Vec::as_slice);
            let named = |it: &Value| !text(it, "Name").is_empty() && !text(it, "Value").is_empty();
            assert!(
                dimensions.len() <= 30 && dimensions.iter().all(named),
                "{id}"
            );
        }
    }
}

#[test]
fn every_alarm_keeps_to_the_limits_of_periods_and_comparisons() {
    for alarm in alarms() {
        let (id, properties) = (&alarm.id, alarm.properties());
        let number = |name: &str| properties[name].as_u64();
        let stats = stats(&alarm);
        let periods = stats.iter().map(|stat| stat["Period"].as_u64().unwrap());
        let periods: BTreeSet<u64> = periods.chain(number("Period")).collect();
        assert_eq!(
            periods.len(),
            1,
            "{id}: metrics of one alarm share a period"
        );
        let period = *periods.first().unwrap();
        let is_period = [10, 20, 30].contains(&period) || period.is_multiple_of(60);
        assert!(is_period, "{id}: {period} s");
        let evaluated = number("EvaluationPeriods").unwrap();
        let most = if period < HOUR { DAY } else { 7 * DAY };
        assert!(evaluated >= 1 && period * evaluated <= most, "{id}");
        let points = number("DatapointsToAlarm");
        assert!(points.is_none_or(|n| (1..=evaluated).contains(&n)), "{id}");
        assert!(properties["Threshold"].is_number(), "{id}");
        let among = |name, known: [&str; 4]| known.contains(&text(properties, name).as_str());
        assert!(among("ComparisonOperator", COMPARISONS), "{id}");
        assert!(among("TreatMissingData", MISSING_DATA), "{id}");
        assert!(text(properties, "AlarmDescription").len() <= 1_024, "{id}");
        let actions = properties["AlarmActions"].as_array();
        assert_eq!(actions.map(Vec::len), Some(1), "{id}");
    }
}

fn text(of: &Value, name: &str) -> String {
    let value = of[name].as_str();
    value
        .unwrap_or_else(|| panic!("no {name} in {of}"))
        .to_owned()
}
