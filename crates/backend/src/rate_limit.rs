//! How many requests one caller may make.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use quick_cache::sync::Cache;

use crate::{models::owner::Owner, problem::Problem};

/// As many callers as are remembered; one that is forgotten starts anew. 100 000 of them take some 15 MB.
const CALLERS: usize = 100_000;

/// A token bucket for each caller (GCRA): a minute's worth at once, refilled evenly.
///
/// Each server counts for itself. Behind a balancer with `n` of them a caller has up to `n` times as much.
#[derive(Clone)]
pub struct RateLimiter(Option<Arc<Buckets>>);

struct Buckets {
    per_minute: u32,
    started: Instant,
    /// For each caller the time, in nanoseconds since `started`, at which their bucket is full again.
    full_at: Cache<Owner, Arc<AtomicU64>>,
}

/// What the limiter says of one request.
#[derive(Debug, Clone, Copy)]
pub enum Permit {
    /// There is no limit.
    Unlimited,
    /// It may go on.
    Granted(RateLimit),
    /// It is one too many; the next one may come after this time.
    Refused(RateLimit, Duration),
}

/// Where a caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a minute.
    pub per_minute: u32,
    /// Requests that may be made at once now.
    pub remaining: u32,
    /// Seconds until the bucket is full again.
    pub reset_seconds: u64,
}

impl RateLimiter {
    /// A limiter; 0 means no limit.
    pub fn new(per_minute: u32) -> Self {
        let buckets = Buckets { per_minute, started: Instant::now(), full_at: Cache::new(CALLERS) };
        Self((per_minute > 0).then(|| Arc::new(buckets)))
    }

    /// Counts a request of this caller.
    pub fn check(&self, owner: &Owner) -> Permit {
        match &self.0 {
            None => Permit::Unlimited,
            Some(buckets) => buckets.check(owner, buckets.started.elapsed()),
        }
    }
}

impl Buckets {
    fn check(&self, owner: &Owner, now: Duration) -> Permit {
        let full_at = match self.full_at.get(owner) {
            Some(full_at) => full_at,
            None => {
                let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
                self.full_at.get_or_insert_with(owner, fresh).unwrap_or_else(|never| match never {})
            }
        };
        const MINUTE: u64 = 60 * 1_000_000_000;
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let step = MINUTE / u64::from(self.per_minute);
        let taken = full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let next = full_at.max(now) + step;
            (next - now <= MINUTE).then_some(next)
        });
        let limit = |debt: u64| RateLimit {
            per_minute: self.per_minute,
            remaining: u32::try_from((MINUTE - debt.min(MINUTE)) / step).unwrap_or(u32::MAX),
            reset_seconds: debt.div_ceil(1_000_000_000),
        };
        match taken {
            Ok(before) => Permit::Granted(limit(before.max(now) + step - now)),
            Err(full_at) => {
                let debt = full_at - now;
                Permit::Refused(limit(debt), Duration::from_nanos(debt + step - MINUTE))
            }
        }
    }
}

impl Permit {
    /// Where the caller stands, if there is a limit.
    pub fn limit(self) -> Option<RateLimit> {
        match self {
            Self::Unlimited => None,
            Self::Granted(limit) | Self::Refused(limit, _) => Some(limit),
        }
    }

    /// Nothing, or a 429 that says when to come back.
    ///
    /// # Errors
    ///
    /// The 429.
    pub fn into_result(self) -> Result<(), Problem> {
        let Self::Refused(limit, wait) = self else { return Ok(()) };
        let detail = format!("You may make {} requests in a minute.", limit.per_minute);
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds))
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
    fn a_minutes_worth_at_once_and_then_evenly() {
        let buckets = Buckets { per_minute: 3, started: Instant::now(), full_at: Cache::new(10) };
        let (alice, bob) = (Owner::user("p", "alice"), Owner::user("p", "bob"));
        let check = |owner, seconds| buckets.check(owner, Duration::from_secs(seconds));
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
    fn zero_is_no_limit() {
        assert!(matches!(RateLimiter::new(0).check(&Owner::user("p", "alice")), Permit::Unlimited));
    }
}
