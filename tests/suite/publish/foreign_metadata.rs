//! Metadata in the bucket that another program wrote: followed by the next release, or refused by the field's name.

use serde_json::{Value, json};

use super::{
    Desk,
    monitor::{METADATA, binary},
};

impl Desk {
    /// Publishes 1.0, and has another program change its metadata.
    async fn with_metadata(change: impl FnOnce(String) -> Vec<u8>) -> Self {
        let desk = Self::with_monitor().await;
        desk.monitor("1.0", &["--no-invalidate"]).await.json();
        let text = String::from_utf8(desk.get(METADATA).await).unwrap();
        desk.put(METADATA, &change(text)).await;
        desk.write("slack", binary("newer---"));
        desk
    }
}

fn with(text: &str, field: &str) -> Vec<u8> {
    text.replacen('{', &format!("{{{field},"), 1).into_bytes()
}

#[tokio::test]
async fn a_release_follows_metadata_with_fields_and_builds_of_others() {
    let nested = format!("\"notes\":{}{}", "[".repeat(130), "]".repeat(130));
    let windows = r#""platforms":{"windows-x86_64":{"compression":"zip"}}"#;
    for field in [
        r#""buildNumber":17"#,
        r#""notes":"fix \ud83d""#,
        r#""notes":1e999"#,
        &nested,
        windows,
    ] {
        let desk = Desk::with_metadata(|text| with(&text, field)).await;
        let report = desk.monitor("1.1", &["--no-invalidate"]).await.json();
        assert_eq!(report["published"]["version"], "1.1", "{field}");
        let metadata: Value = serde_json::from_slice(&desk.get(METADATA).await).unwrap();
        assert_eq!(metadata["version"], "1.1", "{field}");
    }
    let marked = Desk::with_metadata(|text| format!("\u{feff}{text}").into_bytes()).await;
    marked.monitor("1.1", &["--no-invalidate"]).await.json();
}

#[tokio::test]
async fn a_refusal_names_the_field_that_cannot_be_read() {
    for (field, value, said) in [
        ("binarySize", json!("thirty"), "`binarySize` is \"thirty\""),
        ("version", json!(1), "`version` is 1, not a text"),
        ("signed", json!(5), "`signed` is 5, not a text"),
    ] {
        let desk = Desk::with_metadata(|text| {
            let mut metadata: Value = serde_json::from_str(&text).unwrap();
            metadata[field] = value.clone();
            metadata.to_string().into_bytes()
        });
        let desk = desk.await;
        let refused = desk.monitor("1.1", &["--no-invalidate"]).await;
        refused.is_refused(said);
        refused.is_refused("give --epoch");
        desk.monitor("1.1", &["--no-invalidate", "--epoch", "9"])
            .await
            .json();
    }
}
