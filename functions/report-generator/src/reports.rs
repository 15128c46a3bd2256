//! From a question to a report: each stage is a function of the one before, kept under a key of its own, and made once for
//! everyone who asks.
//!
//! ```text
//! prices ──▶ indicators ──▶ words ──▶ report ──▶ PDF
//!    └──────────────────────────────▶ chart ──────┘
//! ```

mod bill;
mod generate;
mod kept;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, civil::Date};
use larder::{Cached, Load, LoadError, Loaded, Lookup, Source};
use larder_lambda::ErrorKind;
use serde::Serialize;

pub(crate) use self::{
    bill::Bill,
    kept::{Kept, STALE},
};
use crate::{
    config::Config,
    drawing::DrawError,
    facts::Refused,
    keys,
    language::Language,
    market::{Market, NoPrices},
    narrative::Model,
    news::{Article, News},
    recently::Recently,
    report::Report,
    series::Series,
    session,
    ticker::{Known, Ticker},
};

/// How many earlier sessions are looked at for a report that can stand in.
const EARLIER: usize = 4;

/// What somebody wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) known: Known,
    /// A trading day; the last one, if none is named.
    pub(crate) date: Option<Date>,
    pub(crate) language: Language,
    /// Whether it is to be made anew.
    pub(crate) refresh: bool,
    /// Whether a model may be paid for words about a day that is over.
    pub(crate) may_cost: bool,
    /// When nobody waits for the report any more.
    pub(crate) until: Instant,
}

/// Prices, and for how long what is made of them is new.
#[derive(Clone, Debug)]
pub(crate) struct Prices {
    pub(crate) series: Arc<Series>,
    pub(crate) left: Duration,
    /// Whether they end with the last session that there was.
    pub(crate) is_last: bool,
}

/// How long a source is left alone that has failed, where an older report can stand in.
pub(crate) const ALONE: SignedDuration = SignedDuration::from_secs(30);
/// How long it is remembered that the exchange was closed, or has no prices of the day yet.
pub(crate) const CLOSED: SignedDuration = SignedDuration::from_mins(10);

/// A report, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) report: Arc<Report>,
    pub(crate) state: State,
    /// The tier that had it.
    pub(crate) tier: Option<&'static str>,
    pub(crate) age: Duration,
}

/// What was done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Hit,
    Generated,
    /// It could not be made anew, so an older one stands in.
    Stale,
}

/// There is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReport {
    /// There are no prices.
    #[error(transparent)]
    Prices(#[from] NoPrices),
    /// The exchange was closed on that day, or it is too long ago.
    #[error("{symbol} has no prices of {date}: {instead}")]
    NoSession {
        /// What was asked for.
        symbol: String,
        /// When.
        date: Date,
        /// What to ask for.
        instead: String,
    },
    /// The rules ask for a number that there is not: a fault of ours.
    #[error("the rules' text cannot be printed")]
    Rules(#[from] Refused),
    /// The picture or the page could not be made.
    #[error("the report cannot be drawn")]
    Drawing(#[from] DrawError),
    /// Whoever drew it has stopped.
    #[error("the report was not drawn to its end: {0}")]
    Abandoned(String),
    /// Something earlier could not be had.
    #[error(transparent)]
    Earlier(#[from] LoadError<NoReport>),
}

/// As loaders say it: shared by all who wait.
pub(crate) type Missed = LoadError<NoReport>;

/// What kind of an error it is, to whoever asked.
pub(crate) fn kind(missed: &Missed) -> ErrorKind {
    match missed {
        LoadError::Timeout(_) => ErrorKind::Timeout,
        LoadError::Origin(error) => match error.as_ref() {
            NoReport::Prices(NoPrices::Unknown { .. }) | NoReport::NoSession { .. } => {
                ErrorKind::NotFound
            }
            NoReport::Prices(NoPrices::Unanswered { .. }) => ErrorKind::Upstream,
            NoReport::Rules(_) | NoReport::Drawing(_) | NoReport::Abandoned(_) => {
                ErrorKind::Internal
            }
            NoReport::Earlier(missed) => kind(missed),
        },
        _ => ErrorKind::Internal,
    }
}

/// All that reports are made with. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) kept: Kept,
    pub(crate) market: Market,
    pub(crate) news: Option<News>,
    pub(crate) model: Option<Model>,
    /// What the model has cost since somebody asked.
    pub(crate) spent: Bill,
    /// Why there were no prices a moment ago.
    pub(crate) trouble: Recently<Ticker, Missed>,
    /// Which session prices ended with, where it was not the one that the calendar says.
    pub(crate) sessions: Recently<(Ticker, Date), Date>,
}

impl Reports {
    /// The report that is asked for: a kept one, or a new one, or an older one where there can be no new one.
    pub(crate) async fn get(&self, asked: &Question, now: Timestamp) -> Result<Found, Missed> {
        let Question {
            known, language, ..
        } = asked;
        let guess = session::date_of(&known.symbol, now);
        let at_guess = (known.ticker.clone(), guess);
        let date = asked.date.unwrap_or_else(|| {
            let told = self.inner.sessions.get(&at_guess, now);
            told.map_or(guess, |(date, _)| date)
        });
        if asked.refresh {
            self.inner.kept.expire(known, date, Some(guess)).await;
        } else if let Some(found) = self.kept(known, date, *language).await {
            return Ok(found);
        }
        if asked.date.is_some() {
            return self.at(asked, date, None).await;
        }
        let trouble = &self.inner.trouble;
        let noted = trouble.get(&known.ticker, now).filter(|_| !asked.refresh);
        if let Some((missed, _)) = noted
            && let Ok(found) = self.earlier(asked, date, missed).await
        {
            return Ok(found);
        }
        match self.prices(known).await {
            Ok(prices) => {
                trouble.forget(&known.ticker);
                let last = prices.series.bars.last().map_or(guess, |bar| bar.date);
                if last != guess {
                    self.inner.sessions.learn(at_guess, last, now);
                }
                if asked.refresh && last != date {
                    self.inner.kept.expire(known, last, None).await;
                }
                self.at(asked, last, Some(prices)).await
            }
            Err(missed) => {
                trouble.learn(known.ticker.clone(), missed.clone(), now);
                self.earlier(asked, date, missed).await
            }
        }
    }

    /// A report that is kept and fresh.
    async fn kept(&self, known: &Known, date: Date, language: Language) -> Option<Found> {
        let key = keys::text(&known.ticker, date, language);
        match self.inner.kept.reports.get(&key).await {
            Ok(Lookup::Hit(cached)) => Some(self.found(cached)),
            _ => None,
        }
    }

    /// The report of a day, whose prices may be at hand.
    async fn at(
        &self,
        asked: &Question,
        date: Date,
        prices: Option<Prices>,
    ) -> Result<Found, Missed> {
        let key = keys::text(&asked.known.ticker, date, asked.language);
        let (this, asked) = (self.clone(), asked.clone());
        let load = async move |load: Load<Report>| {
            let entry = this.generate(&asked, (date, prices), load.stale).await?;
            Ok::<_, NoReport>(Loaded::from(entry))
        };
        let got = self.inner.kept.reports.get_or_load(&key, load).await?;
        got.map(|cached| self.found(cached))
            .ok_or(LoadError::NothingToKeep)
    }

    /// Prices cannot be had, so what was written of them earlier stands in: of that day, or of one of those before.
    async fn earlier(&self, asked: &Question, date: Date, missed: Missed) -> Result<Found, Missed> {
        if kind(&missed) == ErrorKind::NotFound {
            return Err(missed);
        }
        let before = |date: &Date| Some(session::weekday_before(*date));
        for date in std::iter::successors(Some(date), before).take(EARLIER) {
            let key = keys::text(&asked.known.ticker, date, asked.language);
            let again = missed.clone();
            let load = async move |_: Load<Report>| Err(NoReport::Earlier(again));
            let got = self.inner.kept.reports.get_or_load(&key, load).await;
            if let Ok(Some(cached)) = got {
                tracing::warn!(error = %missed, "An older report of {date} stands in");
                let found = self.found(cached);
                return Ok(Found {
                    state: State::Stale,
                    ..found
                });
            }
        }
        Err(missed)
    }

    /// Says where it came from, in the log, too.
    fn found(&self, cached: Cached<Report>) -> Found {
        let age = cached.age();
        let (state, tier) = match (cached.source, cached.state) {
            (Source::Origin, _) => (State::Generated, None),
            (Source::Memory, state) => (state.into(), Some("memory")),
            (Source::Tier(name), state) => (state.into(), Some(name)),
        };
        let report = cached.value;
        let of = format!("{} on {}", report.ticker, report.date);
        let backfilled = if self.inner.kept.has_sqlite {
            " (backfilled to SQLite)"
        } else {
            ""
        };
        match (tier, state) {
            (Some(_), State::Stale) => tracing::info!("Stale report for {of}"),
            (Some("memory"), _) => tracing::info!("Memory cache hit for {of}"),
            (Some("sqlite"), _) => tracing::info!("SQLite cache hit for {of}"),
            (Some("redis"), _) => tracing::info!("Redis cache hit for {of}{backfilled}"),
            (Some("s3"), _) => tracing::info!("S3 cache hit for {of}{backfilled}"),
            _ => tracing::info!("Report generated for {of}"),
        }
        Found {
            report,
            state,
            tier,
            age,
        }
    }

    /// The chart, as Base64 of a PNG.
    pub(crate) async fn chart(&self, known: &Known, date: Date) -> Result<Arc<String>, Missed> {
        self.drawn(known, date, None).await
    }

    /// The headlines; none where nobody has any.
    pub(crate) async fn headlines(&self, known: &Known, date: Date) -> Arc<Vec<Article>> {
        self.articles(known, date, self.inner.config.life_of(&known.ticker))
            .await
    }
}

impl From<larder::Freshness> for State {
    fn from(freshness: larder::Freshness) -> Self {
        match freshness {
            larder::Freshness::Fresh => Self::Hit,
            larder::Freshness::Stale => Self::Stale,
        }
    }
}
