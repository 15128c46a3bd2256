use super::*;

const PLACEHOLDERS: &str = "NAME TICKER DATE CURRENCY CLOSE CHANGE_PCT RSI RSI_PERCENTILE MACD MACD_PERCENTILE ATR_PCT \
    ATR_PCT_PERCENTILE VWAP_PCT VWAP_PCT_PERCENTILE VOLUME_RATIO VOLUME_RATIO_PERCENTILE SMA_20 SMA_50 SMA_200 HIGH LOW";

async fn ask(chat: &Chat, key: Option<&str>, body: &Value) -> (u16, Value) {
    let client = crate::http_client().unwrap();
    let mut request = client.post(chat.url() + COMPLETIONS).body(body.to_string());
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

fn prompt(text: &str) -> Value {
    json!({ "model": "gpt-4o", "messages": [{ "role": "system", "content": "Answer in JSON." }, { "role": "user", "content": text }] })
}

async fn said(chat: &Chat, text: &str) -> String {
    let (status, answer) = ask(chat, Some("key"), &prompt(text)).await;
    assert_eq!(status, 200, "{answer}");
    let content = &answer["choices"][0]["message"]["content"];
    content.as_str().unwrap().to_owned()
}

/// The text without placeholders, all of which are known.
fn plain(text: &str) -> String {
    let mut pieces = text.split("{{");
    let mut plain = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap();
        assert!(
            PLACEHOLDERS.split_whitespace().any(|it| it == name),
            "{name}"
        );
        plain += rest;
    }
    plain
}

#[tokio::test]
async fn a_report_holds_five_texts_without_a_number_in_the_language_that_is_asked_for() {
    let chat = Chat::start("key").await.unwrap();
    for (prompt, is_thai) in [
        ("Ticker: DBS19\nLanguage: English\n", false),
        ("Ticker: DBS19\nLanguage: Thai", true),
        ("Ticker: DBS19, Language: English", true),
    ] {
        let sections: Map<String, Value> =
            serde_json::from_str(&said(&chat, prompt).await).unwrap();
        assert_eq!(sections.len(), 5);
        for name in texts::SECTIONS {
            let text = plain(sections[name].as_str().unwrap());
            assert!(!text.chars().any(char::is_numeric), "{text}");
            let thai = text.chars().any(|it| ('ก'..='๛').contains(&it));
            assert_eq!(thai, is_thai, "{text}");
        }
        let advice = sections["what_to_do"].as_str().unwrap();
        assert!(
            ["BUY: ", "HOLD: ", "SELL: "]
                .iter()
                .any(|it| advice.starts_with(it))
        );
    }
    assert_eq!(chat.requests().len(), 3);
}

#[tokio::test]
async fn queued_behaviours_come_first_and_once() {
    let chat = Chat::start("key").await.unwrap();
    chat.set(Behaviour::Content("hello".to_owned()));
    for behaviour in [
        Behaviour::Number,
        Behaviour::Fenced,
        Behaviour::Prose,
        Behaviour::UnknownPlaceholder,
        Behaviour::MissingSection,
    ] {
        chat.queue(behaviour);
    }
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    let numbered = said(&chat, "").await;
    assert!(is_json(&numbered) && numbered.contains("71.25"));
    let fenced = said(&chat, "").await;
    assert!(is_json(
        fenced
            .strip_prefix("```json\n")
            .unwrap()
            .strip_suffix("\n```")
            .unwrap()
    ));
    assert!(!is_json(&said(&chat, "").await));
    assert!(said(&chat, "").await.contains("{{TARGET_PRICE}}"));
    assert!(!said(&chat, "").await.contains("\"risks\""));
    assert_eq!(said(&chat, "").await, "hello");
}

#[tokio::test]
async fn answers_differ_in_form_as_those_of_other_servers_do() {
    let chat = Chat::start("key").await.unwrap();
    for behaviour in [
        Behaviour::Length,
        Behaviour::Bare,
        Behaviour::Parts,
        Behaviour::Refusal,
    ] {
        chat.queue(behaviour.clone());
        let (_, answer) = ask(&chat, Some("key"), &prompt("")).await;
        let choice = &answer["choices"][0];
        let content = &choice["message"]["content"];
        match behaviour {
            Behaviour::Length => {
                assert_eq!(choice["finish_reason"], "length");
                assert!(serde_json::from_str::<Value>(content.as_str().unwrap()).is_err());
            }
            Behaviour::Bare => {
                assert_eq!(choice["finish_reason"], "");
                assert!(answer.get("usage").or(answer.get("object")).is_none());
            }
            Behaviour::Parts => assert!(content[0]["text"].is_string()),
            _ => assert!(content.is_null() && choice["message"]["refusal"].is_string()),
        }
    }
}

#[tokio::test]
async fn a_request_that_openai_would_refuse_is_refused() {
    let chat = Chat::start("key").await.unwrap();
    let good = prompt("hello");
    assert_eq!(ask(&chat, None, &good).await.0, 401);
    assert_eq!(
        ask(&chat, Some("other"), &good).await.1["error"]["code"],
        "invalid_api_key"
    );
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for body in [
        without("model"),
        without("messages"),
        with("messages", json!([])),
        with("temperature", json!(3)),
        json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "response_format": { "type": "json_object" } }),
    ] {
        let (status, answer) = ask(&chat, Some("key"), &body).await;
        assert_eq!(
            (status, answer["error"]["message"].is_string()),
            (400, true),
            "{body}"
        );
    }
    let asked = with("response_format", json!({ "type": "json_object" }));
    assert_eq!(ask(&chat, Some("key"), &asked).await.0, 200);
}
