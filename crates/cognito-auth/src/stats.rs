//! Counters that an application can export as metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::VerifyError;
use crate::keys::KeySource;

/// Counts of verified and rejected tokens since the verifier was built. They are not read at one instant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stats {
    /// Accepted tokens, including those found in the cache.
    pub accepted: u64,
    /// Accepted tokens that were found in the cache.
    pub cache_hits: u64,
    /// Tokens that were rejected because they had expired.
    pub expired: u64,
    /// Tokens that were rejected for any other reason.
    pub rejected: u64,
    /// Tokens that could not be verified, because the keys were not available.
    pub keys_unavailable: u64,
    /// Tokens in the cache.
    pub cached_tokens: usize,
    /// The key set of each pool, in the order of the builder.
    pub pools: Vec<PoolStats>,
}

/// The state of one pool's key set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolStats {
    /// The pool's ID.
    pub user_pool_id: String,
    /// Keys in use.
    pub keys: usize,
    /// The age of the key set; `None` if there is none, or if it was given as text.
    pub key_set_age: Option<Duration>,
    /// Fetches that ended, including failed ones.
    pub fetches: u64,
    /// Fetches that failed.
    pub failed_fetches: u64,
}

impl PoolStats {
    pub(crate) fn of(source: &KeySource) -> Self {
        let (keys, key_set_age) = source.key_count_and_age();
        let progress = source.progress();
        Self {
            user_pool_id: source.pool().to_owned(),
            keys,
            key_set_age,
            fetches: progress.finished,
            failed_fetches: progress.failed,
        }
    }
}

/// Each counter has a cache line of its own, so that one does not slow down another.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: Counter,
    cache_hits: Counter,
    expired: Counter,
    rejected: Counter,
    keys_unavailable: Counter,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

impl Counter {
    fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn record(&self, error: Option<&VerifyError>) {
        match error {
            None => self.accepted.add_one(),
            Some(VerifyError::Expired { .. }) => self.expired.add_one(),
            Some(VerifyError::KeysUnavailable(_)) => self.keys_unavailable.add_one(),
            Some(_) => self.rejected.add_one(),
        }
    }

    pub(crate) fn record_cache_hit(&self) {
        self.cache_hits.add_one();
    }

    pub(crate) fn stats(&self, cached_tokens: usize, pools: Vec<PoolStats>) -> Stats {
        Stats {
            accepted: self.accepted.count(),
            cache_hits: self.cache_hits.count(),
            expired: self.expired.count(),
            rejected: self.rejected.count(),
            keys_unavailable: self.keys_unavailable.count(),
            cached_tokens,
            pools,
        }
    }
}
