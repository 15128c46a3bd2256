//! The stages: prices, headlines, chart, and the report itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::Date};
use larder::{Entry, Load, Loaded};

use super::{CLOSED, Missed, NoReport, Prices, Question, Reports};
use crate::{
    drawing,
    facts::Facts,
    indicators::Columns,
    keys,
    narrative::{Author, Narrative, Spent, by_rules},
    news::Article,
    outside::Unanswered,
    report::{Report, Written},
    series::Series,
    session,
    ticker::Known,
};

/// Kept of an invocation's time for all that comes after the model's words.
const AFTER_THE_MODEL: Duration = Duration::from_secs(10);
/// What is made of prices that are nearly old is fresh for this long all the same.
const LEAST: Duration = Duration::from_mins(5);
/// How long a report is kept that rules wrote because the model failed: then the model is asked again.
const WITHOUT_THE_MODEL: Duration = Duration::from_mins(15);

impl Reports {
    /// Makes the report of a day, and with it the day's chart.
    pub(super) async fn generate(
        &self,
        asked: &Question,
        (date, prices): (Date, Option<Prices>),
        stale: Option<Arc<Report>>,
    ) -> Result<Entry<Report>, NoReport> {
        let (began, known) = (Instant::now(), &asked.known);
        let prices = match prices {
            Some(prices) => prices,
            None => self.prices_until(known, date).await?,
        };
        let pays = prices.is_last || asked.may_cost;
        if let Some(paid) = stale.filter(|stale| !pays && stale.narrative == Author::Llm) {
            // Of a day that is over: what was written of it holds.
            let expires_at = Timestamp::now().saturating_add(prices.left);
            let report = Report {
                expires_at: expires_at.unwrap_or(paid.expires_at),
                ..Report::clone(&paid)
            };
            return Ok(Entry::new(report).fresh(prices.left));
        }
        let series = &prices.series;
        let readings = Columns::of(&series.bars).readings();
        let news = self.articles(known, date, prices.left).await;
        let facts = Facts::of(&known.ticker, series, &readings);
        let words = if pays {
            self.by_model((&facts, &news), asked).await
        } else {
            Err(None)
        };
        let (narrative, written) = match words {
            Ok(narrative) => (narrative, by(Author::Llm, None)),
            Err(note) => {
                let narrative = by_rules((series, &readings), &facts, asked.language)?;
                (narrative, by(Author::Rules, note))
            }
        };
        // Of the same prices, and gone with them.
        let left = prices.left.saturating_sub(began.elapsed());
        self.drawn(known, date, Some((Arc::clone(series), left)))
            .await?;
        let mut life = prices.left;
        if written.by == Author::Rules && self.inner.model.is_some() {
            life = life.min(WITHOUT_THE_MODEL);
        }
        let now = Timestamp::now();
        let expires = now.saturating_add(life.saturating_sub(began.elapsed()));
        let report = Report::new(
            (known, asked.language),
            (series, readings),
            (narrative, written),
            &news,
            (now, expires.unwrap_or(now)),
        );
        let report = report.ok_or(larder::LoadError::NothingToKeep)?;
        // From when its load began.
        Ok(Entry::new(report).fresh(life))
    }

    /// The model's words; or why there are none, if there is a model.
    async fn by_model(
        &self,
        (facts, news): (&Facts, &[Article]),
        asked: &Question,
    ) -> Result<Narrative, Option<String>> {
        let Some(model) = &self.inner.model else {
            return Err(None);
        };
        let mut spent = Spent::default();
        let words = model.write(facts, (news, asked.language), &mut spent);
        let time = asked.until.saturating_duration_since(Instant::now());
        let words = tokio::time::timeout(time.saturating_sub(AFTER_THE_MODEL), words).await;
        self.inner.spent.add(&spent);
        let (note, error) = match words {
            Ok(Ok(narrative)) => return Ok(narrative),
            Ok(Err(error)) => (error.note(), format!("{:#}", anyhow::Error::new(error))),
            Err(late) => (
                "the language model did not answer in time".to_owned(),
                late.to_string(),
            ),
        };
        tracing::warn!(error, "Rules write instead of the model");
        Err(Some(note))
    }

    /// All prices that there are now, one year of them.
    pub(super) async fn prices(&self, known: &Known) -> Result<Prices, Missed> {
        let (this, of) = (self.clone(), known.clone());
        let life = self.inner.config.life_of(&known.ticker);
        let session = session::date_of(&known.symbol, Timestamp::now());
        let load = async move |_: Load<Series>| {
            let series = this.inner.market.year_of(&of.symbol).await?;
            let life = life_of(&series, session, life);
            Ok::<_, NoReport>(Loaded::from(Entry::new(series).fresh(life)))
        };
        let key = keys::day(&known.ticker, session);
        let got = self.inner.kept.prices.get_or_load(&key, load).await?;
        let got = got.ok_or(larder::LoadError::NothingToKeep)?;
        let last = got.value.bars.last();
        // Those of a session that is over will not change.
        let is_over = last.is_some_and(|bar| bar.date < session);
        let left = if is_over {
            life
        } else {
            life.saturating_sub(got.age())
        };
        Ok(Prices {
            left: left.max(LEAST),
            is_last: true,
            series: got.value,
        })
    }

    /// The prices up to `date`, which has to be a session.
    async fn prices_until(&self, known: &Known, date: Date) -> Result<Prices, NoReport> {
        let prices = self.prices(known).await?;
        let last = prices.series.bars.last();
        if last.is_some_and(|bar| bar.date == date) {
            return Ok(prices);
        }
        let mut series = Series::clone(&prices.series);
        let first = series.bars.first().map(|bar| bar.date);
        series.bars.retain(|bar| bar.date <= date);
        let last = series.bars.last().map(|bar| bar.date);
        if last == Some(date) {
            let series = Arc::new(series);
            return Ok(Prices {
                series,
                is_last: false,
                ..prices
            });
        }
        let instead = match (last, first) {
            (Some(last), _) => format!("there was no session; the one before was on {last}"),
            (None, Some(first)) => format!("the first that there are is of {first}"),
            (None, None) => "there are none".to_owned(),
        };
        Err(NoReport::NoSession {
            symbol: series.symbol,
            date,
            instead,
        })
    }

    /// The headlines of a day. That there are none to be had is no error, and not kept.
    pub(super) async fn articles(
        &self,
        known: &Known,
        date: Date,
        life: Duration,
    ) -> Arc<Vec<Article>> {
        let Some(news) = self.inner.news.clone() else {
            return Arc::default();
        };
        let symbol = known.symbol.clone();
        let load = async move |_: Load<Vec<Article>>| {
            let mut articles = news.of(&symbol).await?;
            articles.retain(|article| article.is_of(date));
            Ok::<_, Unanswered>(Loaded::from(Entry::new(articles).fresh(life)))
        };
        let key = keys::day(&known.ticker, date);
        match self.inner.kept.news.get_or_load(&key, load).await {
            Ok(got) => got.map(|got| got.value).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "There are no news"
                );
                Arc::default()
            }
        }
    }

    /// The day's chart: of these prices and for as long as these are told, or else of those that are kept.
    pub(super) async fn drawn(
        &self,
        known: &Known,
        date: Date,
        of: Option<(Arc<Series>, Duration)>,
    ) -> Result<Arc<String>, Missed> {
        let (this, known_) = (self.clone(), known.clone());
        let load = async move |_: Load<String>| {
            let (series, life) = match of {
                Some(of) => of,
                None => {
                    let prices = this.prices_until(&known_, date).await?;
                    (prices.series, prices.left)
                }
            };
            let png = aside(move || {
                let columns = Columns::of(&series.bars);
                drawing::png(&drawing::chart_svg(&series, &columns))
            });
            let chart = STANDARD.encode(png.await?);
            Ok::<_, NoReport>(Loaded::from(Entry::new(chart).fresh(life)))
        };
        let key = keys::day(&known.ticker, date);
        let got = self.inner.kept.charts.get_or_load(&key, load).await?;
        got.map(|got| got.value)
            .ok_or(larder::LoadError::NothingToKeep)
    }

    /// The report as a page with its chart.
    pub(crate) async fn pdf(
        &self,
        known: &Known,
        report: Arc<Report>,
    ) -> Result<Vec<u8>, NoReport> {
        let prices = self.prices_until(known, report.date).await?;
        aside(move || crate::page::page(&report, &prices.series).pdf()).await
    }
}

/// How long prices count as new: not long where the session that there should be has none yet.
fn life_of(series: &Series, session: Date, life: Duration) -> Duration {
    match series.bars.last() {
        Some(bar) if bar.date >= session => life,
        _ => life.min(CLOSED.unsigned_abs()),
    }
}

fn by(by: Author, note: Option<String>) -> Written {
    Written { by, note }
}

/// Draws where nothing else waits for it.
async fn aside<T, F>(draw: F) -> Result<T, NoReport>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, drawing::DrawError> + Send + 'static,
{
    match tokio::task::spawn_blocking(draw).await {
        Ok(drawn) => Ok(drawn?),
        Err(error) => Err(NoReport::Abandoned(error.to_string())),
    }
}
