//! A monitor's result: the last JSON object that it printed. Pure.

use serde::de::IgnoredAny;
use serde_json::Value;

/// How often, in all, the output may be read over in vain: by objects that begin and never end.
/// Once that is used up objects count on one line only. Without it, a megabyte of opening braces
/// would be read a hundred thousand times.
const VAIN_READS: usize = 8;

/// Finds the result in what a monitor printed. Each JSON object that begins a line and ends one
/// counts, on one line or pretty-printed over several. An object with `"type": "result"` wins over
/// those without, which may be log records; among equals the last one wins.
///
/// Takes any bytes. What is indented below an object that is not whole is inside of it, and does not
/// count; neither does what may be inside of one whose beginning was lost, where `stdout` is not
/// `whole`.
#[must_use]
pub fn find_result(stdout: &[u8], whole: bool) -> Option<Value> {
    let text = String::from_utf8_lossy(stdout);
    let mut budget = text.len().saturating_mul(VAIN_READS);
    let (mut last, mut last_result) = (None, None);
    let mut rest: &str = &text;
    // The indentation of the object that is not whole.
    let mut broken = None;
    if !whole {
        rest = rest.split_once('\n').map_or("", |(_, after)| after);
        broken = Some(0);
    }
    while !rest.is_empty() {
        let (line, after_line) = rest.split_once('\n').unwrap_or((rest, ""));
        let (indent, blank) = (indentation(line), line.trim().is_empty());
        if !blank && broken.is_some_and(|outer| indent <= outer) {
            broken = None;
        }
        if broken.is_some() || !line.trim_start().starts_with('{') {
            rest = after_line;
            continue;
        }
        let within = if budget > 0 { rest } else { line };
        match object_at(within.trim_start()) {
            Ok(object) => {
                if is_result(object) {
                    last_result = Some(object);
                }
                last = Some(object);
                let behind = within.trim_start().get(object.len()..).unwrap_or_default();
                rest = behind
                    .split_once('\n')
                    .map_or(after_line, |(_, after)| after);
            }
            Err(Vain { read, ended }) => {
                budget = budget.saturating_sub(read);
                rest = after_line;
                broken = (!ended).then_some(indent);
            }
        }
    }
    // Parsed for good only now: a log of thousands of lines has one result.
    serde_json::from_str(last_result.or(last)?).ok()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What was read and is no object that counts.
struct Vain {
    /// So many bytes.
    read: usize,
    /// Whether it is whole, with more behind it on its line.
    ended: bool,
}

/// The object that `text` begins with, if a line ends behind it.
fn object_at(text: &str) -> Result<&str, Vain> {
    let broken = |read| Vain { read, ended: false };
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let (object, behind) = text
                .split_at_checked(values.byte_offset())
                .ok_or(broken(text.len()))?;
            let line_end = behind.lines().next().unwrap_or_default();
            if line_end.trim().is_empty() {
                Ok(object)
            } else {
                let read = object.len();
                Err(Vain { read, ended: true })
            }
        }
        Some(Err(error)) => Err(broken(
            text.split_inclusive('\n')
                .take(error.line())
                .map(str::len)
                .sum(),
        )),
        None => Err(broken(text.len())),
    }
}

fn is_result(object: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: std::borrow::Cow<'a, str>,
    }
    serde_json::from_str::<Typed<'_>>(object).is_ok_and(|object| object.r#type == "result")
}

#[cfg(test)]
mod tests {
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

    proptest! {
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
}
