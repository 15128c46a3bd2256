//! What is listed, and where.

/// What Yahoo says of an exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) zone: &'static str,
    /// What Yahoo calls its time; unset where the time zone database has the same letters.
    pub(super) letters: Option<&'static str>,
    /// Hours and minutes of its own clock.
    pub(super) opens: (i8, i8),
    pub(super) closes: (i8, i8),
    /// When trading before and after those hours begins and ends.
    pub(super) around: Option<((i8, i8), (i8, i8))>,
}

/// Something with a price.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) symbol: &'static str,
    pub(super) long_name: &'static str,
    pub(super) short_name: &'static str,
    /// `EQUITY`, `INDEX` or `CURRENCY`.
    pub(super) kind: &'static str,
    pub(super) currency: &'static str,
    pub(super) exchange: &'static Exchange,
    /// What its price stays near.
    pub(super) price: f64,
    /// How much that changes in a day, as a part of it.
    pub(super) swing: f64,
    /// Decimals of its prices, and those that Yahoo recommends to show.
    pub(super) decimals: (u8, u8),
    /// What is traded on a common day; none of a currency.
    pub(super) volume: u64,
    /// Month, day and amount; each year again, on the first session from there.
    pub(super) dividends: &'static [(i8, i8, f64)],
    /// The same of four for one.
    pub(super) split: Option<(i8, i8)>,
    pub(super) quirk: Option<Quirk>,
}

/// What is odd about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quirk {
    /// It was listed twelve sessions ago.
    New,
    /// Some rows lack prices: yahoo-finance2#635.
    Nulls,
    /// The session that is on comes twice, once as of its opening and once as of now: yfinance's
    /// `fix_Yahoo_returning_live_separate`.
    Twice,
}

/// The listing of a symbol, by its letters in any case.
pub(super) fn find(symbol: &str) -> Option<&'static Listing> {
    LISTINGS
        .iter()
        .find(|listing| listing.symbol.eq_ignore_ascii_case(symbol))
}

const SINGAPORE: Exchange = Exchange {
    code: "SES",
    name: "SES",
    zone: "Asia/Singapore",
    letters: Some("SGT"),
    opens: (9, 0),
    closes: (17, 0),
    around: None,
};
const BANGKOK: Exchange = Exchange {
    code: "SET",
    name: "Thailand",
    zone: "Asia/Bangkok",
    letters: Some("ICT"),
    opens: (10, 0),
    closes: (16, 30),
    around: None,
};
const HONG_KONG: Exchange = Exchange {
    code: "HKG",
    name: "HKSE",
    zone: "Asia/Hong_Kong",
    letters: None,
    opens: (9, 30),
    closes: (16, 0),
    around: None,
};
const TOKYO: Exchange = Exchange {
    code: "JPX",
    name: "Tokyo",
    zone: "Asia/Tokyo",
    letters: None,
    opens: (9, 0),
    closes: (15, 30),
    around: None,
};
const NASDAQ: Exchange = Exchange {
    code: "NMS",
    name: "NasdaqGS",
    zone: "America/New_York",
    letters: None,
    opens: (9, 30),
    closes: (16, 0),
    around: Some(((4, 0), (20, 0))),
};
const STANDARD_AND_POORS: Exchange = Exchange {
    code: "SNP",
    name: "SNP",
    around: None,
    ..NASDAQ
};
const LONDON: Exchange = Exchange {
    code: "LSE",
    name: "LSE",
    zone: "Europe/London",
    letters: None,
    opens: (8, 0),
    closes: (16, 30),
    around: None,
};
const CURRENCIES: Exchange = Exchange {
    code: "CCY",
    name: "CCY",
    opens: (0, 0),
    closes: (23, 59),
    ..LONDON
};

const DBS: Listing = Listing {
    symbol: "D05.SI",
    long_name: "DBS Group Holdings Ltd",
    short_name: "DBS",
    kind: "EQUITY",
    currency: "SGD",
    exchange: &SINGAPORE,
    price: 53.9,
    swing: 0.011,
    decimals: (2, 2),
    volume: 4_300_000,
    dividends: &[(4, 7, 0.6), (8, 14, 0.75)],
    split: None,
    quirk: None,
};

const LISTINGS: [Listing; 12] = [
    DBS,
    Listing {
        symbol: "PTT.BK",
        long_name: "PTT Public Company Limited",
        short_name: "PTT PUBLIC COMPANY LIMITED",
        currency: "THB",
        exchange: &BANGKOK,
        price: 32.0,
        volume: 38_000_000,
        dividends: &[(3, 5, 1.2), (9, 30, 0.9)],
        ..DBS
    },
    Listing {
        symbol: "0700.HK",
        long_name: "Tencent Holdings Limited",
        short_name: "TENCENT",
        currency: "HKD",
        exchange: &HONG_KONG,
        price: 612.0,
        swing: 0.017,
        decimals: (1, 3),
        volume: 22_000_000,
        dividends: &[(5, 16, 4.5)],
        ..DBS
    },
    Listing {
        symbol: "7203.T",
        long_name: "Toyota Motor Corporation",
        short_name: "TOYOTA MOTOR CORP",
        currency: "JPY",
        exchange: &TOKYO,
        price: 2800.0,
        swing: 0.014,
        decimals: (1, 1),
        volume: 24_000_000,
        dividends: &[(3, 28, 50.0), (9, 29, 45.0)],
        ..DBS
    },
    Listing {
        symbol: "AAPL",
        long_name: "Apple Inc.",
        short_name: "Apple Inc.",
        currency: "USD",
        exchange: &NASDAQ,
        price: 268.0,
        swing: 0.015,
        volume: 48_000_000,
        dividends: &[(2, 9, 0.25), (5, 11, 0.26), (8, 10, 0.26), (11, 9, 0.26)],
        // What came before is adjusted for it already, as Yahoo's prices and volumes are.
        split: Some((6, 8)),
        ..DBS
    },
    Listing {
        symbol: "VOD.L",
        long_name: "Vodafone Group Public Limited Company",
        short_name: "VODAFONE GROUP PLC ORD USD0.20 2",
        // Pence, not pounds.
        currency: "GBp",
        exchange: &LONDON,
        price: 91.5,
        volume: 41_000_000,
        dividends: &[(6, 5, 2.0), (11, 20, 1.9)],
        ..DBS
    },
    Listing {
        symbol: "Y92.SI",
        long_name: "Thai Beverage Public Company Limited",
        short_name: "ThaiBev",
        price: 0.48,
        decimals: (3, 4),
        volume: 26_000_000,
        dividends: &[(2, 6, 0.017), (6, 4, 0.006)],
        ..DBS
    },
    Listing {
        symbol: "^GSPC",
        long_name: "S&P 500",
        short_name: "S&P 500",
        kind: "INDEX",
        currency: "USD",
        exchange: &STANDARD_AND_POORS,
        price: 6_850.0,
        swing: 0.008,
        volume: 5_100_000_000,
        dividends: &[],
        ..DBS
    },
    Listing {
        symbol: "THB=X",
        long_name: "USD/THB",
        short_name: "USD/THB",
        kind: "CURRENCY",
        currency: "THB",
        exchange: &CURRENCIES,
        price: 32.4,
        swing: 0.004,
        decimals: (3, 4),
        volume: 0,
        dividends: &[],
        ..DBS
    },
    Listing {
        symbol: "NEW.SI",
        long_name: "New Harbour REIT",
        short_name: "New Harbour",
        price: 1.12,
        decimals: (3, 4),
        dividends: &[],
        quirk: Some(Quirk::New),
        ..DBS
    },
    Listing {
        symbol: "NULL.SI",
        long_name: "Null Island Holdings Ltd",
        short_name: "Null Island",
        price: 4.2,
        dividends: &[(4, 7, 0.05)],
        quirk: Some(Quirk::Nulls),
        ..DBS
    },
    Listing {
        symbol: "TWICE.SI",
        long_name: "Twice Told Ltd",
        short_name: "Twice",
        price: 7.7,
        dividends: &[],
        quirk: Some(Quirk::Twice),
        ..DBS
    },
];
