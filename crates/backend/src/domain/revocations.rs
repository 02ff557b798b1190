//! Sign-outs: access tokens that are rejected although they have not expired.
//!
//! A sign-out is one row in the table. Every server keeps the sign-outs of the last 24 hours in memory, the longest an
//! access token of Cognito lives, and reads what is new every few seconds. Looking a token up is one read of a map: no
//! request waits for DynamoDB.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use cognito_auth::AccessToken;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tracing::warn;

use crate::services::dynamodb::{LIFETIME_SECONDS, Revocation, Store, StoreError};

/// How often the list is read. A revoked token is refused everywhere after this time and that of one query.
const INTERVAL: Duration = Duration::from_secs(10);

/// From this age on a request reads the list before it goes on: a server's background task has stopped, or a Lambda
/// instance was frozen.
const STALE_AFTER: Duration = Duration::from_secs(25);

/// How long a request waits for a stale list at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after a failed read the next one by a request comes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Each read asks for the last minutes again, because the clocks of servers differ and a row can be written late.
const OVERLAP_SECONDS: i64 = 3 * 60;

/// The sign-outs of the last 24 hours. A clone is another handle to the same list.
#[derive(Clone)]
pub struct Revocations(Arc<Shared>);

struct Shared {
    store: Store,
    pool: String,
    /// For each subject the time up to which its tokens are revoked, in seconds since 1970.
    issued_until: ArcSwap<HashMap<String, i64>>,
    /// When the list was last read, in milliseconds since `started`; negative before the first time.
    read_at: AtomicI64,
    started: Instant,
    /// Held by whoever reads the list: one read at a time, and when the last one failed.
    reading: Mutex<Option<Instant>>,
}

impl Revocations {
    pub(crate) fn new(store: Store, pool: &str) -> Self {
        Self(Arc::new(Shared {
            store,
            pool: pool.to_owned(),
            issued_until: ArcSwap::default(),
            read_at: AtomicI64::new(-1),
            started: Instant::now(),
            reading: Mutex::default(),
        }))
    }

    /// Whether the token was issued before its subject signed out.
    ///
    /// `iat` has a resolution of seconds, so a token that was issued in the second of the sign-out is revoked, too.
    pub(crate) fn contains(&self, token: &AccessToken) -> bool {
        let issued_until = self.0.issued_until.load();
        let revoked = issued_until.get(token.sub());
        revoked.is_some_and(|until| OffsetDateTime::from(token.issued_at()).unix_timestamp() <= *until)
    }

    /// Revokes the tokens that a subject has now, on this server at once and on every other one within 30 seconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the sign-out is then not recorded anywhere.
    pub async fn revoke(&self, sub: &str) -> Result<(), StoreError> {
        let revocation = Revocation { sub: sub.to_owned(), issued_until: now() };
        self.0.store.put_revocation(&self.0.pool, &revocation).await?;
        self.add(vec![revocation]);
        Ok(())
    }

    /// Returns the age of the list; nothing if it was never read.
    fn age(&self) -> Option<Duration> {
        let read_at = u64::try_from(self.0.read_at.load(Ordering::Relaxed)).ok()?;
        Some(self.0.started.elapsed().saturating_sub(Duration::from_millis(read_at)))
    }

    /// Whether the list is so old that a sign-out may be missing.
    pub(crate) fn is_stale(&self) -> bool {
        self.age().is_none_or(|age| age > STALE_AFTER)
    }

    /// Reads a stale list again, and waits for that for a second at most. Does nothing while the list is current.
    ///
    /// A failure leaves the list as it was, and requests do not try again for five seconds.
    pub(crate) async fn ensure_current(&self) {
        if self.is_stale() {
            let _ = tokio::time::timeout(PATIENCE, self.read_once(PAUSE_AFTER_FAILURE)).await;
        }
    }

    /// Keeps the list current until the future is dropped.
    pub(crate) async fn keep_current(self) {
        loop {
            self.read_once(Duration::ZERO).await;
            // Servers that were started together do not read together.
            tokio::time::sleep(INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        }
    }

    /// Reads what is new, unless somebody is reading already or the last read failed less than `pause` ago.
    async fn read_once(&self, pause: Duration) {
        // Nobody waits for this lock, so it may be held while DynamoDB answers.
        let Ok(mut failed_at) = self.0.reading.try_lock() else { return };
        if failed_at.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        // Set first: a request that gives up waiting drops this future in the middle.
        *failed_at = Some(Instant::now());
        match self.read().await {
            Ok(()) => *failed_at = None,
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                age_seconds = self.age().map(|age| age.as_secs()),
                "cannot read the sign-outs; those already known stay in force"
            ),
        }
    }

    async fn read(&self) -> Result<(), StoreError> {
        let (started, now) = (self.0.started.elapsed(), now());
        let window = match self.age() {
            Some(age) => OVERLAP_SECONDS + age.as_secs() as i64,
            None => LIFETIME_SECONDS,
        };
        let since = now - window.min(LIFETIME_SECONDS);
        self.add(self.0.store.revocations(&self.0.pool, since).await?);
        self.0.read_at.store(started.as_millis() as i64, Ordering::Relaxed);
        Ok(())
    }

    /// Adds revocations, and drops those that no token can match any more.
    fn add(&self, revocations: Vec<Revocation>) {
        let oldest = now() - LIFETIME_SECONDS;
        self.0.issued_until.rcu(|known| {
            let mut issued_until = HashMap::clone(known);
            issued_until.retain(|_, until| *until >= oldest);
            for Revocation { sub, issued_until: until } in &revocations {
                let latest = issued_until.entry(sub.clone()).or_insert(*until);
                *latest = (*latest).max(*until);
            }
            issued_until
        });
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
