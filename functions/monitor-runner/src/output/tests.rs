use proptest::prelude::*;
use serde_json::json;

use super::*;

fn result_of(stdout: &str) -> Option<Value> {
    find_result(stdout.as_bytes(), true)
}

#[test]
fn pretty_printed_and_last_line_json_results_are_both_read() {
    assert_eq!(
        result_of("starting\n{\"ok\":true}\n"),
        Some(json!({ "ok": true }))
    );
    assert_eq!(
        result_of("starting\n{\n  \"ok\": true,\n  \"in\": {\n    \"a\": 1\n  }\n}\n"),
        Some(json!({ "ok": true, "in": { "a": 1 } }))
    );
    assert_eq!(
        result_of("{\"n\":1}\n{\n \"n\": 2\n}\ndone, all well"),
        Some(json!({ "n": 2 }))
    );
    assert_eq!(
        result_of("  {\"n\":1}  "),
        Some(json!({ "n": 1 })),
        "without a last newline"
    );
    assert_eq!(result_of("{\"n\":1}\r\n"), Some(json!({ "n": 1 })));
}

#[test]
fn a_result_wins_over_log_lines_behind_it() {
    let stdout = "{\"level\":\"info\"}\n{\"type\":\"result\",\"n\":1}\n{\"level\":\"info\",\"message\":\"bye\"}\n";
    assert_eq!(result_of(stdout), Some(json!({ "type": "result", "n": 1 })));
    let pretty = "{\n \"type\": \"result\",\n \"n\": 2\n}\n{\"type\":\"log\"}\n";
    assert_eq!(result_of(pretty), Some(json!({ "type": "result", "n": 2 })));
    assert_eq!(
        result_of("{\"type\":\"result\",\"n\":1}\n{\"type\":\"result\",\"n\":2}\n").unwrap()["n"],
        2
    );
}

#[test]
fn what_is_not_a_whole_object_on_lines_of_its_own_does_not_count() {
    for stdout in [
        "",
        "no json",
        "[1, 2]",
        "\"{}\"",
        "{\"a\":1} and more",
        "{\"a\":",
        "{]",
        "7",
    ] {
        assert_eq!(result_of(stdout), None, "{stdout:?}");
    }
    assert_eq!(
        result_of("ut off\"}\n{\"n\":1}\n"),
        Some(json!({ "n": 1 })),
        "a beginning may be lost"
    );
    assert_eq!(
        result_of("{\"n\":1}\n{\"half\":"),
        Some(json!({ "n": 1 })),
        "an end as well"
    );
    assert_eq!(
        find_result(b"\xff\xfe\n{\"n\":1}\n\xc3", true),
        Some(json!({ "n": 1 }))
    );
}

#[test]
fn an_object_inside_another_is_not_the_last_one() {
    assert_eq!(
        result_of("{\n\"in\":\n{\"type\":\"result\"}\n}\n"),
        Some(json!({ "in": { "type": "result" } }))
    );
}

#[test]
fn what_is_inside_an_object_that_is_not_whole_does_not_count() {
    let not_json = "{\n  \"services\": [\n    {\n      \"a\": 1\n    },\n\n    {\n      \"b\": 2\n    }\n  ],\n  \"average\": NaN\n}\n";
    assert_eq!(result_of(not_json), None);
    assert_eq!(
        result_of(&format!("{not_json}{{\"n\":1}}\n")),
        Some(json!({ "n": 1 })),
        "what comes behind it does"
    );
    let without_its_beginning = b"a\": 1\n    },\n    {\n      \"b\": 2\n    }\n  ]\n}\n";
    assert_eq!(find_result(without_its_beginning, false), None);
    assert_eq!(
        find_result(b"{\"a\":1}\n{\"n\":1}\n", false),
        Some(json!({ "n": 1 })),
        "the first line may be a part of one"
    );
}

#[test]
fn a_megabyte_made_to_be_slow_is_read_in_bounded_time() {
    // Each line opens an object that reaches through all that follow.
    let nested = "{\"a\":\n".repeat(170_000);
    assert_eq!(result_of(&nested), None);
    let arrays = format!("{}{}", "{\"a\":[\n".repeat(100), "1,\n".repeat(300_000));
    assert_eq!(result_of(&arrays), None);
}

fn found(stdout: &str) -> (Value, String) {
    let Found { value, problem } = search(stdout.as_bytes(), true);
    (value.unwrap_or_default(), problem.unwrap_or_default())
}

/// What the first reading takes for an object, and a strict reader refuses.
fn refused() -> [(&'static str, String); 4] {
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    [
        ("out of range", r#"{"type":"result","n":1e999}"#.to_owned()),
        (
            "out of range",
            r#"{"type":"result","n":[1,-1e999]}"#.to_owned(),
        ),
        (
            "recursion limit",
            format!("{{\"type\":\"result\",\"n\":{nested}}}"),
        ),
        (
            "recursion limit",
            format!("{{\n \"type\": \"result\",\n \"n\": {nested}\n}}"),
        ),
    ]
}

#[test]
fn half_of_a_surrogate_pair_is_read_as_the_replacement_character() {
    let cut = json!({ "type": "result", "title": "cut \u{fffd}" });
    for stdout in [
        r#"{"type":"result","title":"cut \ud83d"}"#,
        "{\"type\":\"result\",\"ok\":true}\n{\"type\":\"result\",\"title\":\"cut \\uDE00\"}\n",
        "{\n  \"type\": \"result\",\n  \"title\": \"cut \\ud83d\"\n}\n",
    ] {
        let (value, problem) = found(stdout);
        assert_eq!(value, cut, "{stdout}");
        assert!(problem.contains("U+FFFD"), "{problem}");
    }
    let (value, _) = found(r#"{"\ud83d":1,"type":"result"}"#);
    assert_eq!(value, json!({ "\u{fffd}": 1, "type": "result" }));
    let whole = r#"{"type":"result","title":"\ud83d\ude00 \\ud83d"}"#;
    assert_eq!(found(&format!("{{\"a\":\"\\ud83d\"}}\n{whole}\n")).1, "");
    assert_eq!(found(whole).0["title"], "\u{1f600} \\ud83d");
}

#[test]
fn an_earlier_result_counts_where_the_last_cannot_be_read() {
    for (why, last) in refused() {
        let good = "{\"type\":\"result\",\"n\":1}";
        let (value, problem) = found(&format!("{good}\n{{\"level\":\"info\"}}\n{last}\n"));
        assert_eq!(value, json!({ "type": "result", "n": 1 }), "{last}");
        assert!(
            problem.contains("earlier") && problem.contains(why),
            "{problem}"
        );
    }
}

#[test]
fn a_result_that_stands_alone_is_never_lost() {
    for (why, last) in refused() {
        let (value, problem) = found(&format!("{{\"level\":\"info\"}}\n{last}\n"));
        assert_eq!(value["type"], "result", "{last}");
        assert!(value["n"].is_string() || value["n"].is_array(), "{value}");
        assert!(problem.contains(why), "{problem}");
    }
    // A name by which the reader passes raw values to itself.
    let (value, _) = found(r#"{"$serde_json::private::RawValue":1}"#);
    assert_eq!(value["$serde_json::private::RawValue"], 1);
    let (value, _) = found(r#"{"a":{"b":[1,{"c":1e999}],"d":"e"},"f":-2e999}"#);
    let kept = json!({ "a": { "b": [1, { "c": "1e999" }], "d": "e" }, "f": "-2e999" });
    assert_eq!(value, kept, "the rest is as it was");
}

#[test]
fn a_byte_order_mark_before_a_line_is_passed_over() {
    for stdout in [
        "\u{feff}{\"n\":1}\n",
        "starting\n\u{feff}{\"n\":1}\n\u{feff}\n",
        "\u{feff}{\n  \"n\": 1\n}\n",
    ] {
        assert_eq!(result_of(stdout), Some(json!({ "n": 1 })), "{stdout:?}");
    }
    let broken = "\u{feff}{\n  \"in\": [\n  {\"a\":1}\n  ], NaN\n}\n";
    assert_eq!(result_of(broken), None, "what is inside is inside");
}

#[test]
fn what_is_no_json_is_told_where_nothing_else_is_found() {
    let Found { value, problem } = search(b"{\"average\":NaN}\n", true);
    assert_eq!(value, None);
    assert!(
        problem
            .unwrap()
            .contains("no JSON: expected value at line 1")
    );
    assert_eq!(search(b"no json", true).problem, None);
    assert_eq!(
        search(b"{\"average\":NaN}\n{\"n\":1}\n", true).problem,
        None
    );
}

proptest! {
    #[test]
    fn what_is_an_object_to_the_first_reading_is_never_nothing(
        pieces in prop::collection::vec(
            prop::sample::select(vec!["1e999", "-0", "\"\\ud83d\"", "\"\\\\ud83d\"", "null", "[1e999]",
                "{\"\\ude00\":1e999}", "{\"a\":1,\"a\":2}"]),
            1..6,
        ),
        depth in prop_oneof![0_usize..20, 100_usize..200],
    ) {
        let inside = format!("{}{}{}", "[".repeat(depth), pieces.join(","), "]".repeat(depth));
        let object = format!("{{\"in\":[{inside}]}}");
        let first: Result<IgnoredAny, _> = serde_json::from_str(&object);
        prop_assert!(first.is_ok());
        let answer = json!({ "results": [{ "result": result_of(&object).unwrap() }] });
        prop_assert!(serde_json::from_str::<Value>(&answer.to_string()).is_ok());
    }

    #[test]
    fn the_last_of_any_objects_is_found(
        numbers in prop::collection::vec(any::<i32>(), 1..6),
        pretty in any::<bool>(),
        noise in "[^{}\n]{0,20}",
    ) {
        let print = |n: &i32| {
            let object = json!({ "n": n, "text": "} {\n" });
            if pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() }
        };
        let stdout = numbers.iter().map(|n| print(n) + "\n" + &noise + "\n").collect::<String>();
        prop_assert_eq!(result_of(&stdout).unwrap()["n"].as_i64(), numbers.last().map(|n| i64::from(*n)));
    }

    #[test]
    fn any_bytes_will_do(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = find_result(&bytes, true);
        let _ = find_result(&bytes, false);
    }
}
