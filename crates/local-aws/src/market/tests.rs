use std::time::Instant;

use super::*;

async fn market(now: &str) -> Market {
    let market = Market::start().await.unwrap();
    market.set_now(now.parse().unwrap());
    market
}

async fn ask(market: &Market, path: &str) -> (u16, String) {
    let client = larder_lambda::http_client()
        .unwrap()
        .no_proxy()
        .user_agent("test");
    let url = format!("{}{CHART}{path}", market.url());
    let answer = client.build().unwrap().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The result for a year of daily prices, events and all.
async fn year(market: &Market, symbol: &str) -> Value {
    let path = format!("{symbol}?range=1y&interval=1d&events=div,splits");
    let (status, body) = ask(market, &path).await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["chart"]["error"], Value::Null);
    answer["chart"]["result"][0].clone()
}

fn column<'a>(result: &'a Value, name: &str) -> &'a Vec<Value> {
    result["indicators"]["quote"][0][name].as_array().unwrap()
}

fn stamps(result: &Value) -> Vec<Timestamp> {
    let stamps = result["timestamp"].as_array().unwrap().iter();
    stamps
        .map(|at| Timestamp::from_second(at.as_i64().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn every_listing_has_a_year_of_sane_prices() {
    let market = market("2026-11-21T12:00:00Z").await;
    for symbol in [
        "D05.SI", "PTT.BK", "0700.HK", "7203.T", "AAPL", "VOD.L", "Y92.SI", "^GSPC", "THB=X",
    ] {
        let result = year(&market, symbol).await;
        let stamps = stamps(&result);
        assert_eq!(stamps.len(), 261, "{symbol}");
        assert!(stamps.is_sorted_by(|a, b| a < b), "{symbol}");
        let of = |name| column(&result, name).iter().map(|it| it.as_f64().unwrap());
        for (((open, high), low), close) in
            of("open").zip(of("high")).zip(of("low")).zip(of("close"))
        {
            assert!(0.0 < low && low <= open.min(close), "{symbol}");
            assert!(open.max(close) <= high, "{symbol}");
        }
        let usual = listing::find(symbol).unwrap().price;
        let last = result["meta"]["regularMarketPrice"].as_f64().unwrap();
        assert!((0.6..1.5).contains(&(last / usual)), "{symbol}: {last}");
        let traded = column(&result, "volume")
            .iter()
            .all(|it| it.as_u64() > Some(0));
        assert_eq!(traded, symbol != "THB=X", "{symbol}");
    }
}

#[tokio::test]
async fn what_was_does_not_change_with_what_is() {
    let market = market("2026-11-21T12:00:00Z").await;
    let later = year(&market, "0700.HK").await;
    market.set_now("2026-11-14T12:00:00Z".parse().unwrap());
    let earlier = year(&market, "0700.HK").await;
    let (earlier, later) = (column(&earlier, "close"), column(&later, "close"));
    assert_eq!(earlier[10..], later[5..later.len() - 5]);
}

#[tokio::test]
async fn sessions_open_by_the_clock_of_the_exchange_in_summer_and_winter() {
    let market = market("2026-11-21T12:00:00Z").await;
    let result = year(&market, "AAPL").await;
    let hours: std::collections::BTreeSet<_> = stamps(&result)
        .iter()
        .map(|at| at.strftime("%H:%M").to_string())
        .collect();
    assert_eq!(hours.into_iter().collect::<Vec<_>>(), ["13:30", "14:30"]);
    assert_eq!(result["meta"]["gmtoffset"], -18_000);
    assert_eq!(result["meta"]["timezone"], "EST");
}

#[tokio::test]
async fn the_session_of_today_is_there_once_it_has_opened_and_grows_until_it_closes() {
    // A Friday; Singapore trades from 01:00 to 09:00 UTC.
    let market = market("2026-11-20T00:59:59Z").await;
    let yesterday = *stamps(&year(&market, "D05.SI").await).last().unwrap();
    assert_eq!(yesterday.to_string(), "2026-11-19T01:00:00Z");
    let mut volumes = Vec::new();
    for (now, stamp) in [
        ("2026-11-20T03:00:00Z", "2026-11-20T03:00:00Z"),
        ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00Z"),
        ("2026-11-20T15:59:59Z", "2026-11-20T09:00:00Z"),
        // It is Saturday there.
        ("2026-11-20T16:00:00Z", "2026-11-20T01:00:00Z"),
    ] {
        market.set_now(now.parse().unwrap());
        let result = year(&market, "D05.SI").await;
        assert_eq!(stamps(&result).last().unwrap().to_string(), stamp, "{now}");
        let last = column(&result, "volume").last().unwrap();
        assert_eq!(result["meta"]["regularMarketVolume"], *last);
        volumes.push(last.as_u64().unwrap());
    }
    assert!(volumes[0] < volumes[1] / 2, "{volumes:?}");
    assert_eq!(volumes[1], volumes[3]);
}

#[tokio::test]
async fn events_come_only_if_they_are_asked_for() {
    let market = market("2026-11-21T12:00:00Z").await;
    let result = year(&market, "AAPL").await;
    assert_eq!(result["events"]["dividends"].as_object().unwrap().len(), 4);
    let splits = result["events"]["splits"].as_object().unwrap();
    assert_eq!(splits["1780925400"]["splitRatio"], "4:1");
    let (_, body) = ask(&market, "AAPL?range=1y&interval=1d").await;
    assert!(!body.contains("\"events\""));
}

#[tokio::test]
async fn ranges_and_periods_end_with_the_last_session() {
    let market = market("2026-11-21T12:00:00Z").await;
    for (query, rows) in [
        ("range=1d&interval=1d", 1),
        ("range=5d&interval=1d", 5),
        ("range=1mo", 23),
        ("range=ytd", 232),
        ("period1=1795050000&period2=1795136400&interval=1d", 1),
    ] {
        let (status, body) = ask(&market, &format!("D05.SI?{query}")).await;
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200, "{body}");
        let result = &answer["chart"]["result"][0];
        assert_eq!(stamps(result).len(), rows, "{query}");
    }
    for query in ["range=7w", "interval=1m"] {
        assert_eq!(ask(&market, &format!("D05.SI?{query}")).await.0, 422);
    }
    // Nothing was traded then.
    let (_, body) = ask(&market, "D05.SI?period1=0&period2=1").await;
    assert!(body.contains(r#""quote":[{}]"#) && !body.contains("\"timestamp\""));
}

#[tokio::test]
async fn odd_listings_are_odd() {
    let market = market("2026-11-20T03:00:00Z").await;
    let new = year(&market, "NEW.SI").await;
    assert_eq!(stamps(&new).len(), 12);
    assert_eq!(new["meta"]["validRanges"], json!(["1d", "5d"]));

    let nulls = year(&market, "NULL.SI").await;
    let null_at = |name: &str| {
        let column = column(&nulls, name).iter().enumerate();
        let nulls = column.filter(|(_, value)| value.is_null());
        nulls.map(|(nth, _)| nth).collect::<Vec<_>>()
    };
    let counts = ["open", "close", "volume"].map(|name| null_at(name).len());
    assert_eq!(counts, [4, 8, 1]);
    assert!(!column(&nulls, "close").last().unwrap().is_null());

    let twice = stamps(&year(&market, "TWICE.SI").await);
    let last: Vec<_> = twice
        .iter()
        .rev()
        .take(2)
        .map(Timestamp::to_string)
        .collect();
    assert_eq!(last, ["2026-11-20T03:00:00Z", "2026-11-20T01:00:00Z"]);
}

#[tokio::test]
async fn what_goes_wrong_goes_wrong_as_often_as_was_wished() {
    let market = market("2026-11-21T12:00:00Z").await;
    market.prices.set_fault_for_all(Some(Fault::Refused(401)));
    market
        .prices
        .fail_times("D05.SI", Fault::EdgeRateLimited, 1);
    market.prices.fail_times("AAPL", Fault::EmptyQuote, 1);
    let (status, body) = ask(&market, "D05.SI").await;
    assert_eq!((status, body.as_str()), (429, "Edge: Too Many Requests"));
    let (status, body) = ask(&market, "D05.SI").await;
    assert_eq!((status, body.contains("Invalid Crumb")), (401, true));
    assert!(ask(&market, "AAPL").await.1.contains(r#""quote":[{}]"#));
    market.prices.heal();
    market.prices.set_fault("D05.SI", Some(Fault::Truncated));
    let (status, body) = ask(&market, "D05.SI").await;
    assert_eq!(status, 200);
    assert!(body.starts_with("{\"chart\"") && serde_json::from_str::<Value>(&body).is_err());
    assert_eq!(ask(&market, "AAPL").await.0, 200);
    market.prices.set_fault("D05.SI", None);
    market.delay(Duration::from_millis(30));
    let start = Instant::now();
    assert_eq!(ask(&market, "D05.SI").await.0, 200);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(market.prices.count("D05.SI"), 4);
    assert_eq!(
        market.prices.requests()[0].user_agent.as_deref(),
        Some("test")
    );
}

#[tokio::test]
async fn an_endless_answer_and_a_silent_one_have_no_end() {
    let market = market("2026-11-21T12:00:00Z").await;
    market.prices.fail_times("D05.SI", Fault::Huge, 1);
    market.prices.fail_times("D05.SI", Fault::Silent, 1);
    let client = larder_lambda::http_client()
        .unwrap()
        .no_proxy()
        .user_agent("test");
    let client = client.build().unwrap();
    let url = format!("{}{CHART}D05.SI", market.url());
    let mut answer = client.get(&url).send().await.unwrap();
    let mut read = 0;
    while read < 10_000_000 {
        read += answer.chunk().await.unwrap().unwrap().len();
    }
    drop(answer);
    let request = client.get(&url).timeout(Duration::from_millis(50));
    assert!(request.send().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn yahoo_takes_the_nameless_for_robots_and_knows_the_unlisted_not() {
    let market = market("2026-11-21T12:00:00Z").await;
    let client = larder_lambda::http_client()
        .unwrap()
        .no_proxy()
        .user_agent("");
    let client = client.build().unwrap();
    let url = format!("{}{CHART}D05.SI", market.url());
    assert_eq!(client.get(url).send().await.unwrap().status().as_u16(), 429);
    let (status, body) = ask(&market, "GONE.SI?range=1y&interval=1d").await;
    assert_eq!(status, 404);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({ "chart": { "result": null, "error": {
            "code": "Not Found", "description": "No data found, symbol may be delisted" } } })
    );
}

#[test]
fn news_are_the_same_within_an_hour_and_one_of_few_needs_care() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let ptt = listing::find("PTT.BK").unwrap();
    let first = news::answer(ptt, 5, at("2026-11-21T12:01:00Z"));
    assert_eq!(first, news::answer(ptt, 5, at("2026-11-21T12:59:00Z")));
    let stream = first["data"]["tickerStream"]["stream"].as_array().unwrap();
    assert_eq!(stream.len(), 5);
    let text = first.to_string();
    for part in ["นักลงทุน", "<script>", "Ignore all previous", "javascript:"] {
        assert!(text.contains(part), "{part}");
    }
    let dates: Vec<_> = stream
        .iter()
        .map(|it| it["content"]["pubDate"].as_str())
        .collect();
    assert!(dates.is_sorted_by(|a, b| a > b), "{dates:?}");
}
