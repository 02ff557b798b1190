//! The verifier: turns the text of a token into a verified token.

use std::fmt;
use std::sync::Arc;

use crate::access_token::AccessToken;
use crate::cache::{CachedToken, TokenCache, TokenHash};
use crate::claims::{Rules, TrustedPool};
use crate::clock::Clock;
use crate::error::VerifyError;
use crate::id_token::IdToken;
use crate::jose::Unverified;
use crate::json::excerpt;
use crate::keys::{KeySetError, KeySource, Origin};
use crate::pool::UserPool;
use crate::stats::{Counters, PoolStats, Stats};

/// Verifies the tokens of one or more user pools. Cloning it is cheap, and all clones share keys and cache.
///
/// Building it needs no runtime. The first verification, or [`ready`](Self::ready), starts a task on the current tokio
/// runtime that fetches the keys and keeps them fresh. The task ends with the last clone.
///
/// ```no_run
/// use cognito_auth::{UserPool, Verifier};
///
/// # async fn example(raw: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = Verifier::builder(UserPool::new("eu-west-1_AbCdEfGhI")?)
///     .client_ids(["1example23456789"])
///     .build()?;
/// verifier.ready().await?;
///
/// let token = verifier.verify_access(raw).await?;
/// println!("the caller is {}", token.sub());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    settings: Settings,
    pools: Vec<Pool>,
    cache: Arc<TokenCache>,
    counters: Counters,
}

/// The settings of a verifier, apart from its pools.
pub(crate) struct Settings {
    pub(crate) rules: Rules,
    pub(crate) max_token_bytes: usize,
    pub(crate) cache_capacity: usize,
    pub(crate) deny_list: Option<DenyList>,
    pub(crate) clock: Clock,
}

/// A trusted pool and its keys.
struct Pool {
    trusted: TrustedPool,
    keys: KeySource,
}

/// Decides which valid access tokens are rejected nevertheless.
#[derive(Clone)]
pub(crate) struct DenyList(pub(crate) Arc<dyn Fn(&AccessToken) -> bool + Send + Sync>);

impl fmt::Debug for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DenyList")
    }
}

/// The pool and key set that verified a signature, and when.
struct Signer {
    pool: usize,
    generation: u64,
    now: i64,
}

impl Verifier {
    /// Creates a verifier of pools, each with the origin of its keys.
    pub(crate) fn new(pools: Vec<(UserPool, Origin)>, settings: Settings) -> Self {
        let cache = Arc::new(TokenCache::new(settings.cache_capacity));
        let pool = |(pool, origin): (UserPool, Origin)| {
            let on_change = {
                let cache = Arc::clone(&cache);
                move || cache.clear()
            };
            let keys = KeySource::new(pool.shared_id(), origin, settings.clock.clone(), on_change);
            Pool { trusted: TrustedPool::new(&pool), keys }
        };
        let pools = pools.into_iter().map(pool).collect();
        Self(Arc::new(Inner { pools, settings, cache, counters: Counters::default() }))
    }

    /// Verifies an access token, the only kind that grants access to an API.
    ///
    /// A token that was verified before is found in the cache, and only its times are checked again. Waits for the
    /// network only if no keys are loaded yet, or if the token names an unknown key, and then for a few seconds at most.
    ///
    /// # Errors
    ///
    /// A variant of [`VerifyError`] for each rule; [`guide::rules`](crate::guide::rules) lists them in order.
    /// [`VerifyError::KeysUnavailable`] says nothing about the token; try again later.
    pub async fn verify_access(&self, raw: &str) -> Result<AccessToken, VerifyError> {
        let outcome = self.access_token(raw).await;
        self.0.counters.record(outcome.as_ref().err());
        outcome
    }

    /// Verifies an ID token, which tells a client who signed in. It does not grant access: do not accept one in an
    /// `Authorization` header.
    ///
    /// [`IdToken::check_nonce`] and [`IdToken::check_access_token`] check that it belongs to a sign-in.
    ///
    /// # Errors
    ///
    /// As [`verify_access`](Self::verify_access).
    pub async fn verify_id(&self, raw: &str) -> Result<IdToken, VerifyError> {
        let outcome = self.id_token(raw).await;
        self.0.counters.record(outcome.as_ref().err());
        outcome
    }

    /// Waits until the keys of every pool are loaded. For start-up and health checks.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] for the first pool without keys. While the issuer cannot be reached it is returned at once,
    /// because only the background task makes attempts.
    pub async fn ready(&self) -> Result<(), KeySetError> {
        for source in self.0.sources() {
            source.start()?;
        }
        let without_keys = || self.0.sources().filter(|source| !source.has_keys());
        for source in without_keys() {
            source.wait_in_flight().await;
        }
        let next: Vec<_> = without_keys().map(next_fetch).collect::<Result<_, _>>()?;
        wait_for_due(&next).await;
        without_keys().next().map_or(Ok(()), |source| Err(source.unavailable()))
    }

    /// Fetches the keys of every pool now, even if they are fresh.
    ///
    /// This is not needed in normal operation: the background task fetches keys, also when a token names an unknown one.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] for the first pool whose keys could not be fetched. Older keys then stay in use.
    pub async fn refresh(&self) -> Result<(), KeySetError> {
        let force = |source: &KeySource| source.force_refresh();
        let fetches: Vec<_> = self.0.sources().map(force).collect::<Result<_, _>>()?;
        for (source, fetch) in self.0.sources().zip(&fetches) {
            source.wait(*fetch).await;
        }
        self.0.sources().zip(fetches).try_for_each(|(source, fetch)| source.check_refreshed(fetch))
    }

    /// Returns the counters of this verifier, for export as metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let pools = self.0.sources().map(PoolStats::of).collect();
        self.0.counters.stats(self.0.cache.len(), pools)
    }

    /// Returns the current time in Unix seconds, minus the permitted clock skew.
    pub(crate) fn earliest_time(&self) -> i64 {
        self.0.settings.clock.unix_seconds() - self.0.settings.rules.clock_skew_seconds
    }

    async fn access_token(&self, raw: &str) -> Result<AccessToken, VerifyError> {
        let inner = &*self.0;
        inner.check_size(raw)?;
        let hash = inner.cache.hash(raw);
        let now = inner.settings.clock.unix_seconds();
        let cached = hash.and_then(|hash| inner.cached(&hash, now));
        let is_cached = cached.is_some();
        let token = match cached {
            Some(token) => {
                token.times().check(&inner.settings.rules, now)?;
                token
            }
            None => inner.verify_access(raw, hash).await?,
        };
        if inner.settings.deny_list.as_ref().is_some_and(|list| list.0(&token)) {
            return Err(VerifyError::DenyListed);
        }
        if is_cached {
            inner.counters.record_cache_hit();
        }
        Ok(token)
    }

    async fn id_token(&self, raw: &str) -> Result<IdToken, VerifyError> {
        let inner = &*self.0;
        inner.check_size(raw)?;
        let unverified = Unverified::parse(raw)?;
        let Signer { pool, now, .. } = inner.verify_signature(&unverified).await?;
        IdToken::check(unverified.payload, &inner.pools[pool].trusted, &inner.settings.rules, now)
    }
}

impl Inner {
    fn check_size(&self, raw: &str) -> Result<(), VerifyError> {
        let (size, limit) = (raw.len(), self.settings.max_token_bytes);
        if size > limit { Err(VerifyError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// Returns the cached token if the keys that verified it are still in use.
    fn cached(&self, hash: &TokenHash, now: i64) -> Option<AccessToken> {
        let cached = self.cache.get(hash)?;
        self.pools[cached.pool].keys.is_current(cached.generation, now).then_some(cached.token)
    }

    async fn verify_access(&self, raw: &str, hash: Option<TokenHash>) -> Result<AccessToken, VerifyError> {
        let unverified = Unverified::parse(raw)?;
        let Signer { pool, generation, now } = self.verify_signature(&unverified).await?;
        let token =
            AccessToken::check(unverified.payload, &self.pools[pool].trusted, &self.settings.rules, now)?;
        if let Some(hash) = hash {
            self.cache.insert(hash, CachedToken { token: token.clone(), pool, generation });
        }
        Ok(token)
    }

    fn sources(&self) -> impl Iterator<Item = &KeySource> {
        self.pools.iter().map(|pool| &pool.keys)
    }

    async fn verify_signature(&self, token: &Unverified<'_>) -> Result<Signer, VerifyError> {
        if let Some(outcome) = self.verify_with_known_keys(token) {
            // A worker whose runtime has ended is replaced, so that keys stay fresh; known keys do not need it.
            self.sources().for_each(|source| drop(source.start()));
            return outcome;
        }
        let next: Vec<_> = self.sources().map(next_fetch).collect::<Result<_, _>>()?;
        for source in self.sources() {
            source.wait_in_flight().await;
        }
        if let Some(outcome) = self.verify_with_known_keys(token) {
            return outcome;
        }
        wait_for_due(&next).await;
        if let Some(outcome) = self.verify_with_known_keys(token) {
            return outcome;
        }
        next.iter().try_for_each(|(source, fetch)| source.check_complete_since(*fetch))?;
        Err(VerifyError::UnknownKey { kid: excerpt(&token.kid) })
    }

    /// Tries each pool that has a key with this ID, because one pool must not be able to disturb another by publishing a
    /// key with the same ID. Returns `None` if there is no such key.
    fn verify_with_known_keys(&self, token: &Unverified<'_>) -> Option<Result<Signer, VerifyError>> {
        let now = self.settings.clock.unix_seconds();
        let mut rejected = None;
        for (pool, source) in self.sources().enumerate() {
            let Some((key, generation)) = source.key(&token.kid, now) else { continue };
            match key.verify(token.signing_input, &token.signature) {
                Ok(()) => return Some(Ok(Signer { pool, generation, now })),
                Err(error) => rejected = Some(Err(error.into())),
            }
        }
        rejected
    }
}

fn next_fetch(source: &KeySource) -> Result<(&KeySource, u64), KeySetError> {
    Ok((source, source.next_fetch()?))
}

/// Requests all of these fetches before it waits for the first of them.
async fn wait_for_due(fetches: &[(&KeySource, u64)]) {
    fetches.iter().for_each(|(source, fetch)| source.request(*fetch));
    for (source, fetch) in fetches {
        source.wait_if_due(*fetch).await;
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools: Vec<_> = self.0.pools.iter().map(|pool| &pool.trusted).collect();
        f.debug_struct("Verifier")
            .field("pools", &pools)
            .field("rules", &self.0.settings.rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestPool;

    /// A verification that is in progress while the keys are replaced can add its token to the emptied cache.
    #[tokio::test]
    async fn cached_token_of_replaced_keys_is_verified_again() {
        let pool = TestPool::new();
        let verifier = pool.verifier();
        let raw = pool.user("alice").access_token();
        let token = verifier.verify_access(&raw).await.unwrap();
        let cache = &verifier.0.cache;
        cache.insert(cache.hash(&raw).unwrap(), CachedToken { token, pool: 0, generation: u64::MAX });
        verifier.verify_access(&raw).await.unwrap();
        assert_eq!(verifier.stats().cache_hits, 0);
        verifier.verify_access(&raw).await.unwrap();
        assert_eq!(verifier.stats().cache_hits, 1);
    }
}
