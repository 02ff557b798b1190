//! How keys are fetched and used, with an HTTP server on a loopback port and a clock that the tests set.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cognito_auth::testing::{JwksServer, TestClock, TestPool};
use cognito_auth::{KeySetError, Verifier, VerifyError};
use serde_json::json;

mod fetches;
mod keys;
mod outages;

const MINUTE: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Longer than the time between two refreshes: ten minutes and a tenth.
const REFRESH: Duration = Duration::from_secs(11 * 60 + 1);

/// The time limit of a condition; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pool that serves its keys, and a verifier that fetches them.
struct Fixture {
    pool: TestPool,
    server: JwksServer,
    clock: TestClock,
    verifier: Verifier,
}

impl Fixture {
    async fn new() -> Self {
        let clock = TestClock::new();
        let pool = TestPool::new().with_clock(&clock);
        let server = pool.serve().await;
        let builder = Verifier::builder(pool.served_user_pool(&server)).client_ids([pool.client_id()]);
        let verifier = builder.clock(clock.clone()).build().unwrap();
        Self { pool, server, clock, verifier }
    }

    /// A fixture whose keys are loaded.
    async fn ready() -> Self {
        let fixture = Self::new().await;
        fixture.verifier.ready().await.unwrap();
        fixture
    }

    /// A token with the longest lifetime.
    fn token(&self) -> String {
        self.token_of(&self.pool)
    }

    fn token_of(&self, pool: &TestPool) -> String {
        pool.user("alice").issued_at(self.clock.now() + Duration::from_secs(5)).expires_in(DAY).access_token()
    }

    async fn accepts(&self, raw: &str) -> bool {
        self.verifier.verify_access(raw).await.is_ok()
    }

    fn fetches(&self) -> u64 {
        self.verifier.stats().pools[0].fetches
    }

    /// Waits until the task has made this many fetches.
    async fn after_fetches(&self, fetches: u64) {
        eventually(async || self.fetches() >= fetches).await;
        assert_eq!(self.fetches(), fetches);
    }

    /// Gives the task time to do what it should not do, for which there is no event to wait for.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.expect("the condition is met in time");
}

/// The token with the ID of a key that does not exist.
fn with_unknown_kid(raw: &str, number: usize) -> String {
    let header = json!({ "kid": format!("unknown-{number}"), "alg": "RS256" }).to_string();
    let (_, rest) = raw.split_once('.').unwrap();
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header))
}

fn is_unavailable<T>(outcome: &Result<T, VerifyError>) -> bool {
    matches!(outcome, Err(VerifyError::KeysUnavailable(KeySetError::Unavailable { .. })))
}

fn is_pending(error: &VerifyError) -> bool {
    matches!(error, VerifyError::KeysUnavailable(KeySetError::FetchPending { .. }))
}
