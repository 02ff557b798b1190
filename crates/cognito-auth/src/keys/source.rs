//! Where a verifier gets the keys of one pool: a set that is read without a lock, and a worker that keeps it fresh.
//!
//! All fetching is done by one task per pool, so that one fetch is in flight however many callers wait. Callers never
//! fetch: they leave a demand and watch the progress. The rules are told in [`guide::key_set`](crate::guide::key_set).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::fetch::{Endpoints, FetchError};
use super::{KeySet, PublicKey};
use crate::cache::TokenCache;
use crate::clock::Clock;
use crate::error::KeySetError;
use crate::pool::UserPool;

/// How often the keys are read again (`guide::key_set`).
const REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How old keys may become while no newer ones can be fetched: the longest lifetime of a token.
const MAX_KEY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest time from the start of one fetch to that of another which an unknown `kid` causes.
const DEMAND_INTERVAL: Duration = Duration::from_secs(30);

/// The first wait after a failed fetch; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest wait after a failed fetch while there are no keys: service must return within seconds of the issuer.
const MAX_BACKOFF_WITHOUT_KEYS: Duration = Duration::from_secs(4);

/// The longest wait after a failed fetch while older keys serve.
const MAX_BACKOFF_WITH_KEYS: Duration = Duration::from_secs(60);

/// The keys of one pool. Dropping it ends the worker.
#[derive(Debug)]
pub(crate) struct KeySource {
    shared: Arc<Shared>,
    worker: Mutex<Option<AbortHandle>>,
}

/// What the callers and the worker share.
#[derive(Debug)]
struct Shared {
    pool: Arc<str>,
    clock: Clock,
    current: ArcSwapOption<Loaded>,
    /// Emptied when the keys change.
    cache: Arc<TokenCache>,
    /// Nothing for keys that were given as text.
    endpoints: Option<Endpoints>,
    /// Asks for a fetch as soon as [`DEMAND_INTERVAL`] allows.
    demand: Notify,
    /// Asks for a fetch now.
    order: Notify,
    progress: watch::Sender<Progress>,
    running: AtomicBool,
}

/// One key set in use.
#[derive(Debug)]
pub(crate) struct Loaded {
    keys: KeySet,
    /// Differs whenever the keys differ; no two pools of a verifier share one.
    pub(crate) generation: u64,
    /// When the keys were fetched, in Unix seconds; nothing for keys that do not age.
    fetched_at: Option<i64>,
}

/// What the worker has done so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) started: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    failures_in_a_row: u32,
    last_start: Option<Duration>,
    next_start: Duration,
    failure: Option<FetchError>,
}

impl KeySource {
    pub(crate) fn new(pool: &UserPool, clock: Clock, cache: Arc<TokenCache>) -> Self {
        let offline = pool.offline_keys().map(|keys| Arc::new(Loaded::new(keys.clone(), None)));
        let endpoints = offline.is_none().then(|| Endpoints::new(pool.jwks_urls()));
        let shared = Shared {
            pool: pool.shared_id(),
            clock,
            current: ArcSwapOption::new(offline),
            cache,
            endpoints,
            demand: Notify::new(),
            order: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
            running: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), worker: Mutex::new(None) }
    }

    /// The key of this name, and the generation of its set, if there is a set that is not too old at this time.
    pub(crate) fn key(&self, kid: &str, now: i64) -> Option<(Arc<PublicKey>, u64)> {
        let loaded = self.shared.current.load();
        let loaded = loaded.as_ref().filter(|loaded| loaded.is_usable(now))?;
        Some((Arc::clone(loaded.keys.key(kid)?), loaded.generation))
    }

    /// Whether keys of this generation are in use and not too old at this time.
    pub(crate) fn is_current(&self, generation: u64, now: i64) -> bool {
        let loaded = self.shared.current.load();
        loaded.as_ref().is_some_and(|loaded| loaded.generation == generation && loaded.is_usable(now))
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.shared.has_keys()
    }

    /// The number of keys in use and the age of their set.
    pub(crate) fn extent(&self) -> (usize, Option<Duration>) {
        let loaded = self.shared.current.load();
        let Some(loaded) = loaded.as_ref() else { return (0, None) };
        (loaded.keys.len(), loaded.age(self.shared.clock.unix_seconds()))
    }

    pub(crate) fn progress(&self) -> Progress {
        self.shared.progress.borrow().clone()
    }

    pub(crate) fn pool(&self) -> &str {
        &self.shared.pool
    }

    /// Starts the worker, if there is something to fetch and it is not running. A worker ends with its runtime, and the
    /// next call starts another one.
    ///
    /// # Errors
    ///
    /// [`KeySetError::NoRuntime`] outside a tokio runtime.
    pub(crate) fn start(&self) -> Result<(), KeySetError> {
        if self.shared.endpoints.is_none() || self.shared.running.load(Ordering::Acquire) {
            return Ok(());
        }
        let no_runtime = |_| KeySetError::NoRuntime { pool: self.pool().to_owned() };
        let runtime = Handle::try_current().map_err(no_runtime)?;
        if !self.shared.running.swap(true, Ordering::AcqRel) {
            let running = Running(Arc::clone(&self.shared));
            let worker = runtime.spawn(async move { running.0.work().await });
            *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker.abort_handle());
        }
        Ok(())
    }

    /// Asks for newer keys, as an unknown `kid` does. The number returned is what to [`wait`](Self::wait) for; there is
    /// none if the last fetch is too recent, and then one is made when its time has come.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn demand(&self) -> Result<Option<u64>, KeySetError> {
        self.start()?;
        if self.shared.endpoints.is_none() {
            return Ok(None);
        }
        let progress = self.progress();
        if progress.is_in_flight() {
            return Ok(Some(progress.finished + 1));
        }
        self.shared.demand.notify_one();
        let due = progress.demand_due() <= self.shared.clock.elapsed();
        Ok(due.then_some(progress.finished + 1))
    }

    /// Has the keys fetched now, whenever the last fetch was. The number is what to [`wait`](Self::wait) for.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn order(&self) -> Result<Option<u64>, KeySetError> {
        self.start()?;
        if self.shared.endpoints.is_none() {
            return Ok(None);
        }
        let progress = self.progress();
        if !progress.is_in_flight() {
            self.shared.order.notify_one();
        }
        Ok(Some(progress.finished + 1))
    }

    /// Waits until this many fetches have ended, but never longer than a fetch can take.
    pub(crate) async fn wait(&self, fetches: u64) {
        let limit = self.shared.endpoints.as_ref().map(Endpoints::time_limit).unwrap_or_default();
        let mut progress = self.shared.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.finished >= fetches);
        // Whether it ended or not is seen by looking for the key again.
        let _ = tokio::time::timeout(limit, ended).await;
    }

    /// Why nothing can be said about a key that is not there: no usable set, the last fetch failed, or one is still in
    /// flight after a caller has waited for it.
    pub(crate) fn unavailable(&self) -> Option<KeySetError> {
        let progress = self.progress();
        let settled = progress.failure.is_none() && !progress.is_in_flight();
        if self.has_keys() && settled { None } else { Some(self.error(progress)) }
    }

    /// The error of a source whose keys are not available.
    pub(crate) fn error(&self, progress: Progress) -> KeySetError {
        let wait = progress.next_start.saturating_sub(self.shared.clock.elapsed());
        KeySetError::Unavailable {
            pool: self.pool().to_owned(),
            // `Retry-After` counts whole seconds.
            retry_after: Duration::from_secs(wait.as_millis().div_ceil(1_000).max(1) as u64),
            source: progress.failure,
        }
    }
}

impl Drop for KeySource {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.get_mut().unwrap_or_else(PoisonError::into_inner) {
            worker.abort();
        }
    }
}

impl Loaded {
    fn new(keys: KeySet, fetched_at: Option<i64>) -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        Self { keys, generation: GENERATIONS.fetch_add(1, Ordering::Relaxed), fetched_at }
    }

    /// The time since the keys were fetched; none for keys that do not age.
    fn age(&self, now: i64) -> Option<Duration> {
        let seconds = now.saturating_sub(self.fetched_at?);
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    }

    fn is_usable(&self, now: i64) -> bool {
        self.age(now).is_none_or(|age| age < MAX_KEY_AGE)
    }
}

impl Progress {
    fn is_in_flight(&self) -> bool {
        self.started > self.finished
    }

    /// The earliest time at which an unknown `kid` may cause a fetch.
    fn demand_due(&self) -> Duration {
        self.last_start.map_or(Duration::ZERO, |start| start + DEMAND_INTERVAL)
    }
}

impl Shared {
    fn has_keys(&self) -> bool {
        self.current.load().as_ref().is_some_and(|loaded| loaded.is_usable(self.clock.unix_seconds()))
    }

    async fn work(&self) {
        loop {
            self.wait_until_due().await;
            self.fetch().await;
            self.forget_demands().await;
        }
    }

    async fn wait_until_due(&self) {
        let (mut due, demand_due) = {
            let progress = self.progress.borrow();
            (progress.next_start, progress.demand_due())
        };
        loop {
            tokio::select! {
                () = self.order.notified() => return,
                () = self.clock.sleep_until(due) => return,
                () = self.demand.notified() => due = due.min(demand_due),
            }
        }
    }

    async fn fetch(&self) {
        let Some(endpoints) = &self.endpoints else { return };
        self.progress.send_modify(|progress| {
            progress.started += 1;
            progress.last_start = Some(self.clock.elapsed());
        });
        let outcome = endpoints.fetch().await.map(|keys| self.install(keys));
        self.progress.send_modify(|progress| self.record(progress, outcome));
    }

    /// Replaces the whole set, so that a key which is no longer in it is no longer accepted.
    fn install(&self, keys: KeySet) {
        let fetched_at = Some(self.clock.unix_seconds());
        let current = self.current.load();
        if let Some(current) = current.as_ref().filter(|current| current.keys == keys) {
            let generation = current.generation;
            self.current.store(Some(Arc::new(Loaded { keys, generation, fetched_at })));
            return;
        }
        tracing::info!(pool = %self.pool, keys = keys.len(), "loaded a new key set");
        self.current.store(Some(Arc::new(Loaded::new(keys, fetched_at))));
        self.cache.clear();
    }

    fn record(&self, progress: &mut Progress, outcome: Result<(), FetchError>) {
        progress.finished = progress.started;
        progress.failure = outcome.err();
        let wait = match &progress.failure {
            None => {
                progress.failures_in_a_row = 0;
                REFRESH_INTERVAL
            }
            Some(failure) => {
                progress.failed += 1;
                progress.failures_in_a_row = progress.failures_in_a_row.saturating_add(1);
                let usable = self.has_keys();
                tracing::warn!(pool = %self.pool, %failure, older_keys_serve = usable, "no key set");
                backoff(progress.failures_in_a_row, usable)
            }
        };
        progress.next_start = self.clock.elapsed() + with_jitter(wait);
    }

    /// Whoever asked while the fetch was in flight has been served by it.
    async fn forget_demands(&self) {
        tokio::select! { biased; () = self.demand.notified() => {} () = std::future::ready(()) => {} }
        tokio::select! { biased; () = self.order.notified() => {} () = std::future::ready(()) => {} }
    }
}

/// Tells the callers when the worker ends, for example because its runtime was shut down.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
        self.0.progress.send_modify(|progress| progress.finished = progress.started);
    }
}

fn backoff(failures: u32, keys_are_usable: bool) -> Duration {
    let limit = if keys_are_usable { MAX_BACKOFF_WITH_KEYS } else { MAX_BACKOFF_WITHOUT_KEYS };
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(limit)
}

/// Up to a tenth more or less, so that the instances of a service do not ask in step.
fn with_jitter(wait: Duration) -> Duration {
    let per_mille = 900 + RandomState::new().hash_one(()) % 201;
    wait * u32::try_from(per_mille).unwrap_or(1_000) / 1_000
}
