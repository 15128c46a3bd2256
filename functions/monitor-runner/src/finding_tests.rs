use larder_lambda::{Error, ErrorKind};
use secrecy::SecretString;

use super::*;
use crate::answer::{Failure, Run};

fn ran(result: Option<Value>) -> Outcome {
    Outcome::Ran(Run {
        monitor: "slack".to_owned(),
        version: "1.0".to_owned(),
        sha256: "ab".to_owned(),
        binary_size: 7,
        cache: "hit",
        reason: None,
        warning: None,
        downloaded_bytes: 0,
        ensure: Duration::ZERO,
        execution: Duration::from_millis(1930),
        exit_code: 0,
        result,
    })
}

/// A run that began at that many milliseconds since 1970, and found `status`.
pub(crate) fn found_at(status: &str, began: i64) -> Finding {
    Finding {
        began: Timestamp::from_millisecond(began).unwrap(),
        ..found(json!({ "status": status }))
    }
}

fn finding(outcome: &Outcome) -> Finding {
    let secrets = ["hunter22"].map(SecretString::from);
    let circumstances = Circumstances {
        began: Timestamp::UNIX_EPOCH,
        version: Some("1.0".to_owned()),
        execution: Some(Duration::from_millis(1930)),
        elapsed: Duration::from_secs(2),
    };
    Finding::new(outcome, circumstances, &Redactor::new(&secrets))
}

fn found(result: Value) -> Finding {
    finding(&ran(Some(result)))
}

fn failed() -> Finding {
    let error = Error::message(ErrorKind::Timeout, "took too long with hunter22");
    let monitor = "slack".to_owned();
    finding(&Outcome::Failed(Failure { monitor, error }))
}

fn parsed(detail: &str) -> Value {
    serde_json::from_str(detail).unwrap()
}

/// What a metrics document would have of `finding`.
fn numbers(finding: &Finding) -> Vec<(String, f64)> {
    finding.metrics().numbers
}

#[test]
fn run_without_a_status_is_ok_and_a_failed_one_is_failed() {
    for (result, status) in [
        (json!({ "status": "active" }), "active"),
        (json!({ "status": " active\n" }), "active"),
        (json!({ "status": null }), "ok"),
        (json!({ "status": "" }), "ok"),
        (json!({}), "ok"),
        (json!({ "status": 3 }), "3"),
        (json!({ "status": false }), "false"),
    ] {
        assert_eq!(found(result.clone()).status, status, "{result}");
    }
    assert_eq!(finding(&ran(None)).status, "ok");
    assert_eq!(failed().status, "failed");
    let long = found(json!({ "status": "ä".repeat(1000) })).status;
    assert_eq!(long.chars().count(), MAX_STATUS_CHARS);
}

#[test]
fn log_fields_are_the_results_own_and_the_functions() {
    let fields =
        found(json!({ "status": "active", "services": { "Files": 3 }, "n": 1 })).log_fields();
    assert_eq!(
        Value::Object(fields),
        json!({
            "monitor": "slack", "version": "1.0", "status": "active", "duration_ms": 1930.0,
            "services": { "Files": 3 }, "n": 1,
        })
    );
    assert_eq!(
        Value::Object(failed().log_fields()),
        json!({
            "monitor": "slack", "version": "1.0", "status": "failed", "duration_ms": 1930.0,
            "error_type": "Timeout", "error": "took too long with [redacted]",
        })
    );
}

#[test]
fn result_cannot_replace_the_functions_own_fields() {
    let names = OWN_FIELDS.into_iter().chain(RESERVED_FIELDS);
    let hostile = names.map(|name| (name.to_owned(), json!("hostile")));
    let fields = found(Value::Object(hostile.collect())).log_fields();
    assert_eq!(
        (&fields["monitor"], &fields["version"]),
        (&json!("slack"), &json!("1.0"))
    );
    assert_eq!(fields["duration_ms"], 1930.0);
    assert_eq!(fields["result_message"], "hostile");
    for reserved in RESERVED_FIELDS {
        assert!(!fields.contains_key(reserved), "{reserved}");
    }
}

#[test]
fn log_fields_are_bounded_in_number_and_size() {
    let mut result: Map<String, Value> = (0..100).map(|n| (format!("f{n:03}"), json!(n))).collect();
    result.insert("a".repeat(MAX_NAME_BYTES + 1), json!(1));
    let fields = found(Value::Object(result)).log_fields();
    assert_eq!(fields.len(), 4 + MAX_FIELDS);
    let large = json!({
        "quotes": "\"".repeat(2000), "controls": "\u{1}".repeat(2000), "wide": "€".repeat(2000),
        "nested": vec![json!({ "a": "b" }); 500], "whole": "x".repeat(1022),
    });
    for (name, value) in found(large).log_fields() {
        let size = value.to_string().len();
        assert!(size <= MAX_FIELD_BYTES, "{name}: {size}");
        let cut = ["quotes", "controls", "wide", "nested"].contains(&name.as_str());
        assert_eq!(
            value.as_str().is_some_and(|text| text.ends_with('…')),
            cut,
            "{name}"
        );
        assert!(
            !cut || size > MAX_FIELD_BYTES - 8,
            "{name} is cut to {size}"
        );
    }
}

#[test]
fn secrets_reach_neither_log_nor_event() {
    let leaky = found(json!({ "status": "hunter22", "deep": [{ "token": "hunter22" }] }));
    let log = Value::Object(leaky.log_fields()).to_string();
    let all = [
        log,
        leaky.result_detail(),
        leaky.change_detail(Some("ok")),
        failed().result_detail(),
    ];
    for text in all {
        assert!(
            !text.contains("hunter22") && text.contains("[redacted]"),
            "{text}"
        );
    }
}

#[test]
fn metrics_are_the_numbers_with_proper_names() {
    let result = json!({ "metrics": {
        "OpenIncidents": 2, "Level_1": 1.5, "text": "7", "1st": 1, "with space": 1, "Success": 9, "Monitor": 9,
        "TooLarge": 1e200, "Negative": -1e100, "_aws": 1, "nested": { "n": 1 }, "yes": true,
    }});
    let finding = found(result);
    let kept = [
        ("Level_1", 1.5),
        ("Negative", -1e100),
        ("OpenIncidents", 2.0),
    ];
    assert_eq!(
        numbers(&finding),
        kept.map(|(name, n)| (name.to_owned(), n))
    );
    assert_eq!(finding.metrics().left_out, 6);
    assert!(numbers(&found(json!({ "metrics": 7 }))).is_empty());
    assert!(numbers(&failed()).is_empty());
    assert!(!is_metric_name(&"a".repeat(65)) && is_metric_name(&"a".repeat(64)));
}

#[test]
fn metrics_are_bounded_in_number() {
    let many: Map<String, Value> = (0..100).map(|n| (format!("n{n:03}"), json!(n))).collect();
    let finding = found(json!({ "metrics": many }));
    assert_eq!(numbers(&finding).len(), MAX_NUMBERS);
    assert_eq!(finding.metrics().left_out, 68);
}

#[test]
fn details_have_the_contracts_shape() {
    let result = json!({ "type": "result", "status": "active" });
    let finding = found(result.clone());
    assert_eq!(
        parsed(&finding.change_detail(Some("ok"))),
        json!({ "monitor": "slack", "version": "1.0", "status": "active", "previous_status": "ok", "result": result })
    );
    assert_eq!(
        parsed(&finding.change_detail(None))["previous_status"],
        Value::Null
    );
    assert_eq!(
        parsed(&finding.result_detail()),
        json!({ "monitor": "slack", "version": "1.0", "status": "active", "result": result })
    );
    let failed = parsed(&failed().change_detail(Some("ok")));
    assert_eq!(
        (&failed["status"], &failed["result"]),
        (&json!("failed"), &Value::Null)
    );
    assert_eq!(failed["error"]["type"], "Timeout");
}

#[test]
fn result_that_does_not_fit_in_an_event_is_cut_with_a_note() {
    let fits = found(json!({ "text": "x".repeat(MAX_DETAIL_BYTES - 200) }));
    assert!(
        parsed(&fits.result_detail())["result"]
            .get("truncated")
            .is_none()
    );
    let large =
        found(json!({ "status": "active", "text": "\u{1}".repeat(MAX_DETAIL_BYTES), "a": 1 }));
    let detail = large.change_detail(Some("ok"));
    assert!(detail.len() <= MAX_DETAIL_BYTES, "{}", detail.len());
    let detail = parsed(&detail);
    assert_eq!(
        (&detail["status"], &detail["result"]["a"]),
        (&json!("active"), &json!(1))
    );
    assert!(
        detail["result"]["truncated"]
            .as_str()
            .unwrap()
            .contains("bytes"),
        "{detail}"
    );
}
