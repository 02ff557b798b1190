//! Whether the server can do its work: are there keys to verify tokens with, and does the table answer?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cognito_auth::Verifier;
use tokio::sync::Mutex;
use tracing::warn;

use crate::{domain::Revocations, problem::chain, services::dynamodb::Store};

/// How long a readiness result is cached: anybody may ask, and asking must not become a load on DynamoDB.
const LIFETIME: Duration = Duration::from_secs(1);

/// The readiness check. A clone shares its cached result.
#[derive(Clone)]
pub(crate) struct Readiness {
    verifier: Verifier,
    store: Store,
    /// If requests are rejected without it.
    revocations: Option<Revocations>,
    last: Arc<Mutex<Option<(Instant, Parts)>>>,
}

/// The parts that a server needs, and whether each of them works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The keys that verify tokens.
    pub(crate) keys: bool,
    /// The DynamoDB table.
    pub(crate) table: bool,
    /// The list of revoked tokens, if it is required.
    pub(crate) revocations: Option<bool>,
}

impl Readiness {
    /// Creates a check of this verifier's keys, of this table, and of this list.
    pub(crate) fn new(verifier: Verifier, store: Store, revocations: Option<Revocations>) -> Self {
        Self { verifier, store, revocations, last: Arc::default() }
    }

    /// Checks all parts, or returns the result of the last second. Concurrent callers share one check.
    pub(crate) async fn check(&self) -> Parts {
        let mut last = self.last.lock().await;
        if let Some((checked, parts)) = *last
            && checked.elapsed() < LIFETIME
        {
            return parts;
        }
        let (keys, table) = tokio::join!(self.verifier.ready(), self.store.check());
        let mut parts = Parts { keys: works("keys", keys), table: works("table", table), revocations: None };
        if let Some(revocations) = &self.revocations {
            revocations.ensure_current().await;
            parts.revocations = Some(!revocations.is_stale());
        }
        *last = Some((Instant::now(), parts));
        parts
    }
}

fn works<E: std::error::Error + 'static>(part: &str, result: Result<(), E>) -> bool {
    if let Err(error) = &result {
        warn!(part, cause = chain(error), "not ready");
    }
    result.is_ok()
}
