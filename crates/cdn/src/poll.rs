//! Waiting for an invalidation to be done: most take effect within 5 s and are done within 25 s, so the SDK's own waiter, which
//! sleeps 20 s and more, is of no use.

use std::time::{Duration, Instant};

use crate::{
    cloudfront::{CloudFront, Invalidation},
    error::{Error, ErrorKind},
};

/// When it is first asked.
const FIRST: Duration = Duration::from_secs(4);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(15);

/// The pauses before each question: 4 s, half as long again each time, and 15 s from then on.
fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST), |pause| Some((*pause * 3 / 2).min(LONGEST)))
}

/// Asks until the invalidation is completed, for `time` at most. A question that fails in passing is asked again; an
/// invalidation that `CloudFront` no longer knows is done.
pub async fn wait(
    cloudfront: &CloudFront,
    distribution: &str,
    invalidation: Invalidation,
    time: Duration,
) -> Result<Invalidation, Error> {
    let until = Instant::now() + time;
    let mut invalidation = invalidation;
    for pause in pauses() {
        let left = until.saturating_duration_since(Instant::now());
        if invalidation.is_completed || left.is_zero() {
            break;
        }
        tokio::time::sleep(pause.min(left)).await;
        let asked = cloudfront.get(distribution, &invalidation.id);
        // One question more than there is time for tells whether it was done in time.
        let left = until
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(1));
        match tokio::time::timeout(left, asked).await {
            Ok(Ok(found)) => invalidation = found,
            Ok(Err(error)) if error.kind == ErrorKind::NoInvalidation => {
                invalidation.is_completed = true;
            }
            Ok(Err(error)) if !error.is_retryable() => return Err(error),
            Ok(Err(error)) => tracing::warn!(%error, "An invalidation could not be asked about"),
            Err(_) => break,
        }
    }
    Ok(invalidation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_quarter_of_a_minute() {
        let seconds: Vec<_> = pauses().take(6).map(|pause| pause.as_secs_f64()).collect();
        assert_eq!(seconds, [4.0, 6.0, 9.0, 13.5, 15.0, 15.0]);
    }
}
