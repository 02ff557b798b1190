//! The time of day for the claims of tokens, and elapsed time for schedules.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time. Tests replace it with a clock that they control.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// The machine's clock.
    System {
        /// When [`Clock::elapsed`] is zero.
        origin: Instant,
    },
    /// A clock that a test sets.
    #[cfg(feature = "testing")]
    Test(crate::test_clock::TestClock),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System { origin: Instant::now() }
    }

    /// Returns the seconds since 1970-01-01T00:00:00Z, the unit of `exp`, `nbf` and `iat` (RFC 7519, section 2, `NumericDate`).
    pub(crate) fn unix_seconds(&self) -> i64 {
        match self {
            Self::System { .. } => unix_seconds(SystemTime::now()),
            #[cfg(feature = "testing")]
            Self::Test(clock) => clock.unix_seconds(),
        }
    }

    /// Returns the time since an arbitrary origin. It never decreases.
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::System { origin } => origin.elapsed(),
            #[cfg(feature = "testing")]
            Self::Test(clock) => clock.elapsed(),
        }
    }

    /// Waits until [`elapsed`](Self::elapsed) reaches `deadline`.
    pub(crate) async fn sleep_until(&self, deadline: Duration) {
        match self {
            Self::System { origin } => tokio::time::sleep_until((*origin + deadline).into()).await,
            #[cfg(feature = "testing")]
            Self::Test(clock) => clock.sleep_until(deadline).await,
        }
    }
}

/// Converts a time to Unix seconds. Times before 1970 become zero, at which every token is rejected.
fn unix_seconds(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// Converts the value of a claim, which is from 1970 to 9999, to a time.
pub(crate) fn system_time(unix_seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_seconds.unsigned_abs())
}
