//! What the model writes by default: no digit of its own, names for numbers only.

use serde_json::{Map, Value};

/// The parts of an answer, in order.
pub(super) const SECTIONS: [&str; 5] = [
    "stock_story",
    "what_to_know",
    "what_to_do",
    "risks",
    "percentile_analysis",
];

const THAI: [&str; 5] = [
    "{{NAME}} ปิดตลาดวันที่ {{DATE}} ที่ {{CLOSE}} {{CURRENCY}} เปลี่ยนแปลง {{CHANGE_PCT}}% จากวันก่อนหน้า \
     ราคาเคลื่อนไหวระหว่าง {{LOW}} ถึง {{HIGH}} ในรอบปีที่ผ่านมา และยังอยู่ใกล้เส้นค่าเฉลี่ย {{SMA_50}}",
    "ค่า RSI อยู่ที่ {{RSI}} ส่วน MACD อยู่ที่ {{MACD}} สะท้อนแรงซื้อที่ยังไม่ชัดเจน \
     ปริมาณซื้อขายคิดเป็น {{VOLUME_RATIO}} เท่าของค่าเฉลี่ย และราคาห่างจาก VWAP อยู่ {{VWAP_PCT}}%",
    "ให้แนวโน้มเป็นตัวตัดสิน เพราะ {{TICKER}} แกว่งตัวใกล้ {{SMA_20}} และต้องดูว่าราคายืนเหนือ {{SMA_200}} ได้หรือไม่ \
     ควรกำหนดจุดที่ยอมรับการขาดทุนได้ก่อนลงมือ",
    "ความผันผวนวัดจาก ATR อยู่ที่ {{ATR_PCT}}% ของราคา จึงควรเผื่อระยะตัดขาดทุนให้กว้างพอ \
     หากตลาดโดยรวมอ่อนตัว ราคาอาจถอยกลับไปหา {{LOW}} ได้",
    "RSI อยู่ที่เปอร์เซ็นไทล์ {{RSI_PERCENTILE}} และ MACD อยู่ที่ {{MACD_PERCENTILE}} ของรอบปี \
     ความผันผวนอยู่ที่ {{ATR_PCT_PERCENTILE}} ปริมาณซื้อขายอยู่ที่ {{VOLUME_RATIO_PERCENTILE}} และระยะห่างจาก VWAP อยู่ที่ {{VWAP_PCT_PERCENTILE}}",
];

const ENGLISH: [&str; 5] = [
    "{{NAME}} closed at {{CLOSE}} {{CURRENCY}} on {{DATE}}, a change of {{CHANGE_PCT}}% from the day before. \
     Over the past year it traded between {{LOW}} and {{HIGH}}, and it still sits close to its average of {{SMA_50}}.",
    "RSI stands at {{RSI}} and MACD at {{MACD}}, which speaks of buyers who are not sure yet. \
     Volume was {{VOLUME_RATIO}} times its average, and the price is {{VWAP_PCT}}% away from VWAP.",
    "The trend decides here: {{TICKER}} swings around {{SMA_20}}, and what counts is whether it stays above {{SMA_200}}. \
     Settle how much you can afford to lose before you act.",
    "Its ATR is {{ATR_PCT}}% of the price, so a stop has to leave enough room. \
     If the market as a whole weakens, the price may fall back towards {{LOW}}.",
    "RSI is at percentile {{RSI_PERCENTILE}} of its year and MACD at {{MACD_PERCENTILE}}. \
     Volatility is at {{ATR_PCT_PERCENTILE}}, volume at {{VOLUME_RATIO_PERCENTILE}}, and the distance from VWAP at {{VWAP_PCT_PERCENTILE}}.",
];

/// The sections, in the language and with the advice that the prompt leads to.
pub(super) fn sections(prompt: &str) -> Map<String, Value> {
    let is_english = prompt
        .lines()
        .any(|line| line.trim() == "Language: English");
    let texts = if is_english { ENGLISH } else { THAI };
    // One ticker has one answer, in whatever language, and not all tickers have the same.
    let close = prompt.lines().find(|line| line.starts_with("{{CLOSE}}"));
    let advice = match close.unwrap_or(prompt).bytes().fold(0_u8, u8::wrapping_add) % 3 {
        0 => "BUY",
        1 => "HOLD",
        _ => "SELL",
    };
    let sections = SECTIONS.into_iter().zip(texts);
    let sections = sections.map(|(name, text)| {
        let text = match name {
            "what_to_do" => format!("{advice}: {text}"),
            _ => text.to_owned(),
        };
        (name.to_owned(), text.into())
    });
    sections.collect()
}
