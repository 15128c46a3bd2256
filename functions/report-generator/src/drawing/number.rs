//! Numbers as people read them.

/// `value` with `decimals` and separated thousands: `1,234,567.80`. Very small ones have as many decimals as it takes to
/// tell two of them apart.
pub(super) fn price(value: f64, decimals: u8) -> String {
    grouped(value, decimals_of(value, decimals))
}

/// With how many decimals [`price`] writes it.
pub(super) fn decimals_of(price: f64, decimals: u8) -> usize {
    let least = usize::from(decimals.min(8));
    let small = price != 0.0 && price.abs() < 0.1;
    if small {
        significant(price, least, 3)
    } else {
        least
    }
}

/// As many decimals as show `digits` of `value` that are not zeros in front; from `least` to eight.
fn significant(value: f64, least: usize, digits: i32) -> usize {
    let shows = |decimals: &usize| {
        let decimals = i32::try_from(*decimals).unwrap_or(i32::MAX);
        value.abs() >= 10_f64.powi(digits - 1 - decimals)
    };
    (least..8).find(shows).unwrap_or(8)
}

/// A difference of prices that are written with `decimals`: with its sign, and never as nothing unless it is.
pub(super) fn difference(value: f64, decimals: usize) -> String {
    let decimals = if value.abs() < 1e-9 {
        decimals
    } else {
        significant(value, decimals, 2)
    };
    signed(grouped(value, decimals))
}

/// `value` with `decimals` and separated thousands.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value.abs() >= 1e15 {
        return format!("{value:.3e}");
    }
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits.as_str(), None),
    };
    let is_nothing = digits.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    let mut text = String::from(if value < 0.0 && !is_nothing { "-" } else { "" });
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// The same with a `+` in front of what is more than nothing.
pub(super) fn signed(text: String) -> String {
    let something = text.contains(|sign: char| sign.is_ascii_digit() && sign != '0');
    if something && !text.starts_with('-') {
        format!("+{text}")
    } else {
        text
    }
}

/// `value` in thousands, millions or more: `850k`, `96.7M`.
pub(super) fn compact(value: f64) -> String {
    let units = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
    let unit = units.into_iter().find(|(unit, _)| value.abs() >= *unit);
    let (unit, suffix) = unit.unwrap_or((1.0, ""));
    let scaled = value / unit;
    let decimals = usize::from(scaled.abs() < 100.0 && scaled.fract().abs() > 0.05);
    format!("{}{suffix}", grouped(scaled, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(price(1_234_567.8, 2), "1,234,567.80");
        assert_eq!(price(-1_234.0, 0), "-1,234");
        assert_eq!(price(999.0, 0), "999");
        assert_eq!(price(53.9, 2), "53.90");
    }

    #[test]
    fn small_prices_keep_their_digits() {
        assert_eq!(price(0.0012, 2), "0.00120");
        assert_eq!(price(0.55, 2), "0.55");
        assert_eq!(price(0.055, 2), "0.0550");
        assert_eq!(price(0.0, 2), "0.00");
        assert_eq!(price(0.000_000_000_1, 2), "0.00000000");
        assert_eq!(difference(-0.000_012, decimals_of(0.0012, 2)), "-0.000012");
        assert_eq!(difference(0.0, 2), "0.00");
    }

    #[test]
    fn no_number_fills_the_page() {
        assert_eq!(price(1e300, 2), "1.000e300");
        assert_eq!(price(f64::NAN, 2), "–");
        assert!(compact(1e300).len() < 16);
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!(signed(grouped(0.36, 2)), "+0.36");
        assert_eq!(signed(grouped(-0.36, 2)), "-0.36");
        assert_eq!(signed(grouped(-0.001, 2)), "0.00");
    }

    #[test]
    fn volumes_are_short() {
        let texts = [0.0, 950.0, 850_000.0, 96_708_880.0, 2_500_000_000.0].map(compact);
        assert_eq!(texts, ["0", "950", "850k", "96.7M", "2.5B"]);
    }
}
