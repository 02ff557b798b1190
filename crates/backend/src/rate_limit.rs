//! How many requests one caller, or one address, may make in a minute.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use quick_cache::sync::Cache;

use crate::{models::owner::Owner, problem::Problem, rejection::Reason};

/// How many callers are remembered; one that is forgotten starts anew. 100 000 of them take about 15 MB.
const CALLERS: usize = 100_000;

/// Items on a page that cost as much as one request.
const ITEMS_PER_UNIT: usize = 20;

/// A token bucket for each key (GCRA): a minute's worth at once, refilled evenly.
///
/// Each server counts for itself. Behind a balancer with `n` of them a caller has up to `n` times as much.
pub(crate) struct RateLimiter<K = Owner>(Option<Arc<Buckets<K>>>);

impl<K> Clone for RateLimiter<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Buckets<K> {
    per_minute: u32,
    started: Instant,
    /// For each key the time, in nanoseconds since `started`, at which their bucket is full again.
    full_at: Cache<K, Arc<AtomicU64>>,
}

/// Returns what a request costs: 2 for a write; for a list 1 for every 20 items of the page that it asks for; else 1.
pub(crate) fn cost(method: &Method, query: Option<&str>) -> u32 {
    if !method.is_safe() {
        return 2;
    }
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let limit = pairs.find(|(name, _)| name == "limit").and_then(|(_, limit)| limit.parse().ok());
    list_cost(limit.unwrap_or(1))
}

/// Returns what a page of a list costs.
pub(crate) fn list_cost(limit: usize) -> u32 {
    u32::try_from(limit.div_ceil(ITEMS_PER_UNIT)).unwrap_or(u32::MAX)
}

/// The limiter's decision on one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Permit {
    /// There is no limit.
    Unlimited,
    /// The request may proceed.
    Granted(RateLimit),
    /// The limit is exhausted; the request can be repeated after this time.
    Refused(RateLimit, Duration),
}

/// Where a caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Requests in a minute.
    pub(crate) per_minute: u32,
    /// Requests that may be made at once now.
    pub(crate) remaining: u32,
    /// Seconds until the bucket is full again.
    pub(crate) reset_seconds: u64,
}

impl<K: Clone + Eq + Hash> RateLimiter<K> {
    /// Creates a limiter; 0 means no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        let buckets = Buckets { per_minute, started: Instant::now(), full_at: Cache::new(CALLERS) };
        Self((per_minute > 0).then(|| Arc::new(buckets)))
    }

    /// Charges `cost` units to this key, if it has them.
    pub(crate) fn check(&self, key: &K, cost: u32) -> Permit {
        match &self.0 {
            None => Permit::Unlimited,
            Some(buckets) => buckets.check(key, cost, buckets.started.elapsed()),
        }
    }
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn check(&self, key: &K, cost: u32, now: Duration) -> Permit {
        let full_at = match self.full_at.get(key) {
            Some(full_at) => full_at,
            None => {
                let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
                self.full_at.get_or_insert_with(key, fresh).unwrap_or_else(|never| match never {})
            }
        };
        const MINUTE: u64 = 60 * 1_000_000_000;
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let step = MINUTE / u64::from(self.per_minute);
        // A cost above the whole bucket would never be granted.
        let price = step * u64::from(cost.clamp(1, self.per_minute));
        let taken = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now) + price;
            (next - now <= MINUTE).then_some(next)
        });
        let limit = |debt: u64| RateLimit {
            per_minute: self.per_minute,
            remaining: u32::try_from((MINUTE - debt.min(MINUTE)) / step).unwrap_or(u32::MAX),
            reset_seconds: debt.div_ceil(1_000_000_000),
        };
        match taken {
            Ok(before) => Permit::Granted(limit(before.max(now) + price - now)),
            Err(full_at) => {
                let debt = full_at - now;
                Permit::Refused(limit(debt), Duration::from_nanos(debt + price - MINUTE))
            }
        }
    }
}

impl Permit {
    /// Where the caller stands, if there is a limit.
    pub(crate) fn limit(self) -> Option<RateLimit> {
        match self {
            Self::Unlimited => None,
            Self::Granted(limit) | Self::Refused(limit, _) => Some(limit),
        }
    }

    /// Returns 429 with the time to wait if the request was refused.
    ///
    /// # Errors
    ///
    /// The 429.
    pub(crate) fn into_result(self) -> Result<(), Problem> {
        let Self::Refused(limit, wait) = self else { return Ok(()) };
        let detail = format!("You may make {} requests in a minute.", limit.per_minute);
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds);
        Err(problem.rejection(Reason::RateLimit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remaining(permit: Permit) -> Option<u32> {
        match permit {
            Permit::Granted(limit) => Some(limit.remaining),
            _ => None,
        }
    }

    #[test]
    fn bucket_holds_one_minute_and_refills_evenly() {
        let buckets = Buckets { per_minute: 3, started: Instant::now(), full_at: Cache::new(10) };
        let (alice, bob) = (Owner::user("p", "alice"), Owner::user("p", "bob"));
        let check = |owner, seconds| buckets.check(owner, 1, Duration::from_secs(seconds));
        assert_eq!(remaining(check(&alice, 0)), Some(2));
        assert_eq!(remaining(check(&alice, 0)), Some(1));
        assert_eq!(remaining(check(&alice, 0)), Some(0));
        assert!(matches!(check(&alice, 0), Permit::Refused(_, wait) if wait == Duration::from_secs(20)));
        assert_eq!(remaining(check(&bob, 0)), Some(2));
        assert!(matches!(check(&alice, 19), Permit::Refused(..)));
        assert_eq!(remaining(check(&alice, 20)), Some(0));
        assert_eq!(remaining(check(&alice, 3600)), Some(2));
    }

    #[test]
    fn zero_means_no_limit() {
        assert!(matches!(RateLimiter::new(0).check(&Owner::user("p", "alice"), 1), Permit::Unlimited));
    }

    #[test]
    fn requests_are_charged_by_cost() {
        let buckets = Buckets { per_minute: 6, started: Instant::now(), full_at: Cache::new(10) };
        let alice = Owner::user("p", "alice");
        let check = |cost, seconds| buckets.check(&alice, cost, Duration::from_secs(seconds));
        assert_eq!(remaining(check(5, 0)), Some(1));
        assert!(matches!(check(2, 0), Permit::Refused(_, wait) if wait == Duration::from_secs(10)));
        assert_eq!(remaining(check(1, 0)), Some(0));
        assert_eq!(remaining(check(100, 3600)), Some(0), "a cost above the bucket takes all of it");
    }

    #[test]
    fn writes_and_long_pages_cost_more() {
        assert_eq!(cost(&Method::GET, None), 1);
        assert_eq!(cost(&Method::GET, Some("limit=20")), 1);
        assert_eq!(cost(&Method::GET, Some("cursor=x&limit=100")), 5);
        assert_eq!(cost(&Method::GET, Some("limit=nonsense")), 1);
        assert_eq!(cost(&Method::DELETE, None), 2);
    }
}
