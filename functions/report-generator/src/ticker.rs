//! Tickers: what people ask for, and what the exchange calls it. What is not in the map reaches neither a key nor a prompt.

use std::{collections::BTreeMap, fmt, str::FromStr};

use larder_lambda::event::shown;
use serde::{Deserialize, Serialize};

/// The map that is used where `TICKERS_FILE` names none.
const BUNDLED: &str = include_str!("../tickers.csv");
/// How many names are suggested.
const SUGGESTED: usize = 3;
/// How alike two names have to be for one to be suggested for the other, from 0 to 1.
const ALIKE: f64 = 0.6;
/// How alike they have to be for one to be taken for the other, where somebody typed it.
const THE_SAME: f64 = 0.85;
/// The most lines of a map.
const MAX_LINES: u64 = 10_000;

/// What somebody asks for, or an exchange's symbol: `^[A-Z0-9.^=-]{1,15}$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ticker(String);

impl Ticker {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ticker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = |letter: u8| {
            letter.is_ascii_uppercase() || letter.is_ascii_digit() || b".^=-".contains(&letter)
        };
        // Only dots would be a way out of a folder.
        let is_path = text.bytes().all(|letter| letter == b'.');
        if (1..=15).contains(&text.len()) && text.bytes().all(known) && !is_path {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{:?} is no ticker: use 1 to 15 of A-Z, 0-9, `.`, `^`, `=` and `-`, such as \"DBS19\"",
            shown(text)
        ))
    }
}

impl TryFrom<String> for Ticker {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Ticker> for String {
    fn from(ticker: Ticker) -> Self {
        ticker.0
    }
}

impl fmt::Display for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A ticker that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What people ask for.
    pub ticker: Ticker,
    /// What the exchange calls it.
    pub symbol: Ticker,
}

/// A ticker that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ticker} is not among the tickers{}", suggestion(nearest))]
pub struct Unknown {
    /// What was asked for.
    pub ticker: Ticker,
    /// What may have been meant, the most alike first.
    pub nearest: Vec<Ticker>,
}

fn suggestion(nearest: &[Ticker]) -> String {
    match nearest {
        [] => ": TICKERS_FILE has all there are".to_owned(),
        _ => format!(": did you mean {}?", Ticker::join(nearest, " or ")),
    }
}

impl Ticker {
    fn join(tickers: &[Self], by: &str) -> String {
        let names: Vec<_> = tickers.iter().map(Self::as_str).collect();
        names.join(by)
    }
}

/// Which tickers there are, and what exchanges call them.
#[derive(Clone, Debug)]
pub struct Tickers {
    symbols: BTreeMap<Ticker, Ticker>,
    /// Whether any other is taken as an exchange's symbol.
    unmapped: bool,
}

impl Tickers {
    /// Those that come with the function.
    pub fn bundled(unmapped: bool) -> Result<Self, String> {
        Self::parse(BUNDLED, unmapped)
    }

    /// Reads a map, which is CSV (RFC 4180): a head, then records of a ticker, a symbol and, if one likes, a name for people.
    pub fn parse(text: &str, unmapped: bool) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let head = reader.headers().map_err(|error| error.to_string())?.clone();
        let mut symbols = BTreeMap::new();
        for record in reader.into_records() {
            let record = record.map_err(|error| error.to_string())?;
            if record.iter().all(str::is_empty) {
                continue;
            }
            let line = line_of(&record, text);
            if line > MAX_LINES {
                return Err(format!("it has more than {MAX_LINES} lines"));
            }
            if record.iter().any(|field| field.contains('\n')) {
                return Err(format!(
                    "line {line}: a field runs over the end of the line: is a closing quote missing?"
                ));
            }
            let field = |index: usize, usual: &str| {
                let name = shown(head.get(index).unwrap_or(usual));
                let missing = || format!("line {line} has no field `{name}`");
                let ticker: Result<Ticker, _> = record.get(index).ok_or_else(missing)?.parse();
                ticker.map_err(|error| format!("line {line}, field `{name}`: {error}"))
            };
            let (ticker, symbol) = (field(0, "Symbol")?, field(1, "Ticker")?);
            if symbols.insert(ticker.clone(), symbol).is_some() {
                return Err(format!("line {line} has {ticker} again"));
            }
        }
        if symbols.is_empty() {
            return Err(
                "it has no tickers: put one a line below the head `Symbol,Ticker`".to_owned(),
            );
        }
        Ok(Self { symbols, unmapped })
    }

    /// What the exchange calls `ticker`.
    pub fn resolve(&self, ticker: &Ticker) -> Result<Known, Unknown> {
        let symbol = self.symbols.get(ticker);
        let symbol = symbol.or_else(|| self.unmapped.then_some(ticker));
        match symbol {
            Some(symbol) => Ok(Known {
                ticker: ticker.clone(),
                symbol: symbol.clone(),
            }),
            None => Err(Unknown {
                ticker: ticker.clone(),
                nearest: self.nearest(ticker),
            }),
        }
    }

    /// What somebody has typed: any case, and a slip of the finger is no matter. Text that could be no ticker at all is
    /// nothing.
    pub fn typed(&self, text: &str) -> Option<Result<Known, Unknown>> {
        let ticker: Ticker = text.trim().to_ascii_uppercase().parse().ok()?;
        let unknown = match self.resolve(&ticker) {
            Err(unknown) => unknown,
            known => return Some(known),
        };
        let meant = unknown.nearest.first();
        let meant = meant.filter(|near| likeness(near, &ticker) >= THE_SAME);
        Some(match meant {
            Some(meant) => self.resolve(meant),
            None => Err(unknown),
        })
    }

    /// All that there are.
    pub fn all(&self) -> impl Iterator<Item = &Ticker> {
        self.symbols.keys()
    }

    fn nearest(&self, to: &Ticker) -> Vec<Ticker> {
        let mut alike: Vec<(f64, &Ticker)> = self
            .symbols
            .iter()
            .map(|(ticker, symbol)| (likeness(ticker, to).max(likeness(symbol, to)), ticker))
            .filter(|(likeness, _)| *likeness >= ALIKE)
            .collect();
        alike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let nearest = alike.into_iter().take(SUGGESTED);
        nearest.map(|(_, ticker)| ticker.clone()).collect()
    }
}

/// The number of the line that `record` of `text` is on. The reader counts it before it has skipped empty lines.
fn line_of(record: &csv::StringRecord, text: &str) -> u64 {
    let Some(position) = record.position() else {
        return 0;
    };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let ends = rest.iter().take_while(|byte| b"\r\n".contains(byte));
    ends.filter(|byte| **byte == b'\n')
        .fold(position.line(), |line, _| line + 1)
}

fn likeness(one: &Ticker, other: &Ticker) -> f64 {
    strsim::normalized_damerau_levenshtein(one.as_str(), other.as_str())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn tickers() -> Tickers {
        Tickers::bundled(false).unwrap()
    }

    #[test]
    fn an_unknown_ticker_reaches_neither_a_key_nor_a_prompt() {
        let long = "A".repeat(100_000);
        for hostile in [
            "../etc", "..", ".", "dbs19", "DBS 19", "", "A/B", "ก", "DBS19\n", &long,
        ] {
            let refused = hostile.parse::<Ticker>().unwrap_err();
            assert!(
                refused.len() < 250 && refused.contains("no ticker"),
                "{refused}"
            );
        }
        let unknown: Ticker = "DBX19".parse().unwrap();
        let refused = tickers().resolve(&unknown).unwrap_err().to_string();
        assert_eq!(
            refused,
            "DBX19 is not among the tickers: did you mean DBS19?"
        );
        let nothing = tickers().resolve(&"QQQQQQ".parse().unwrap()).unwrap_err();
        assert!(nothing.to_string().contains("TICKERS_FILE"));
    }

    #[test]
    fn a_ticker_is_known_by_the_map_or_taken_as_a_symbol_where_that_is_allowed() {
        let known = tickers().resolve(&"DBS19".parse().unwrap()).unwrap();
        assert_eq!(known.symbol.as_str(), "D05.SI");
        let any = Tickers::bundled(true).unwrap();
        let symbol = any.resolve(&"^GSPC".parse().unwrap()).unwrap();
        assert_eq!(symbol.symbol, symbol.ticker);
    }

    #[test]
    fn what_somebody_types_may_have_a_slip() {
        let symbol = |text: &str| {
            let known = tickers().typed(text)?;
            known.ok().map(|known| known.symbol.to_string())
        };
        assert_eq!(symbol(" dbs19\n").as_deref(), Some("D05.SI"));
        assert_eq!(symbol("tencnet19").as_deref(), Some("0700.HK"));
        assert_eq!(symbol("สวัสดี"), None);
        assert!(tickers().typed("PTT").unwrap().is_err());
    }

    #[test]
    fn a_map_that_is_wrong_says_where() {
        for (text, said) in [
            ("Symbol,Ticker\nDBS19\n", "line 2 has no field `Ticker`"),
            (
                "Symbol,Ticker\nDBS19,d05\n",
                "line 2, field `Ticker`: \"d05\" is no ticker",
            ),
            (
                "Symbol,Ticker,Name\r\n\r\nA,B,\"Tea, \"\"Inc\"\"\"\r\na,B\r\n",
                "line 4, field `Symbol`: \"a\" is no ticker",
            ),
            ("Symbol,Ticker\nA,B\n\nA,C\n", "line 4 has A again"),
            (
                "Symbol,Ticker,Name\nA,B,\"Tea\nC,D,Rice\n",
                "line 2: a field runs over the end",
            ),
            ("Symbol,Ticker\n", "it has no tickers"),
            ("", "it has no tickers"),
        ] {
            let refused = Tickers::parse(text, false).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
        let mut lines = "Symbol,Ticker\n".to_owned();
        for n in 0..MAX_LINES {
            writeln!(lines, "T{n},S").unwrap();
        }
        let refused = Tickers::parse(&lines, false).unwrap_err();
        assert_eq!(refused, "it has more than 10000 lines");
    }

    #[test]
    fn reads_a_map_as_spreadsheets_write_it() {
        let text = "\u{feff}Symbol,Ticker,Name\r\n\"TENCENT19\", 0700.HK ,\"Tencent, Ltd.\"\r\n  \r\nPTT19,PTT.BK\r\n";
        let tickers = Tickers::parse(text, false).unwrap();
        for (ticker, symbol) in [("TENCENT19", "0700.HK"), ("PTT19", "PTT.BK")] {
            let known = tickers.resolve(&ticker.parse().unwrap()).unwrap();
            assert_eq!(known.symbol.as_str(), symbol);
        }
        assert_eq!(tickers.all().count(), 2);
    }
}
