//! LINE: people write a ticker, and get its report.
//!
//! LINE waits for an answer to its webhook for a second or two, and a reply token lives for about a minute. So what is at hand
//! is replied at once; for what is not, the reader is told, and the report is pushed when it is there.
//!
//! Formats: "Messaging API reference", webhooks, reply and push messages.

mod api;
mod message;
mod webhook;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use larder::Lock;
use larder_lambda::{Error, ErrorKind, Invocation, Kind as _};
use secrecy::{ExposeSecret as _, SecretString};

pub(crate) use self::api::Api;
use self::webhook::{Said, is_signature};
pub use self::{
    message::split,
    webhook::{Webhook, is_signed, parse},
};
use crate::{
    App, Metrics,
    engine::Engine,
    language::Language,
    reports::Question,
    web::{Request, Response},
};

/// How long an answer is waited for before the reader is told that it takes longer.
const AT_ONCE: Duration = Duration::from_millis(1_500);
/// How many messages of one webhook are answered at a time.
const AT_A_TIME: usize = 8;
/// Kept of an invocation's time to say that there is no report.
const TO_APOLOGISE: Duration = Duration::from_secs(8);

impl App {
    /// Answers LINE's webhook. One that is not signed is refused whatever it says, and one without a signature before a secret
    /// is read.
    pub(crate) async fn webhook(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Response, Error> {
        let Some(line) = &self.engine.line else {
            let said = "there is no LINE channel here";
            return Err(Error::message(ErrorKind::NotFound, said));
        };
        let body = request.body()?;
        let signature = request.header("x-line-signature").unwrap_or_default();
        if !has_signed(line, &body, signature).await? {
            metrics.refused_webhooks += 1;
            tracing::warn!("A webhook without a valid signature is refused");
            let said = Error::message(ErrorKind::BadRequest, "the signature is not valid");
            return Ok(Response::refusal(request, 403, &said));
        }
        let webhook = parse(&body).map_err(|why| Error::message(ErrorKind::BadRequest, why))?;
        let link = request.domain().map(|domain| format!("https://{domain}"));
        let answers = webhook.messages().map(|said| {
            let (engine, link) = (self.engine.clone(), link.clone());
            async move { engine.hear(said, link, invocation).await }
        });
        let heard = stream::iter(answers).buffer_unordered(AT_A_TIME);
        let heard: Vec<bool> = heard.collect().await;
        let heard = heard.into_iter().filter(|answered| *answered).count();
        metrics.line_messages += u64::try_from(heard).unwrap_or_default();
        Ok(Response::taken())
    }
}

/// Checks the signature of `body` by the channel's secret, then by the one that may have replaced it.
async fn has_signed(line: &Api, body: &[u8], signature: &str) -> Result<bool, Error> {
    if !is_signature(signature) {
        return Ok(false);
    }
    let signs =
        |secret: &SecretString| is_signed(body, signature, secret.expose_secret().as_bytes());
    if signs(&line.secret().await.kind(ErrorKind::Upstream)?) {
        return Ok(true);
    }
    let changed = line.changed_secret().await.kind(ErrorKind::Upstream)?;
    Ok(changed.is_some_and(|secret| signs(&secret)))
}

impl Engine {
    /// Answers one message, unless that was done already, or it is none for us.
    async fn hear(&self, said: Said, link: Option<String>, invocation: &Invocation) -> bool {
        let config = &self.reports.inner.config;
        let (ticker, language) = asked(&said.text, config.language);
        let typed = config.tickers.typed(ticker);
        let is_known = matches!(typed, Some(Ok(_)));
        // Among others, what is no ticker is none of our business.
        if !is_known && !said.is_private {
            return false;
        }
        let kept = &self.reports.inner.kept;
        let Some(lock) = kept.begin_answer(&said.id).await else {
            tracing::info!(id = said.id, "A message that was answered has come again");
            return false;
        };
        let known = match typed {
            Some(Ok(known)) => known,
            other => {
                let text = match other {
                    Some(Err(unknown)) => message::unknown(&unknown, language),
                    _ => message::help(language),
                };
                let answered = self.reply(&said, vec![text]).await;
                kept.end_answer(&said.id, lock, answered).await;
                return answered;
            }
        };
        let time = invocation.deadline.time_to_work();
        let until = Instant::now() + time.saturating_sub(TO_APOLOGISE);
        let question = Question {
            known,
            date: None,
            language,
            refresh: false,
            may_cost: true,
            until,
        };
        self.answer(question, (said, lock, link), invocation).await
    }

    /// Replies with the report, or says that it takes a while and pushes it later.
    async fn answer(
        &self,
        question: Question,
        (said, lock, link): (Said, Option<Lock>, Option<String>),
        invocation: &Invocation,
    ) -> bool {
        let (ticker, language) = (question.known.ticker.clone(), question.language);
        let engine = self.clone();
        let mut work = Box::pin(async move {
            let told = tokio::time::timeout_at(question.until.into(), engine.tell(&question, link));
            told.await.unwrap_or_else(|_| {
                tracing::error!(ticker = %question.known.ticker, "The report was not there in time");
                vec![message::failed(&question.known.ticker, question.language)]
            })
        });
        match tokio::time::timeout(AT_ONCE, &mut work).await {
            Ok(texts) => {
                let answered = self.reply(&said, texts).await;
                let kept = &self.reports.inner.kept;
                kept.end_answer(&said.id, lock, answered).await;
                answered
            }
            Err(_) => {
                self.announce(&said, message::working(&ticker, language))
                    .await;
                let engine = self.clone();
                invocation.after_response(async move {
                    let texts = work.await;
                    let answered = engine.push(&said, texts).await;
                    let kept = &engine.reports.inner.kept;
                    kept.end_answer(&said.id, lock, answered).await;
                });
                true
            }
        }
    }

    /// The report as messages, or why there is none.
    async fn tell(&self, question: &Question, link: Option<String>) -> Vec<String> {
        match self.reports.get(question, Timestamp::now()).await {
            Ok(found) => {
                let report = &*found.report;
                let mut text = report.text.clone();
                if let Some(link) = link.filter(|_| self.pdfs.is_some()) {
                    let (ticker, date) = (&report.ticker, report.date);
                    let code = report.language.code();
                    let _ = write!(
                        text,
                        "\n\nPDF: {link}/reports/{ticker}/report.pdf?date={date}&language={code}"
                    );
                }
                split(&text)
            }
            Err(missed) => {
                let error = anyhow::Error::new(missed);
                tracing::error!(error = format!("{error:#}"), "There is no report to push");
                vec![message::failed(&question.known.ticker, question.language)]
            }
        }
    }

    /// Says that a report takes a while. Where that fails, the report itself will do.
    async fn announce(&self, said: &Said, text: String) {
        if let (Some(line), Some(token)) = (&self.line, &said.reply_token)
            && let Err(error) = line.reply(token, &[text]).await
        {
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::warn!(error, "A report could not be announced");
        }
    }

    /// Replies, which costs nothing, or pushes where that fails: its time may be over. Whether LINE has it.
    async fn reply(&self, said: &Said, texts: Vec<String>) -> bool {
        if let (Some(line), Some(token)) = (&self.line, &said.reply_token) {
            match line.reply(token, &texts).await {
                Ok(()) => return true,
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::new(error));
                    tracing::warn!(error, "A reply could not be sent, so it is pushed");
                }
            }
        }
        self.push(said, texts).await
    }

    async fn push(&self, said: &Said, texts: Vec<String>) -> bool {
        let Some(line) = &self.line else { return false };
        match line.push(&said.to, &texts).await {
            Ok(()) => true,
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::error!(error, "A message could not be pushed");
                false
            }
        }
    }
}

/// `DBS19`, or `DBS19 en`.
fn asked(text: &str, usual: Language) -> (&str, Language) {
    let mut words = text.split_whitespace();
    let ticker = words.next().unwrap_or_default();
    let language = words
        .next()
        .and_then(|word| word.to_ascii_lowercase().parse().ok());
    (ticker, language.unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_may_stand_behind_the_ticker() {
        assert_eq!(
            asked("dbs19 EN", Language::Thai),
            ("dbs19", Language::English)
        );
        assert_eq!(asked("DBS19", Language::Thai), ("DBS19", Language::Thai));
        assert_eq!(
            asked("DBS19 please", Language::Thai),
            ("DBS19", Language::Thai)
        );
        assert_eq!(asked("", Language::Thai), ("", Language::Thai));
    }
}
