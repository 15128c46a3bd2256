//! What a report is made of and where it goes, checked by clients that we did not write.

use local_aws::{
    chat::{Behaviour, Chat},
    line::{self, Line, Recipient},
    market::{Fault, Market},
};

use crate::clients::said;

#[tokio::test]
async fn yfinance_reads_prices_and_news_as_it_would_those_of_yahoo() {
    let (today, noon) = (
        Market::start().await.unwrap(),
        Market::start().await.unwrap(),
    );
    // The last Saturday: no exchange is open, whenever this runs.
    let utc = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let saturday = utc.nth_weekday(-1, jiff::civil::Weekday::Saturday).unwrap();
    today.set_now(saturday.timestamp());
    // A Friday, eleven o'clock in Singapore.
    noon.set_now("2026-11-20T03:00:00Z".parse().unwrap());
    for (symbol, fault) in [
        ("LIMITED.SI", Fault::RateLimited),
        ("DOWN.SI", Fault::Maintenance),
        ("VOD.L", Fault::EmptyQuote),
    ] {
        noon.prices.set_fault(symbol, Some(fault));
    }
    assert_eq!(
        said("market.py", &[&today.url(), &noon.url()]).await,
        "ok\n"
    );
    assert!(today.prices.count("D05.SI") > 0 && noon.news.count("PTT.BK") > 0);
}

#[tokio::test]
async fn openai_s_client_understands_answers_and_every_refusal() {
    let chat = Chat::start("local-key").await.unwrap();
    for behaviour in [
        Behaviour::Good,
        Behaviour::Length,
        Behaviour::Bare,
        Behaviour::Parts,
        Behaviour::Refusal,
        Behaviour::RateLimited(1),
        Behaviour::ServerError,
        Behaviour::RateLimited(1),
        Behaviour::Good,
        Behaviour::Garbage,
        Behaviour::Silent,
    ] {
        chat.queue(behaviour);
    }
    assert_eq!(said("chat.py", &[&chat.url(), "local-key"]).await, "ok\n");
    assert_eq!(chat.requests()[0]["model"], "gpt-4o");
}

#[tokio::test]
async fn line_s_client_replies_and_pushes_and_reads_our_webhooks() {
    let line = Line::start("local-token").await.unwrap();
    for fault in [
        line::Fault::RateLimited,
        line::Fault::LostAnswer,
        line::Fault::ServerError,
    ] {
        line.fail_times(fault, 1);
    }
    let (first, second) = (line.issue_reply_token(), line.issue_reply_token());
    let user = "U4af4980629abcdef0123456789abcdef";
    let webhook = line::webhook(user, "DBS19", &second, "01FZ74A0TDDPYRVKNK77XKC3ZR", true);
    let arguments = [&line.url(), "local-token", &first, &second, &webhook];
    assert_eq!(said("line.py", &arguments).await, "ok\n");
    let to: Vec<_> = line.sent().into_iter().map(|sent| sent.to).collect();
    let pushed = Recipient::Push(user.to_owned());
    let [first, second] = [first, second].map(Recipient::Reply);
    assert_eq!(to, [pushed.clone(), pushed, first, second]);
}
