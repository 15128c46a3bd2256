//! English.

use super::phrases::{Know, Percentiles, Phrases, Risks, Story};

pub(super) static ENGLISH: Phrases = Phrases {
    headings: [
        "📖 The story so far",
        "💡 What you need to know",
        "🎯 What to do now",
        "⚠️ What to watch out for",
        "📊 Percentile analysis",
    ],
    recommendations: ["Buy", "Hold", "Sell"],
    news: "📰 News",
    disclaimer: "Made by a program from past prices. No investment advice.",
    written_by_rules: "Written by rules, without a language model.",
    as_of: "as of",
    percentile: "percentile",
    story: Story {
        close: "{{NAME}} stood at {{CURRENCY}} {{CLOSE}} on {{DATE}}.",
        change: "That is {{CHANGE_PCT}}% against the session before.",
        range: "In the {{DAYS}} sessions on record it has moved between {{LOW}} and {{HIGH}}.",
        up: "The price is above its medium-term average of {{SMA_50}} and above its long one: the trend points up.",
        down: "The price is below its medium-term average of {{SMA_50}} and below its long one: the trend points down.",
        mixed: "The price lies between its medium-term average of {{SMA_50}} and its long one: the trend is not decided.",
        young: "It has not been traded long enough for averages that tell a trend.",
    },
    know: Know {
        overbought: "• RSI is {{RSI}}: the stock has risen fast and counts as overbought.",
        strong: "• RSI is {{RSI}}: buyers have had the upper hand lately.",
        weak: "• RSI is {{RSI}}: sellers have had the upper hand lately.",
        oversold: "• RSI is {{RSI}}: the stock has fallen fast and counts as oversold.",
        macd_rises: "• MACD is {{MACD}} and above its signal line: momentum is building.",
        macd_falls: "• MACD is {{MACD}} and below its signal line: momentum is fading.",
        above_vwap: "• The price is {{VWAP_PCT}}% against the average that was paid over the period: most holders are in profit.",
        below_vwap: "• The price is {{VWAP_PCT}}% against the average that was paid over the period: most holders are at a loss.",
        volume: [
            "• Volume is {{VOLUME_RATIO}} times its recent mean: far more interest than usual.",
            "• Volume is {{VOLUME_RATIO}} times its recent mean: about as much interest as usual.",
            "• Volume is {{VOLUME_RATIO}} times its recent mean: little interest.",
        ],
    },
    action: [
        "Trend and momentum agree upwards. Whoever wants to own {{NAME}} finds the signals on their side; buying in parts keeps the risk small.",
        "The signals do not agree. Whoever holds {{NAME}} has no reason to act; whoever does not can wait until trend and momentum point the same way.",
        "Trend and momentum agree downwards. Whoever holds {{NAME}} may want to take money off the table, or to set a limit below which to sell.",
    ],
    risks: Risks {
        volatility: [
            "• Swings are large: {{ATR_PCT}}% of the price on an ordinary day, more than it mostly has been. Smaller positions are wiser.",
            "• On an ordinary day the price swings by {{ATR_PCT}}%, about as much as it mostly has.",
            "• Swings are small just now, {{ATR_PCT}}% of the price a day. Calm phases tend to end suddenly.",
        ],
        overbought: "• After a fast rise a setback is likely, even if the trend holds.",
        oversold: "• After a fast fall a rebound is likely, and so is another fall: both come quickly.",
        thin: "• With little volume a few orders can move the price.",
        against_trend: "• Averages lag: when they turn, part of the move is over.",
        always: "• News and results can make every figure here worthless overnight.",
    },
    percentiles: Percentiles {
        opening: "How today compares with all sessions on record for this stock:",
        rsi: "• RSI {{RSI}}: higher than or as high as on {{RSI_PERCENTILE}}% of days.",
        macd: "• MACD {{MACD}}: at the {{MACD_PERCENTILE}}% mark.",
        atr: "• Daily swing {{ATR_PCT}}%: at the {{ATR_PCT_PERCENTILE}}% mark.",
        vwap: "• Distance to the average price paid {{VWAP_PCT}}%: at the {{VWAP_PCT_PERCENTILE}}% mark.",
        volume: "• Volume {{VOLUME_RATIO}} times its mean: at the {{VOLUME_RATIO_PERCENTILE}}% mark.",
        too_few: "There are too few sessions on record to compare today with.",
    },
};
