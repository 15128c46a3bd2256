use super::*;

const USER: &str = "U4af4980629abcdef0123456789abcdef";

/// Sends a body and perhaps a retry key; what comes back is a status, the first request's id, and a body.
async fn send(line: &Line, path: &str, body: &Value, key: Option<&str>) -> (u16, String, Value) {
    let client = crate::http_client().unwrap();
    let url = format!("{}/v2/bot/message/{path}", line.url());
    let mut request = client.post(url).header("authorization", "Bearer token");
    if let Some(key) = key {
        request = request.header("X-Line-Retry-Key", key);
    }
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    let first = answer.headers().get("x-line-accepted-request-id");
    let first = first.map_or("", |id| id.to_str().unwrap()).to_owned();
    (
        status,
        first,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

fn texts(count: usize, text: &str) -> Value {
    vec![json!({ "type": "text", "text": text }); count].into()
}

#[tokio::test]
async fn a_reply_token_is_good_for_one_reply() {
    let line = Line::start("token").await.unwrap();
    let token = line.issue_reply_token();
    let body = json!({ "replyToken": token, "messages": texts(5, "hello") });
    let (status, _, answer) = send(&line, "reply", &body, None).await;
    assert_eq!(status, 200);
    assert_eq!(answer["sentMessages"].as_array().unwrap().len(), 5);
    let (status, _, answer) = send(&line, "reply", &body, None).await;
    assert_eq!(
        (status, &answer["message"]),
        (400, &json!("Invalid reply token"))
    );
    let old = json!({ "replyToken": line.issue_reply_token(), "messages": texts(1, "late") });
    line.expire_reply_tokens();
    assert_eq!(send(&line, "reply", &old, None).await.0, 400);
    let sent = line.sent();
    assert_eq!((sent.len(), &sent[0].to), (1, &Recipient::Reply(token)));
    assert_eq!(line.asked(), 3);
}

#[tokio::test]
async fn a_request_that_is_not_as_it_should_be_costs_no_reply_token() {
    let line = Line::start("token").await.unwrap();
    let token = line.issue_reply_token();
    let surrogates = "😀".repeat(2_501);
    for (messages, message, property) in [
        (
            texts(6, "hello"),
            "Size must be between 1 and 5",
            "messages",
        ),
        (
            texts(0, "hello"),
            "Size must be between 1 and 5",
            "messages",
        ),
        (Value::Null, "May not be empty", "messages"),
        (texts(1, ""), "May not be empty", "messages[0].text"),
        (
            texts(1, &surrogates),
            "Length must be between 0 and 5000",
            "messages[0].text",
        ),
        (
            json!([{ "type": "image" }]),
            "May not be empty",
            "messages[0].originalContentUrl",
        ),
    ] {
        let body = json!({ "replyToken": token, "messages": messages });
        let (status, _, answer) = send(&line, "reply", &body, None).await;
        let detail = json!([{ "message": message, "property": property }]);
        assert_eq!((status, &answer["details"]), (400, &detail));
        assert_eq!(answer["message"], "The request body has 1 error(s)");
    }
    let body = json!({ "replyToken": token, "messages": texts(1, &"😀".repeat(2_500)) });
    assert_eq!(send(&line, "reply", &body, None).await.0, 200);
}

#[tokio::test]
async fn a_push_with_a_retry_key_is_taken_once_even_if_the_answer_was_lost() {
    let line = Line::start("token").await.unwrap();
    let body = json!({ "to": USER, "messages": texts(1, "hello") });
    let key = Uuid::new_v4().to_string();
    line.fail_times(Fault::ServerError, 1);
    line.fail_times(Fault::LostAnswer, 1);
    for (status, delivered) in [(500, 0), (500, 1), (409, 1)] {
        let (answered, first, answer) = send(&line, "push", &body, Some(&key)).await;
        assert_eq!((answered, line.sent().len()), (status, delivered));
        assert_eq!(
            status == 409,
            !first.is_empty() && answer["sentMessages"].is_array()
        );
    }
    for (path, key) in [("push", "not-a-uuid"), ("reply", key.as_str())] {
        let body = json!({ "to": USER, "replyToken": line.issue_reply_token(), "messages": texts(1, "hello") });
        assert_eq!(send(&line, path, &body, Some(key)).await.0, 400, "{path}");
    }
    let nobody = json!({ "to": "everybody", "messages": texts(1, "hello") });
    assert_eq!(send(&line, "push", &nobody, None).await.0, 400);
    line.fail_times(Fault::MonthlyLimit, 1);
    assert_eq!(send(&line, "push", &body, None).await.0, 429);
    assert_eq!(line.sent()[0].retry_key, Some(key));
}

#[test]
fn a_webhook_says_what_was_written_as_line_says_it() {
    let body = webhook(
        USER,
        "DBS19 \"quoted\"",
        "reply",
        "01FZ74A0TDDPYRVKNK77XKC3ZR",
        true,
    );
    let body: Value = serde_json::from_str(&body).unwrap();
    let event = &body["events"][0];
    assert_eq!(event["message"]["text"], "DBS19 \"quoted\"");
    assert_eq!(event["deliveryContext"]["isRedelivery"], true);
    assert_eq!(
        (&event["source"]["userId"], &event["replyToken"]),
        (&json!(USER), &json!("reply"))
    );
}
