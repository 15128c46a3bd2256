//! Waiting with a precision below a millisecond, which tokio's timers do not have.

use std::time::Duration;

use tokio::time::Instant;

/// Time before the end that is left to a thread: tokio wakes up to a millisecond late, and later on a busy machine.
const LAST_STRETCH: Duration = Duration::from_millis(2);

/// Waits until `due`.
pub(super) async fn until(due: Instant) {
    if let Some(early) = due.checked_sub(LAST_STRETCH) {
        tokio::time::sleep_until(early).await;
    }
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        // The end of a thread that only sleeps cannot fail.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
}
