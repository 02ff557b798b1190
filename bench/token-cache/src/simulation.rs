//! Requests of users of whom few ask often, to one instance with one cache.

use quick_cache::unsync::Cache;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Zipf};

/// How long Cognito's access tokens live by default, and so how long a hit is possible.
const TOKEN_LIFETIME_SECONDS: f64 = 3600.0;

/// Every run is the same.
const SEED: u64 = 20_261_122;

/// Who asks, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) users: u64,
    /// The exponent of Zipf's law: the k-th most active user asks in proportion to 1 / k^skew.
    pub(crate) skew: f64,
    pub(crate) requests_per_second: f64,
}

/// The share of an hour's requests whose token is in the cache, after an hour in which it filled.
pub(crate) fn hit_rate(load: Load, capacity: usize) -> f64 {
    let mut random = SmallRng::seed_from_u64(SEED);
    #[expect(clippy::expect_used, reason = "the loads are constants of this program")]
    let users = Zipf::new(load.users as f64, load.skew).expect("a positive number of users and exponent");
    let mut cache = Cache::new(capacity);
    let hour = (load.requests_per_second * TOKEN_LIFETIME_SECONDS) as u64;
    let mut hits = 0;
    for request in 0..2 * hour {
        let user = users.sample(&mut random) as u64;
        let token = (user, token_number(user, request as f64 / load.requests_per_second));
        if cache.get(&token).is_some() {
            hits += u64::from(request >= hour);
        } else {
            cache.insert(token, ());
        }
    }
    hits as f64 / hour as f64
}

/// Which of a user's tokens is in use; each user's ends at another moment of the hour.
fn token_number(user: u64, seconds: f64) -> u64 {
    let phase: f64 = SmallRng::seed_from_u64(user).random();
    (seconds / TOKEN_LIFETIME_SECONDS + phase) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_holds_everybody_misses_once_a_token() {
        let load = Load { users: 10, skew: 1.0, requests_per_second: 10.0 };
        let misses = (1.0 - hit_rate(load, 1_000)) * 36_000.0;
        assert!((9.0..=11.0).contains(&misses), "{misses}");
    }

    #[test]
    fn a_larger_cache_hits_more() {
        let load = Load { users: 10_000, skew: 0.8, requests_per_second: 10.0 };
        assert!(hit_rate(load, 1_000) > 1.2 * hit_rate(load, 100));
    }
}
