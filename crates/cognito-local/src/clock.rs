//! The clock of the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock of the pool, which a test can advance instead of waiting.
///
/// Clones share one time.
///
/// ```
/// let clock = cognito_local::Clock::system();
/// let before = clock.unix_seconds();
/// clock.advance(std::time::Duration::from_secs(3600));
/// assert!(clock.unix_seconds() >= before + 3600);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The time of the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Moves this clock, and all its clones, forward from here on.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Whole seconds since 1970-01-01 UTC, as a JWT's `NumericDate` counts them.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.unix_millis() / 1000
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_millis(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        now.saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }
}
