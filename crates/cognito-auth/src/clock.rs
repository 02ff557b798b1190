//! The time: of day for the claims of tokens, and elapsed for schedules.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Tests put a clock of their own in its place and need not wait.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// The machine's clock.
    System {
        /// The zero of [`Clock::elapsed`].
        origin: Instant,
    },
    /// A clock that a test moves.
    #[cfg(feature = "testing")]
    Test(crate::test_clock::TestClock),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System { origin: Instant::now() }
    }

    /// Seconds since 1970-01-01T00:00:00Z, the unit of `exp`, `nbf` and `iat` (RFC 7519, section 2, `NumericDate`).
    pub(crate) fn unix_seconds(&self) -> i64 {
        match self {
            Self::System { .. } => unix_seconds(SystemTime::now()),
            #[cfg(feature = "testing")]
            Self::Test(clock) => clock.unix_seconds(),
        }
    }

    /// Time since an origin of no meaning; it never runs backwards.
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

/// The time of day in whole seconds; a machine whose clock stands before 1970 is at zero, where every token is refused.
fn unix_seconds(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// The time of day that a claim names. Claims are checked to be positive and before the year 10 000.
pub(crate) fn system_time(unix_seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_seconds.unsigned_abs())
}
