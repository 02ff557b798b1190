//! The source of one pool's keys: a set that is read without a lock, and a worker that keeps it fresh.
//!
//! One task per pool makes all fetches, so at most one is in flight however many callers wait. Callers request a fetch and
//! watch the progress. [`guide::key_set`](crate::guide::key_set) describes the rules.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use url::Url;

use super::error::{FetchError, KeySetError};
use super::fetch::Endpoints;
use super::fetcher::LimitedFetcher;
use super::jwk::PublicKey;
use super::schedule::Progress;
use super::set::KeySet;
use crate::clock::Clock;

/// How old keys may become while no newer ones can be fetched: the longest lifetime of a token.
const MAX_KEY_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Where keys come from.
pub(crate) enum Origin {
    /// These keys, which do not age.
    Fixed(KeySet),
    /// The first of these URLs that serves keys.
    Urls(Vec<Url>, LimitedFetcher),
}

/// The keys of one pool. Dropping it ends the worker.
pub(crate) struct KeySource {
    shared: Arc<Shared>,
    worker: Mutex<Option<AbortHandle>>,
}

/// What the callers and the worker share.
struct Shared {
    pool: Arc<str>,
    clock: Clock,
    current: ArcSwapOption<Loaded>,
    /// Called when the keys change.
    on_change: Box<dyn Fn() + Send + Sync>,
    /// `None` for fixed keys.
    endpoints: Option<Endpoints>,
    /// The fetch that callers need as soon as [`Progress::request_due`] allows.
    requested: watch::Sender<u64>,
    /// The fetch that callers need now.
    forced: watch::Sender<u64>,
    progress: watch::Sender<Progress>,
    running: AtomicBool,
}

/// One key set in use.
#[derive(Debug)]
pub(crate) struct Loaded {
    keys: KeySet,
    /// Differs whenever the keys differ; no two pools of a verifier share one.
    pub(crate) generation: u64,
    /// When the keys were fetched, in Unix seconds; `None` for keys that do not age.
    fetched_at: Option<i64>,
}

impl KeySource {
    pub(crate) fn new(
        pool: Arc<str>,
        origin: Origin,
        clock: Clock,
        on_change: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (fixed, endpoints) = match origin {
            Origin::Fixed(keys) => (Some(Arc::new(Loaded::new(keys, None))), None),
            Origin::Urls(urls, fetcher) => (None, Some(Endpoints::new(urls, fetcher))),
        };
        let shared = Shared {
            pool,
            clock,
            current: ArcSwapOption::new(fixed),
            on_change: Box::new(on_change),
            endpoints,
            requested: watch::Sender::new(0),
            forced: watch::Sender::new(0),
            progress: watch::Sender::new(Progress::default()),
            running: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), worker: Mutex::new(None) }
    }

    /// Returns the key with this ID and the generation of its set, unless the set is too old at this time.
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

    /// Returns the number of keys in use and the age of their set.
    pub(crate) fn key_count_and_age(&self) -> (usize, Option<Duration>) {
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

    /// Returns the number of the first fetch that has not started yet: only that one, or a later one, can tell whether a
    /// key exists now.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn next_fetch(&self) -> Result<u64, KeySetError> {
        self.start()?;
        let started = self.shared.progress.borrow().started;
        Ok(if self.shared.endpoints.is_some() { started + 1 } else { 0 })
    }

    /// Requests this fetch, as an unknown `kid` does. It starts when it is due.
    pub(crate) fn request(&self, fetch: u64) {
        raise(&self.shared.requested, fetch);
    }

    /// Fetches the keys now, or joins the fetch in flight. Returns the number of that fetch.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn force_refresh(&self) -> Result<u64, KeySetError> {
        let next = self.next_fetch()?;
        if self.progress().is_in_flight() {
            return Ok(next - 1);
        }
        raise(&self.shared.forced, next);
        Ok(next)
    }

    /// Waits for the fetch in flight, if there is one.
    pub(crate) async fn wait_in_flight(&self) {
        let started = self.progress().started;
        self.wait(started).await;
    }

    /// Waits until this fetch has ended, but never longer than one can take.
    pub(crate) async fn wait(&self, fetch: u64) {
        if self.shared.progress.borrow().finished >= fetch {
            return;
        }
        let mut progress = self.shared.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.finished >= fetch);
        // The caller looks for the key again, whether the fetch has ended or not.
        let _ = tokio::time::timeout(self.time_limit(), ended).await;
    }

    /// Waits for this fetch if it is in flight or may start now.
    pub(crate) async fn wait_if_due(&self, fetch: u64) {
        let progress = self.progress();
        if progress.is_in_flight() || progress.request_due() <= self.shared.clock.elapsed() {
            self.wait(fetch).await;
        }
    }

    fn time_limit(&self) -> Duration {
        self.shared.endpoints.as_ref().map(Endpoints::time_limit).unwrap_or_default()
    }

    /// Checks that there are keys and that this fetch or a later one succeeded, so that a key that is not in the set does
    /// not exist.
    ///
    /// # Errors
    ///
    /// [`KeySetError::Unavailable`] without keys, after a failure or during a fetch, and otherwise [`KeySetError::FetchPending`].
    pub(crate) fn check_complete_since(&self, fetch: u64) -> Result<(), KeySetError> {
        let progress = self.progress();
        if !self.has_keys() || progress.failure.is_some() || progress.is_in_flight() {
            return Err(self.unavailable());
        }
        if progress.succeeded >= fetch {
            return Ok(());
        }
        let retry_after = self.whole_seconds_until(progress.request_due());
        Err(KeySetError::FetchPending { pool: self.pool().to_owned(), retry_after })
    }

    /// Checks that this fetch or a later one has ended and the last one succeeded.
    ///
    /// # Errors
    ///
    /// [`KeySetError::Unavailable`] if not.
    pub(crate) fn check_refreshed(&self, fetch: u64) -> Result<(), KeySetError> {
        let progress = self.progress();
        let refreshed = self.has_keys() && progress.failure.is_none() && progress.finished >= fetch;
        if refreshed { Ok(()) } else { Err(self.unavailable()) }
    }

    /// The error of a source whose keys are not available.
    pub(crate) fn unavailable(&self) -> KeySetError {
        let progress = self.progress();
        KeySetError::Unavailable {
            pool: self.pool().to_owned(),
            retry_after: self.whole_seconds_until(progress.next_start),
            source: progress.failure,
        }
    }

    /// `Retry-After` counts whole seconds.
    fn whole_seconds_until(&self, time: Duration) -> Duration {
        let wait = time.saturating_sub(self.shared.clock.elapsed());
        Duration::from_secs(wait.as_millis().div_ceil(1_000).max(1) as u64)
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource").field("pool", &self.shared.pool).finish_non_exhaustive()
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

    /// The time since the keys were fetched; `None` for keys that do not age.
    fn age(&self, now: i64) -> Option<Duration> {
        let seconds = now.saturating_sub(self.fetched_at?);
        Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    }

    fn is_usable(&self, now: i64) -> bool {
        self.age(now).is_none_or(|age| age < MAX_KEY_AGE)
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
        }
    }

    async fn wait_until_due(&self) {
        let (finished, mut due, request_due) = {
            let progress = self.progress.borrow();
            (progress.finished, progress.next_start, progress.request_due())
        };
        loop {
            tokio::select! {
                () = exceeds(&self.forced, finished) => return,
                () = self.clock.sleep_until(due) => return,
                () = exceeds(&self.requested, finished), if request_due < due => due = request_due,
            }
        }
    }

    async fn fetch(&self) {
        let Some(endpoints) = &self.endpoints else { return };
        self.progress.send_modify(|progress| progress.start(self.clock.elapsed()));
        let outcome = endpoints.fetch().await.map(|keys| self.install(keys));
        self.record(outcome);
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
        (self.on_change)();
    }

    fn record(&self, outcome: Result<(), FetchError>) {
        let has_keys = self.has_keys();
        if let Err(failure) = &outcome {
            tracing::warn!(pool = %self.pool, %failure, older_keys_in_use = has_keys, "the key set cannot be fetched");
        }
        let now = self.clock.elapsed();
        self.progress.send_modify(|progress| progress.finish(outcome, has_keys, now));
    }
}

/// Requests the fetch with this number, unless a later one is requested already.
fn raise(request: &watch::Sender<u64>, fetch: u64) {
    request.send_if_modified(|requested| {
        let is_later = fetch > *requested;
        *requested = fetch.max(*requested);
        is_later
    });
}

async fn exceeds(request: &watch::Sender<u64>, finished: u64) {
    let _ = request.subscribe().wait_for(|requested| *requested > finished).await;
}

/// Wakes waiting callers when the worker ends, for example because its runtime was shut down.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
        self.0.progress.send_modify(|progress| progress.finished = progress.started);
    }
}
