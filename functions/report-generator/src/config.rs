//! The settings: read once, checked together.

use std::{collections::BTreeSet, time::Duration};

use larder::CacheSettings;
use larder_lambda::{InvalidSettings, Settings, environment};
use url::Url;

use crate::{
    language::Language,
    narrative::ModelSettings,
    ticker::{Ticker, Tickers},
};

/// A fortnight: the bucket's lifecycle rule keeps cached objects for longer than this.
pub(crate) const MOST_HOURS: u64 = 14 * 24;
/// Of tickers that are traded much.
const HIGH_VOLUME: Duration = Duration::from_hours(6);
/// Of tickers that are traded little.
const LOW_VOLUME: Duration = Duration::from_hours(72);
/// The longest that a link may be signed for (Signature Version 4).
const MOST_LINK_HOURS: u64 = 7 * 24;

/// What the function is told by its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where reports are kept for all: `PDF_BUCKET_NAME`, or `PDF_STORAGE_BUCKET`. Without it they are kept in the other
    /// tiers, and there are no PDFs.
    pub bucket: Option<String>,
    /// How long links to PDFs live: `PDF_URL_EXPIRATION_HOURS`.
    pub link_life: Duration,
    /// What is made before anybody asks: `POPULAR_TICKERS`.
    pub popular: Vec<Ticker>,
    /// Who writes the words, if anybody does: `LLM_*`.
    pub(crate) model: Option<ModelSettings>,
    /// Where prices come from: `MARKET_DATA_URL`.
    pub market: Url,
    /// Where headlines come from, if from anywhere: `NEWS_URL`.
    pub news: Option<Url>,
    /// The LINE channel, if there is one: `LINE_*`.
    pub(crate) line: LineSettings,
    /// What reports are written in where nobody says otherwise: `REPORT_LANGUAGE`.
    pub language: Language,
    /// Which tickers there are: `TICKERS_FILE`, `ALLOW_UNMAPPED_TICKERS`.
    pub tickers: Tickers,
    /// The cache: `CACHE_*`.
    pub cache: CacheSettings,
    lives: Lives,
}

/// How long reports are fresh.
#[derive(Clone, Debug)]
struct Lives {
    usual: Duration,
    high_volume: BTreeSet<Ticker>,
    low_volume: BTreeSet<Ticker>,
}

/// A LINE channel: where its secret and its token are, and the API.
#[derive(Clone, Debug)]
pub(crate) struct LineSettings {
    pub(crate) secret_parameter: Option<String>,
    pub(crate) token_parameter: Option<String>,
    pub(crate) api: Url,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, InvalidSettings> {
        Self::from_lookup(environment)
    }

    /// Reads settings by `lookup`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut settings = Settings::new(lookup);
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    fn read<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<Self> {
        let cache = settings.cache();
        let bucket = settings.optional("PDF_BUCKET_NAME");
        let alias = settings.optional("PDF_STORAGE_BUCKET");
        let link_life = hours(settings, "PDF_URL_EXPIRATION_HOURS", MOST_LINK_HOURS);
        let lives = Lives {
            usual: hours(settings, "CACHE_TTL_HOURS", MOST_HOURS),
            high_volume: tickers(settings, "HIGH_VOLUME_TICKERS")
                .into_iter()
                .collect(),
            low_volume: tickers(settings, "LOW_VOLUME_TICKERS")
                .into_iter()
                .collect(),
        };
        if let Some(both) = lives.high_volume.intersection(&lives.low_volume).next() {
            settings.conflict(format!(
                "HIGH_VOLUME_TICKERS and LOW_VOLUME_TICKERS both have {both}: name it in one of them"
            ));
        }
        let popular = tickers(settings, "POPULAR_TICKERS");
        let map = map(settings);
        let model = model(settings);
        let line = line(settings);
        let market = address(
            settings,
            "MARKET_DATA_URL",
            "https://query1.finance.yahoo.com",
        );
        let news = settings.optional("NEWS_URL");
        let news = news.and_then(|_| address(settings, "NEWS_URL", ""));
        let language = settings.parsed("REPORT_LANGUAGE", "th", "\"th\" or \"en\"");
        Some(Self {
            bucket: bucket.or(alias),
            link_life,
            popular,
            model: model?,
            market: market?,
            news,
            line: line?,
            language: language?,
            tickers: map?,
            cache: cache?,
            lives,
        })
    }

    /// How long a report on `ticker` is fresh.
    #[must_use]
    pub fn life_of(&self, ticker: &Ticker) -> Duration {
        if self.lives.high_volume.contains(ticker) {
            HIGH_VOLUME
        } else if self.lives.low_volume.contains(ticker) {
            LOW_VOLUME
        } else {
            self.lives.usual
        }
    }
}

fn hours<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
    name: &str,
    most: u64,
) -> Duration {
    Duration::from_hours(settings.number(name, 24, 1..=most))
}

fn tickers<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>, name: &str) -> Vec<Ticker> {
    let items = settings.list(name, "");
    let mut tickers = Vec::with_capacity(items.len());
    for item in items {
        match item.parse() {
            Ok(ticker) => tickers.push(ticker),
            Err(_) => settings.reject(name, &item, "is no ticker, such as DBS19"),
        }
    }
    tickers
}

/// The file is the deployer's word, and small.
fn map<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<Tickers> {
    let unmapped = settings.flag("ALLOW_UNMAPPED_TICKERS", false);
    let Some(path) = settings.optional("TICKERS_FILE") else {
        let bundled = Tickers::bundled(unmapped);
        return bundled.map_err(|error| settings.conflict(error)).ok();
    };
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let read = text.and_then(|text| Tickers::parse(&text, unmapped));
    read.map_err(|error| {
        settings.reject("TICKERS_FILE", &path, &format!("cannot be used: {error}"));
    })
    .ok()
}

fn address<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
    name: &str,
    default: &str,
) -> Option<Url> {
    let expected = "an address that begins with https:// or http://";
    let url: Url = settings.parsed(name, default, expected)?;
    if matches!(url.scheme(), "https" | "http") && url.has_host() {
        return Some(url);
    }
    let value = settings.text(name, default);
    settings.reject(name, &value, &format!("is not {expected}"));
    None
}

/// `Some(None)` where no key is named: then rules write.
#[expect(
    clippy::option_option,
    reason = "the outer one stands for a problem, as in all readers of settings"
)]
fn model<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
) -> Option<Option<ModelSettings>> {
    let url = address(settings, "LLM_URL", "https://api.openai.com");
    let read = dollars(settings, "LLM_USD_PER_MILLION_READ", "2.5");
    let written = dollars(settings, "LLM_USD_PER_MILLION_WRITTEN", "10");
    let model = settings.text("LLM_MODEL", "gpt-4o");
    let key = settings.optional("LLM_API_KEY_PARAMETER");
    let (url, read, written) = (url?, read?, written?);
    Some(key.map(|key_parameter| ModelSettings {
        url,
        model,
        key_parameter,
        prices: (read, written),
    }))
}

fn dollars<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
    name: &str,
    default: &str,
) -> Option<f64> {
    let expected = "an amount in US dollars, such as 2.5";
    let amount: f64 = settings.parsed(name, default, expected)?;
    if (0.0..1e6).contains(&amount) {
        return Some(amount);
    }
    let value = settings.text(name, default);
    settings.reject(name, &value, &format!("is not {expected}"));
    None
}

fn line<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<LineSettings> {
    let secret_parameter = settings.optional("LINE_CHANNEL_SECRET_PARAMETER");
    let token_parameter = settings.optional("LINE_CHANNEL_TOKEN_PARAMETER");
    if secret_parameter.is_some() != token_parameter.is_some() {
        settings.conflict(
            "LINE_CHANNEL_SECRET_PARAMETER and LINE_CHANNEL_TOKEN_PARAMETER go together: set both or none",
        );
    }
    Some(LineSettings {
        secret_parameter,
        token_parameter,
        api: address(settings, "LINE_API_URL", "https://api.line.me")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let lookup = |name: &str| {
            let set = variables.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(lookup).map_err(|error| error.to_string())
    }

    fn ticker(text: &str) -> Ticker {
        text.parse().unwrap()
    }

    #[test]
    fn reports_live_by_how_much_their_ticker_is_traded() {
        let config = read(&[
            ("HIGH_VOLUME_TICKERS", "TENCENT19, AAPL19"),
            ("LOW_VOLUME_TICKERS", "VENTURE19"),
            ("CACHE_TTL_HOURS", "12"),
        ])
        .unwrap();
        let hours = ["AAPL19", "VENTURE19", "DBS19"]
            .map(|name| config.life_of(&ticker(name)).as_secs() / 3_600);
        assert_eq!(hours, [6, 72, 12]);
    }

    #[test]
    fn without_a_key_rules_write_and_nothing_has_to_be_set() {
        let config = read(&[]).unwrap();
        assert!(config.model.is_none() && config.bucket.is_none() && config.news.is_none());
        let config = read(&[("LLM_API_KEY_PARAMETER", "/k"), ("PDF_STORAGE_BUCKET", "b")]).unwrap();
        assert!(config.model.is_some());
        assert_eq!(config.bucket.as_deref(), Some("b"));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let wrong = [
            ("POPULAR_TICKERS", "DBS19,../x"),
            ("CACHE_TTL_HOURS", "0"),
            ("MARKET_DATA_URL", "ftp://x"),
            ("NEWS_URL", "nowhere"),
            ("REPORT_LANGUAGE", "fr"),
            ("TICKERS_FILE", "/nowhere"),
            ("LLM_USD_PER_MILLION_READ", "-1"),
            ("LINE_CHANNEL_SECRET_PARAMETER", "/s"),
            ("CACHE_TIMEOUT_MS", "0"),
        ];
        let error = read(&wrong).unwrap_err();
        for (name, _) in wrong {
            assert!(error.contains(name), "{name}: {error}");
        }
        let twice = [("HIGH_VOLUME_TICKERS", "A"), ("LOW_VOLUME_TICKERS", "A")];
        assert!(read(&twice).unwrap_err().contains("both have A"));
    }
}
