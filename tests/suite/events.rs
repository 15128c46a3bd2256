//! Bytes that are not a function's event: refused by every function, in one way.

use local_aws::lambda::{Config, TMP};
use local_servers::helper::workspace_root;

use crate::world::{create, program};

/// Names of all functions: their folders'.
fn functions() -> Vec<String> {
    let folders = std::fs::read_dir(workspace_root().join("functions")).unwrap();
    folders
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A function that can start and reach nothing: events are checked before anything is touched.
fn config(function: &str) -> Config {
    let tables = ["SERVERS_TABLE", "LEDGER_TABLE", "INVALIDATIONS_TABLE"];
    let config = Config::new(function, program(function))
        .env("CACHE_DIR", TMP)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    tables
        .into_iter()
        .fold(config, |config, table| config.env(table, "none"))
}

/// A sample event of `function` that has fields, as text.
fn sample(function: &str) -> String {
    let folder = workspace_root().join("events").join(function);
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .find(|event| event.contains(':'))
        .unwrap()
}

/// The sample with its first field twice.
fn with_a_field_twice(sample: &str) -> String {
    let event: serde_json::Map<_, _> = serde_json::from_str(sample).unwrap();
    let (name, value) = event.iter().next().unwrap();
    let rest = sample.trim_start().strip_prefix('{').unwrap();
    format!("{{\"{name}\":{value},{rest}")
}

#[tokio::test]
async fn every_function_refuses_bytes_that_are_not_its_event() {
    let functions = functions();
    assert!(functions.len() >= 5, "{functions:?}");
    for name in functions {
        let sample = sample(&name);
        let cases: [(&str, Vec<u8>); 14] = [
            ("nothing", Vec::new()),
            ("blanks", b" \r\n".to_vec()),
            ("no JSON", b"monitor=slack".to_vec()),
            ("a cut object", b"{\"ticker\":\"DBS".to_vec()),
            ("more than one value", format!("{sample}{{}}").into_bytes()),
            ("a text", b"\"slack\"".to_vec()),
            ("a list", b"[{\"monitor\":\"slack\"}]".to_vec()),
            ("a number", b"17".to_vec()),
            ("null", b"null".to_vec()),
            ("not UTF-8", b"{\"monitor\":\"\xff\xfe\"}".to_vec()),
            (
                "a lone surrogate",
                br#"{"monitor":"cut \ud83d","ticker":"cut \ud83d"}"#.to_vec(),
            ),
            ("deep lists", "[".repeat(200_000).into_bytes()),
            ("deep objects", "{\"a\":".repeat(200_000).into_bytes()),
            ("a field twice", with_a_field_twice(&sample).into_bytes()),
        ];
        let function = create(config(&name)).await;
        for (nth, (what, event)) in cases.into_iter().enumerate() {
            let outcome = function.invoke(event).await.unwrap();
            let error = outcome.error();
            let error = error.unwrap_or_else(|| panic!("{name} takes {what}"));
            assert_eq!(error.error_type, "BadRequest", "{name}, {what}: {error:?}");
            assert!(error.message.len() < 1_000, "{name}, {what}: {error:?}");
            let restarted = outcome.init.is_some() && nth > 0;
            assert!(!restarted, "{name} has ended before {what}");
            assert_eq!(outcome.metrics()[0]["Error"], 1, "{name}, {what}");
        }
    }
}
