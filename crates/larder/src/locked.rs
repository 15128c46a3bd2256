//! One way to take a mutex.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What `mutex` guards, also where somebody has panicked with it: nothing here is left half done.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
