//! What is kept of reports: keyspaces, how long they live, and how they are forgotten.

use std::{convert::Infallible, sync::Arc, time::Duration};

use jiff::civil::Date;
use larder::{
    Cache, CacheSettings, Codec, CodecError, InvalidCacheSettings, Keyspace, Load, Loaded, Lock,
    Lookup, Policy, Receipt, Refresh, Scope, Space,
    tier::{Tier, TierError, s3::S3},
};

use crate::{
    keys::{self, DayKey, TextKey, spaces},
    language::Language,
    news::Article,
    report::Report,
    saved::Telling,
    series::Series,
    ticker::Known,
};

/// What the cache is called where others share it.
const APP: &str = "report-generator";
/// Longer than the longest of all lives: what stands in for a failed refresh.
pub(crate) const STALE: Duration = Duration::from_hours(72);
/// What a day of anything costs is known: nobody makes it anew before its time. Each load names its own time.
const DAY: Policy = Policy::fresh(Duration::from_hours(24)).refresh(Refresh::Never);
/// What there is stands in where it cannot be made anew.
const STANDS_IN: Policy = DAY.stale_on_error(STALE, Duration::ZERO);
/// One process writes, all others wait for it, as long as one invocation may take.
const WRITTEN: Policy = STANDS_IN.lease(Duration::from_secs(110), Duration::from_secs(100));
/// Asking somebody takes some seconds.
const ASKED: Policy = DAY.lease(Duration::from_secs(30), Duration::from_secs(25));
/// Old headlines are better than none; old prices are not.
const HEARD: Policy = ASKED.stale_on_error(STALE, Duration::ZERO);

static REPORTS: Keyspace<TextKey, Report> =
    Keyspace::with_codec(spaces::REPORTS, 1, WRITTEN, Codec::json());
/// A chart takes a tenth of a second of a whole processor, of which a small function has a seventh.
static CHARTS: Keyspace<DayKey, String> = Keyspace::with_codec(
    spaces::CHARTS,
    1,
    STANDS_IN.load_cost(Duration::from_secs(1)),
    plain(),
);
static NEWS: Keyspace<DayKey, Vec<Article>> =
    Keyspace::with_codec(spaces::NEWS, 1, HEARD, Codec::json());
static PRICES: Keyspace<DayKey, Series> =
    Keyspace::with_codec(spaces::PRICES, 1, ASKED, Codec::json());
/// Messages of LINE's that were answered: it delivers again for less than a day.
static ANSWERED: Keyspace<str, bool> =
    Keyspace::new("answered", 1, DAY.load_cost(Duration::from_secs(2)));
/// Longer than one invocation may take to answer a message.
const ANSWERING: Duration = Duration::from_mins(3);

/// For how long other environments may not hear of an invalidation: reports are forgotten by hand, and asking the bucket
/// takes longer than all the rest of a warm hit.
const UNVERIFIED: Duration = Duration::from_mins(1);

/// Text that is text in its object, too.
const fn plain() -> Codec<String> {
    Codec::new(
        "text",
        |text: &String| Ok(text.clone().into_bytes()),
        |bytes| String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::new("it is no text")),
    )
}

/// All that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) cache: Cache,
    pub(crate) reports: Space<TextKey, Report>,
    pub(crate) charts: Space<DayKey, String>,
    pub(crate) news: Space<DayKey, Vec<Article>>,
    pub(crate) prices: Space<DayKey, Series>,
    answered: Space<str, bool>,
    /// Whether what is found far off is brought near in a file.
    pub(crate) has_sqlite: bool,
}

impl Kept {
    /// With the tiers that `settings` name, and `bucket`, if there is one.
    pub(crate) fn new(
        settings: &CacheSettings,
        bucket: Option<(aws_sdk_s3::Client, &str)>,
    ) -> Result<Self, InvalidCacheSettings> {
        let s3 = bucket.map(|(client, name)| {
            let tier = S3::new(client, name, keys::CACHE).object_names(keys::object);
            let tier: Arc<dyn Tier> = Arc::new(Telling(tier));
            tier
        });
        let builder = settings.builder(APP, s3.as_ref())?;
        let cache = builder.max_unverified(UNVERIFIED).build();
        Ok(Self {
            reports: cache.space(&REPORTS),
            charts: cache.space(&CHARTS),
            news: cache.space(&NEWS),
            prices: cache.space(&PRICES),
            answered: cache.space(&ANSWERED),
            has_sqlite: settings.names("sqlite"),
            cache,
        })
    }

    /// Takes it upon this process to answer the message `id`; `None` where that was done, or is being done.
    pub(crate) async fn begin_answer(&self, id: &str) -> Option<Option<Lock>> {
        if let Ok(Lookup::Hit(_)) = self.answered.get(id).await {
            return None;
        }
        match self.cache.lock(&("line", id), ANSWERING).await {
            Ok(lock) => lock.map(Some),
            // Nobody knows: better twice than never.
            Err(error) => {
                tracing::warn!(%error, "Whether a message is being answered is not known");
                Some(None)
            }
        }
    }

    /// It was answered; or it was not, and may be when it comes again.
    pub(crate) async fn end_answer(&self, id: &str, lock: Option<Lock>, answered: bool) {
        let told = if answered {
            // No put: that would tell everybody of what nobody else has.
            let load = async |_: Load<bool>| Ok::<_, Infallible>(Loaded::from(true));
            drop(self.answered.get_or_load(id, load).await);
            Ok(())
        } else if let Some(lock) = lock {
            self.cache.unlock(&("line", id), &lock.token).await
        } else {
            Ok(())
        };
        if let Err(error) = told {
            tracing::warn!(%error, "An answer is not remembered");
        }
    }

    /// From now on all of a day is to be made anew; what there is stands in where that fails. But for prices, which are those of
    /// the `present` session: a report of old ones would pass for a new one.
    pub(crate) async fn expire(&self, known: &Known, date: Date, present: Option<Date>) {
        let day = keys::day(&known.ticker, date);
        let mut told = vec![self.charts.expire(&day).await, self.news.expire(&day).await];
        if let Some(present) = present {
            let day = keys::day(&known.ticker, present);
            told.push(self.prices.remove(&day).await);
        }
        for language in Language::ALL {
            let key = keys::text(&known.ticker, date, language);
            told.push(self.reports.expire(&key).await);
        }
        for error in told.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "The cache could not be told to make a day anew");
        }
    }

    /// Forgets all of `known`, or of one day of it, everywhere. What could not be told is returned.
    pub(crate) async fn forget(&self, known: &Known, date: Option<Date>) -> Vec<TierError> {
        let ticker = known.ticker.as_str();
        let day = date.map(|date| keys::day(&known.ticker, date));
        let of_days = [spaces::REPORTS, spaces::CHARTS, spaces::NEWS].map(|space| match &day {
            Some(day) => Scope::under(space, day),
            None => Scope::under(space, ticker),
        });
        // Prices are of all days, whichever it is that is wrong.
        let prices = Scope::under(spaces::PRICES, ticker);
        let scopes = of_days.into_iter().chain([prices]);
        let Receipt { missed } = self.cache.invalidate(scopes).await;
        missed
    }
}
