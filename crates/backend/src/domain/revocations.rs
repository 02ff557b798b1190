//! Sign-outs: access tokens that are rejected although they have not expired.
//!
//! A sign-out is one row in the table. Every server keeps the sign-outs of the last 24 hours in memory, the longest an
//! access token of Cognito lives, and reads what is new every few seconds. Looking a token up is one read of a map: no
//! request waits for DynamoDB.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use cognito_auth::AccessToken;
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{error, warn};

use crate::services::dynamodb::{LIFETIME_SECONDS, Revocation, Store, StoreError};

/// How often the list is read. A revoked token is refused everywhere after this time and that of one query.
const INTERVAL: Duration = Duration::from_secs(10);

/// From this age on a request reads the list before it goes on: a server's background task has stopped, or a Lambda
/// instance was frozen.
const STALE_AFTER_SECONDS: i64 = 25;

/// How long a request waits for a stale list at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after a failed read the next one by a request comes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Each read asks for the last minutes again, because the clocks of servers differ and a row can be written late.
const OVERLAP_SECONDS: i64 = 3 * 60;

/// How many subjects the list holds at most, about 100 bytes each. Later sign-outs are then not known on this server.
const MAX_SUBJECTS: usize = 500_000;

/// The sign-outs of the last 24 hours. A clone is another handle to the same list.
#[derive(Clone)]
pub struct Revocations(Arc<Shared>);

struct Shared {
    store: Store,
    pool: String,
    /// For each subject the time up to which its tokens are revoked, in seconds since 1970.
    issued_until: ArcSwap<HashMap<String, i64>>,
    /// When the list was last read completely, in seconds since 1970; 0 before the first time. Unlike an `Instant`, the
    /// system's clock goes on while a Lambda instance is frozen.
    read_at: AtomicI64,
    /// All sign-outs up to this time are in the list, except for the overlap. A read that is cut off goes on from here.
    known_until: AtomicI64,
    /// Whether it was logged that the list is full.
    is_full: AtomicBool,
    /// Held by whoever reads the list: one read at a time, and when the last one failed.
    reading: Mutex<Option<Instant>>,
}

impl Revocations {
    pub(crate) fn new(store: Store, pool: &str) -> Self {
        Self(Arc::new(Shared {
            store,
            pool: pool.to_owned(),
            issued_until: ArcSwap::default(),
            read_at: AtomicI64::default(),
            known_until: AtomicI64::default(),
            is_full: AtomicBool::default(),
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

    /// Whether the list is so old that a sign-out may be missing.
    pub(crate) fn is_stale(&self) -> bool {
        now() - self.0.read_at.load(Ordering::Relaxed) > STALE_AFTER_SECONDS
    }

    /// Reads a stale list again, and waits for that for a second at most. Does nothing while the list is current.
    ///
    /// A failure leaves the list as it was, and requests do not try again for five seconds.
    pub(crate) async fn ensure_current(&self) {
        if self.is_stale() {
            let _ = tokio::time::timeout(PATIENCE, self.read_if_stale()).await;
        }
    }

    /// Keeps the list current until the future is dropped.
    pub(crate) async fn keep_current(self) {
        loop {
            if let Ok(failed_at) = self.0.reading.try_lock() {
                self.read_once(failed_at).await;
            }
            // Servers that were started together do not read together.
            tokio::time::sleep(INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        }
    }

    async fn read_if_stale(&self) {
        let was_never_read = self.0.read_at.load(Ordering::Relaxed) == 0;
        let failed_at = match self.0.reading.try_lock() {
            Ok(failed_at) => failed_at,
            // Right after the start, requests wait for the read that is under way.
            Err(_) if was_never_read => self.0.reading.lock().await,
            Err(_) => return,
        };
        if self.is_stale() && failed_at.is_none_or(|at| at.elapsed() > PAUSE_AFTER_FAILURE) {
            self.read_once(failed_at).await;
        }
    }

    /// Reads what is new. The lock is held while DynamoDB answers; everybody who waits for it has a time limit.
    async fn read_once(&self, mut failed_at: MutexGuard<'_, Option<Instant>>) {
        // Set first: a request that gives up waiting drops this future in the middle.
        *failed_at = Some(Instant::now());
        match self.read().await {
            Ok(()) => *failed_at = None,
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "cannot read the sign-outs; those already known stay in force"
            ),
        }
    }

    async fn read(&self) -> Result<(), StoreError> {
        let shared = &*self.0;
        let started = now();
        let since = shared.known_until.load(Ordering::Relaxed) - OVERLAP_SECONDS;
        let add = |page: Vec<Revocation>| {
            let latest = page.last().map(|revocation| revocation.issued_until);
            self.add(page);
            shared.known_until.fetch_max(latest.unwrap_or_default().min(started), Ordering::Relaxed);
        };
        shared.store.revocations(&shared.pool, since.max(started - LIFETIME_SECONDS), add).await?;
        shared.known_until.fetch_max(started, Ordering::Relaxed);
        shared.read_at.store(started, Ordering::Relaxed);
        Ok(())
    }

    /// Adds revocations, and drops those that no token can match any more. Most reads find nothing new; the list is not
    /// copied then.
    fn add(&self, mut revocations: Vec<Revocation>) {
        let oldest = now() - LIFETIME_SECONDS;
        let known = self.0.issued_until.load();
        revocations.retain(|Revocation { sub, issued_until }| {
            *issued_until >= oldest && known.get(sub).is_none_or(|latest| latest < issued_until)
        });
        if revocations.is_empty() {
            return;
        }
        let mut is_full = false;
        self.0.issued_until.rcu(|known| {
            let mut issued_until = HashMap::clone(known);
            issued_until.retain(|_, until| *until >= oldest);
            for Revocation { sub, issued_until: until } in &revocations {
                let has_room = issued_until.len() < MAX_SUBJECTS;
                match issued_until.get_mut(sub) {
                    Some(latest) => *latest = (*latest).max(*until),
                    None if has_room => drop(issued_until.insert(sub.clone(), *until)),
                    None => is_full = true,
                }
            }
            issued_until
        });
        if is_full && !self.0.is_full.swap(true, Ordering::Relaxed) {
            error!(limit = MAX_SUBJECTS, "there are more sign-outs than this server can hold");
        }
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn list_is_copied_only_for_news() {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let list = Revocations::new(Store::new(client, "items", Metrics::default()), "pool");
        let row = |issued_until| Revocation { sub: "alice".to_owned(), issued_until };
        let copy = || list.0.issued_until.load_full();
        let start = now();
        list.add(vec![row(start), row(start - 2 * LIFETIME_SECONDS)]);
        let first = copy();
        assert_eq!(first["alice"], start);
        list.add(vec![row(start), row(start - 5)]);
        assert!(Arc::ptr_eq(&first, &copy()), "nothing is new");
        list.add(vec![row(start + 1)]);
        assert_eq!(copy()["alice"], start + 1);
    }
}
