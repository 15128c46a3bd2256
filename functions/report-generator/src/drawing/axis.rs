//! From values to places, and the round values between.

/// A vertical axis: which value is how high.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    top: f64,
    height: f64,
}

impl Axis {
    /// The lowest and the highest of `values` at the ends of `height` below `top`. `None` if there are none. What is
    /// flat gets room above and below.
    pub(super) fn over(values: impl Iterator<Item = f64>, top: f64, height: f64) -> Option<Self> {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        (low <= high).then(|| Self::between(low, high, top, height))
    }

    /// The same of two ends.
    pub(super) fn between(low: f64, high: f64, top: f64, height: f64) -> Self {
        let least = (low.abs().max(high.abs()) * 1e-6).max(f64::MIN_POSITIVE * 1e6);
        let (low, high) = match high - low < least {
            // As of something that costs 0 for ever.
            true if high.abs() <= least => (low - 1.0, high + 1.0),
            true => (low - low.abs() * 0.02, high + high.abs() * 0.02),
            false => (low, high),
        };
        Self {
            low,
            high,
            top,
            height,
        }
    }

    /// The same with `share` of its height left free at both ends.
    pub(super) fn with_room(self, share: f64) -> Self {
        let room = (self.high - self.low) * share;
        Self {
            low: self.low - room,
            high: self.high + room,
            ..self
        }
    }

    pub(super) fn ends(&self) -> [f64; 2] {
        [self.low, self.high]
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.top + self.height * (1.0 - share)
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        value >= self.low && value <= self.high
    }

    pub(super) fn clamp(&self, value: f64) -> f64 {
        value.max(self.low).min(self.high)
    }

    /// About `count` round values, and how many decimals they take.
    pub(super) fn ticks(&self, count: u8) -> (Vec<f64>, usize) {
        let (step, decimals) = round_step((self.high - self.low) / f64::from(count.max(1)));
        let first = (self.low / step).ceil();
        let ticks = (0..4 * u16::from(count))
            .map(|at| (first + f64::from(at)) * step)
            .take_while(|tick| *tick <= self.high + step * 1e-6);
        (ticks.collect(), decimals)
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less than `least`, and its decimals.
fn round_step(least: f64) -> (f64, usize) {
    let mut power = 1.0;
    let mut decimals = 0_u8;
    while power * 10.0 <= least && power < 1e300 {
        power *= 10.0;
    }
    while power > least && decimals < 12 {
        decimals += 1;
        power = 10_f64.powi(-i32::from(decimals));
    }
    let steps = [1.0, 2.0, 5.0].map(|times| times * power);
    let step = steps.into_iter().find(|step| *step >= least * 0.999);
    match step {
        Some(step) => (step, usize::from(decimals)),
        None => (power * 10.0, usize::from(decimals.saturating_sub(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(low: f64, high: f64) -> (Vec<f64>, usize) {
        Axis::between(low, high, 0.0, 100.0).ticks(5)
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(233.0, 294.0), (vec![240.0, 260.0, 280.0], 0));
        assert_eq!(ticks(0.0, 1.0).0.len(), 6);
        assert_eq!(ticks(0.0, 1.0).1, 1);
        assert_eq!(
            ticks(1_190_000.0, 1_270_000.0).0.first(),
            Some(&1_200_000.0)
        );
        let (small, decimals) = ticks(0.00112, 0.00131);
        assert!(small.len() >= 3 && decimals == 5, "{small:?} {decimals}");
    }

    #[test]
    fn there_are_a_few_ticks_of_anything() {
        let ends = [
            (0.0, 0.0),
            (5.0, 5.0),
            (-3.0, 8.0),
            (1e12, 3e12),
            (1e-9, 2e-9),
            (1e200, 3e200),
        ];
        for (low, high) in ends {
            let (ticks, _) = ticks(low, high);
            assert!((1..=20).contains(&ticks.len()), "{low} {high} {ticks:?}");
            assert!(ticks.iter().all(|tick| tick.is_finite()));
        }
    }

    #[test]
    fn higher_values_are_higher_up() {
        let axis = Axis::over([3.0, f64::NAN, 1.0].into_iter(), 10.0, 20.0).unwrap();
        let places = [3.0, 2.0, 1.0].map(|value| axis.y(value));
        assert!(places.is_sorted(), "{places:?}");
        assert!((places[0] - 10.0).abs() < 1e-9 && (places[2] - 30.0).abs() < 1e-9);
        assert!(Axis::over([f64::NAN].into_iter(), 0.0, 1.0).is_none());
    }
}
