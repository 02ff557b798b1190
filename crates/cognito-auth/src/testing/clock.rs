//! A clock that a test moves.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// A clock that stands still until a test moves it. Clones are the same clock.
///
/// It starts at the time of day. Give it to [`VerifierBuilder::clock`](crate::VerifierBuilder::clock).
#[derive(Debug, Clone)]
pub struct TestClock {
    origin: SystemTime,
    elapsed: Arc<watch::Sender<Duration>>,
}

impl TestClock {
    /// A clock that stands at the time of day.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: SystemTime::now(), elapsed: Arc::new(watch::Sender::new(Duration::ZERO)) }
    }

    /// Moves the clock forward, and wakes whoever waits for the time it reaches.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }

    /// Where the clock stands.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.origin + self.elapsed()
    }

    pub(crate) fn unix_seconds(&self) -> i64 {
        let since_epoch = self.now().duration_since(UNIX_EPOCH).expect("the clock starts after 1970");
        i64::try_from(since_epoch.as_secs()).expect("a test does not reach the end of time")
    }

    pub(crate) fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    pub(crate) async fn sleep_until(&self, deadline: Duration) {
        let mut elapsed = self.elapsed.subscribe();
        elapsed.wait_for(|elapsed| *elapsed >= deadline).await.expect("this clock keeps the sender");
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}
