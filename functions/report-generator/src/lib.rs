//! Reports on tickers: generated once for everyone, and kept.

mod answer;
mod config;
pub mod drawing;
mod engine;
mod event;
mod facts;
mod html;
pub mod indicators;
mod keys;
mod language;
pub mod line;
pub mod market;
pub mod narrative;
pub mod news;
mod outside;
mod page;
mod pdfs;
mod prewarm;
mod recently;
mod report;
mod reports;
mod saved;
mod secrets;
pub mod series;
mod session;
mod ticker;
mod web;

use std::{sync::Arc, time::Instant};

use anyhow::Context as _;
use aws_types::SdkConfig;
use jiff::{Timestamp, ToSpan as _};
use larder::Cache;
use larder_lambda::{Deadline, Error, ErrorKind, Function, Invocation, Kind as _};
use metrique_writer::Entry;

pub use answer::{Answer, Invalidated, Prewarmed, ReportAnswer};
pub use config::Config;
use engine::Engine;
pub use event::{Ask, Event, Include};
pub use language::Language;
pub use ticker::{Ticker, Tickers};
pub use web::{Request, Response};

use answer::Forgotten;
use reports::{Found, Question, State};
use ticker::Known;

/// The longest that anything is kept: fresh, and then in the place of what cannot be made anew. The bucket's lifecycle rule has to be
/// longer.
pub const LONGEST_LIFE: std::time::Duration =
    std::time::Duration::from_secs(config::MOST_HOURS * 3_600 + reports::STALE.as_secs());

/// What one invocation counts.
#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct Metrics {
    hits: u64,
    generated: u64,
    stale: u64,
    pdfs_reused: u64,
    pdfs_drawn: u64,
    line_messages: u64,
    refused_webhooks: u64,
    model_calls: u64,
    model_prompt_tokens: u64,
    model_completion_tokens: u64,
    model_cost_usd: f64,
}

/// An invocation, as those see it who answer.
struct Call<'a> {
    deadline: Deadline,
    /// Whether anybody may have asked: then the model is not paid for days that are over.
    is_reader: bool,
    metrics: &'a mut Metrics,
}

/// The function: its settings, its clients and its cache.
#[derive(Debug)]
pub struct App {
    engine: Engine,
}

impl App {
    /// Makes the clients and the cache. None of them connects.
    pub fn new(config: Config, aws: &SdkConfig) -> anyhow::Result<Self> {
        let engine = Engine::new(config, aws)?;
        Ok(Self { engine })
    }

    fn config(&self) -> &Config {
        &self.engine.reports.inner.config
    }

    fn tickers(&self) -> impl Iterator<Item = &Ticker> {
        self.config().tickers.all()
    }

    fn has_pdfs(&self) -> bool {
        self.engine.pdfs.is_some()
    }

    fn known(&self, ticker: &Ticker) -> Result<Known, Error> {
        let known = self.config().tickers.resolve(ticker);
        known.kind(ErrorKind::NotFound)
    }

    /// The report that `ask` asks for, with what it asks for beside it.
    async fn report(&self, ask: &Ask, call: &mut Call<'_>) -> Result<ReportAnswer, Error> {
        let began = Instant::now();
        let known = self.known(&ask.ticker)?;
        let found = self.found(ask, &known, call).await?;
        let (include, reports) = (ask.include, &self.engine.reports);
        let date = found.report.date;
        let (chart, news, pdf) = futures_util::join!(
            Box::pin(optional(include.chart, reports.chart(&known, date))),
            optional(include.news, reports.headlines(&known, date)),
            Box::pin(optional(
                include.pdf,
                self.pdf_of(&known, &found, call.metrics)
            ))
        );
        let mut answer = ReportAnswer::from(found);
        answer.news = news;
        match chart {
            Some(Ok(chart)) => answer.chart = Some(chart),
            Some(Err(missed)) => {
                let error = format!("{:#}", anyhow::Error::new(missed));
                tracing::error!(error, "There is no chart");
                let said = "there is no chart: see the function's log";
                answer.warnings.push(said.to_owned());
            }
            None => {}
        }
        match pdf {
            Some(Ok((link, reused))) => {
                let until = Timestamp::now().checked_add(link.life);
                answer.pdf = Some((link.url, until.ok()));
                answer.pdf_reused = reused;
            }
            Some(Err(error)) => {
                tracing::error!(error = format!("{error:#}"), "There is no PDF");
                // What a reader may know of it: the causes are for the log.
                answer.warnings.push(format!("there is no PDF: {error}"));
            }
            None => {}
        }
        answer.duration = began.elapsed();
        Ok(answer)
    }

    async fn found(&self, ask: &Ask, known: &Known, call: &mut Call<'_>) -> Result<Found, Error> {
        let now = Timestamp::now();
        if let Some(date) = ask.date {
            // Whatever the exchange's time zone: tomorrow has begun nowhere.
            let tomorrow = now.to_zoned(jiff::tz::TimeZone::UTC).date();
            if date > tomorrow.saturating_add(1.day()) {
                let said = format!("field `date`: {date} has not come yet");
                return Err(Error::message(ErrorKind::BadRequest, said));
            }
        }
        let question = Question {
            known: known.clone(),
            date: ask.date,
            language: ask.language.unwrap_or(self.config().language),
            refresh: ask.refresh,
            may_cost: !call.is_reader,
            until: Instant::now() + call.deadline.time_to_work(),
        };
        let found = Box::pin(self.engine.reports.get(&question, now)).await;
        let found = found.map_err(|missed| Error::new(reports::kind(&missed), missed))?;
        match found.state {
            State::Hit => call.metrics.hits += 1,
            State::Generated => call.metrics.generated += 1,
            State::Stale => call.metrics.stale += 1,
        }
        Ok(found)
    }

    /// A link to the report's PDF, and whether it was there.
    async fn pdf_of(
        &self,
        known: &Known,
        found: &Found,
        metrics: &mut Metrics,
    ) -> anyhow::Result<(pdfs::Link, bool)> {
        let Some(pdfs) = &self.engine.pdfs else {
            anyhow::bail!("PDF_BUCKET_NAME is not set, so there is nowhere to put it");
        };
        let report = &found.report;
        let reused = pdfs.has(report).await?;
        if reused {
            metrics.pdfs_reused += 1;
        } else {
            let pdf = self.engine.reports.pdf(known, Arc::clone(report)).await;
            pdfs.put(report, pdf.context("it cannot be drawn")?).await?;
            metrics.pdfs_drawn += 1;
        }
        Ok((pdfs.link(report).await?, reused))
    }

    /// Forgets what is kept of a ticker, PDFs included.
    async fn invalidate(
        &self,
        ticker: &Ticker,
        date: Option<jiff::civil::Date>,
    ) -> Result<Invalidated, Error> {
        let known = self.known(ticker)?;
        let missed = self.engine.reports.inner.kept.forget(&known, date).await;
        if let Some(error) = missed.into_iter().next() {
            let error = anyhow::Error::new(error)
                .context("not every tier could be told: invalidate it again");
            return Err(Error::new(ErrorKind::Upstream, error));
        }
        if let Some(pdfs) = &self.engine.pdfs {
            let deleted = pdfs.delete(&keys::pdfs(ticker, date)).await;
            deleted.kind(ErrorKind::Upstream)?;
        }
        tracing::info!(%ticker, date = date.map(|date| date.to_string()), "Reports are invalidated");
        let ticker = ticker.clone();
        let invalidated = Forgotten { ticker, date };
        Ok(Invalidated { invalidated })
    }
}

/// Does `work` only where it is `wanted`.
async fn optional<T>(wanted: bool, work: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(work.await) } else { None }
}

impl Function for App {
    type Event = Event;
    type Answer = Answer;
    type Metrics = Metrics;

    /// A report that takes long is pushed after LINE has its answer; what was made is saved after everybody has theirs.
    const AFTER_RESPONSE: bool = true;

    fn cache(&self) -> Option<&Cache> {
        Some(&self.engine.reports.inner.kept.cache)
    }

    async fn handle(
        &self,
        event: Event,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        let answered = match event {
            Event::Report(ask) => {
                let mut call = Call {
                    deadline: invocation.deadline,
                    is_reader: false,
                    metrics,
                };
                let answer = self.report(&ask, &mut call).await;
                answer.map(|answer| Answer::Report(Box::new(answer)))
            }
            Event::Prewarm { tickers, refresh } => {
                let made = self
                    .prewarm((tickers, refresh), invocation.deadline, metrics)
                    .await;
                made.map(Answer::Prewarmed)
            }
            Event::Invalidate { ticker, date } => self
                .invalidate(&ticker, date)
                .await
                .map(Answer::Invalidated),
            Event::Http(request) => {
                let served = self.serve(&request, invocation, metrics).await;
                Ok(Answer::Http(served))
            }
            Event::Unreadable(why) => Ok(Answer::Http(Response::unreadable(why))),
        };
        let spent = self.engine.reports.inner.spent.take();
        metrics.model_calls = spent.calls;
        metrics.model_prompt_tokens = spent.prompt_tokens;
        metrics.model_completion_tokens = spent.completion_tokens;
        metrics.model_cost_usd = spent.usd;
        answered
    }
}
