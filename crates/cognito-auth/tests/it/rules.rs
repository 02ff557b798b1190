//! The rules of verification: what each rejects, and its exact limit.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cognito_auth::testing::{TestClock, TestPool};
use cognito_auth::{AccessToken, Verifier, VerifierBuilder, VerifyError};
use serde_json::Value;

mod claims;
mod id_tokens;
mod jose;
mod pools;
mod times;

/// A pool with a fixed clock, and its verifier.
struct Fixture {
    pool: TestPool,
    now: i64,
    verifier: Verifier,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(change: impl FnOnce(VerifierBuilder) -> VerifierBuilder) -> Self {
        let clock = TestClock::new();
        let pool = TestPool::new().with_clock(&clock);
        let now = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let verifier = change(pool.verifier_builder()).build().unwrap();
        Self { pool, now, verifier }
    }

    async fn verify(&self, raw: &str) -> Result<AccessToken, VerifyError> {
        self.verifier.verify_access(raw).await
    }

    async fn accepted(&self, raw: &str) -> AccessToken {
        self.verify(raw).await.unwrap()
    }

    async fn rejected(&self, raw: &str) -> VerifyError {
        self.verify(raw).await.unwrap_err()
    }

    /// A token of alice with one claim changed.
    fn with_claim(&self, name: &str, value: Value) -> String {
        self.pool.user("alice").claim(name, value).access_token()
    }

    fn without_claim(&self, name: &str) -> String {
        self.pool.user("alice").without_claim(name).access_token()
    }
}

/// Asserts the reason of a rejection.
macro_rules! assert_rejected {
    ($rejected:expr, $pattern:pat $(if $guard:expr)?) => {
        match $rejected {
            $pattern $(if $guard)? => {}
            other => panic!("rejected for another reason: {other:?}"),
        }
    };
}

use assert_rejected;

/// Replaces one of a token's three parts.
fn replace_part(raw: &str, index: usize, part: &str) -> String {
    let mut parts: Vec<&str> = raw.split('.').collect();
    parts[index] = part;
    parts.join(".")
}

fn encode(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}
