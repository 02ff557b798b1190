//! When keys are fetched.

use std::time::Duration;

use super::error::FetchError;

/// How often the keys are fetched again (`guide::key_set`).
const REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Unknown key IDs cause at most one fetch in this time on average.
const REQUEST_INTERVAL: Duration = Duration::from_secs(15);

/// How many fetches can follow each other at once: an attacker who uses up one just before a rotation leaves another.
const BURST: u32 = 2;

/// The first wait after a failed fetch; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait after a failed fetch while there are no keys: service must return within seconds of the issuer.
const MAX_BACKOFF_WITHOUT_KEYS: Duration = Duration::from_secs(4);

/// The longest wait after a failed fetch while older keys are in use.
const MAX_BACKOFF_WITH_KEYS: Duration = Duration::from_secs(60);

/// The fetches so far, which are numbered from 1, and when the next one is due.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) started: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    /// The last fetch that succeeded.
    pub(super) succeeded: u64,
    pub(super) failure: Option<FetchError>,
    pub(super) next_start: Duration,
    failures_in_a_row: u32,
    last_start: Duration,
    /// When the bucket of fetches is full again: each fetch adds [`REQUEST_INTERVAL`].
    bucket_full: Duration,
}

impl Progress {
    pub(super) fn is_in_flight(&self) -> bool {
        self.started > self.finished
    }

    /// The earliest time at which an unknown key ID may cause a fetch.
    pub(super) fn request_due(&self) -> Duration {
        let bucket = self.bucket_full.saturating_sub(REQUEST_INTERVAL * (BURST - 1));
        match self.failure {
            // Only the backoff tries more often than this.
            Some(_) => bucket.max(self.last_start + REQUEST_INTERVAL),
            None => bucket,
        }
    }

    pub(super) fn start(&mut self, now: Duration) {
        self.started += 1;
        self.last_start = now;
        let full = self.bucket_full.max(now) + REQUEST_INTERVAL;
        // A refresh or a retry takes from the bucket what is there.
        self.bucket_full = full.min(now + REQUEST_INTERVAL * BURST);
    }

    pub(super) fn finish(&mut self, outcome: Result<(), FetchError>, has_keys: bool, now: Duration) {
        self.finished = self.started;
        self.failure = outcome.err();
        let wait = if self.failure.is_some() {
            self.failed += 1;
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
            backoff(self.failures_in_a_row, has_keys)
        } else {
            self.succeeded = self.started;
            self.failures_in_a_row = 0;
            REFRESH_INTERVAL
        };
        self.next_start = now + with_jitter(wait);
    }
}

fn backoff(failures: u32, has_keys: bool) -> Duration {
    let limit = if has_keys { MAX_BACKOFF_WITH_KEYS } else { MAX_BACKOFF_WITHOUT_KEYS };
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(limit)
}

/// Up to a tenth more or less, so that the instances of a service do not fetch at the same time.
fn with_jitter(wait: Duration) -> Duration {
    wait * fastrand::u32(900..=1_100) / 1_000
}
