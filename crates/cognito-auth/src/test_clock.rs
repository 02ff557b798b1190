//! A clock that a test sets.
#![expect(clippy::expect_used, reason = "test support: a failed step must fail the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// A clock that changes only when a test sets it. Clones are the same clock.
///
/// Pass it to [`VerifierBuilder::clock`](crate::VerifierBuilder::clock).
#[derive(Debug, Clone)]
pub struct TestClock {
    origin: SystemTime,
    /// The elapsed time, which never decreases, as that of a monotonic clock.
    elapsed: Arc<watch::Sender<Duration>>,
    /// By how many seconds the time of day was set back.
    set_back: Arc<AtomicU64>,
}

impl TestClock {
    /// Creates a clock that shows the current time.
    #[must_use]
    pub fn new() -> Self {
        Self::at(SystemTime::now())
    }

    /// Creates a clock that shows this time.
    #[must_use]
    pub fn at(origin: SystemTime) -> Self {
        Self { origin, elapsed: Arc::new(watch::Sender::new(Duration::ZERO)), set_back: Arc::default() }
    }

    /// Moves the clock forward and wakes the tasks that wait for that time.
    pub fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }

    /// Sets the time of day back, in whole seconds, as an administrator can. Waiting tasks are not affected.
    pub fn set_back(&self, by: Duration) {
        self.set_back.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// Returns the time that the clock shows.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.origin + self.elapsed() - Duration::from_secs(self.set_back.load(Ordering::Relaxed))
    }

    pub(crate) fn unix_seconds(&self) -> i64 {
        let since_epoch = self.now().duration_since(UNIX_EPOCH).expect("the clock shows a time after 1970");
        i64::try_from(since_epoch.as_secs()).expect("the time fits into 64 bits")
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
