//! The verifier: from the text of a token to a token that can be trusted.

use std::fmt;
use std::sync::Arc;

use crate::access_token::AccessToken;
use crate::cache::{CachedToken, TokenCache, TokenHash};
use crate::claims::{Rules, TrustedPool};
use crate::clock::Clock;
use crate::error::{KeySetError, VerifyError};
use crate::id_token::IdToken;
use crate::jose::Unverified;
use crate::json::excerpt;
use crate::keys::KeySource;
use crate::pool::UserPool;
use crate::stats::{Counters, PoolStats, Stats};

use self::builder::DenyList;
pub use self::builder::VerifierBuilder;

mod builder;

/// Verifies the tokens of one or several user pools. Cloning it is cheap, and all clones share keys and cache.
///
/// It can be built anywhere. The first verification, or [`ready`](Self::ready), starts a task on the current tokio
/// runtime that fetches the keys and keeps them fresh; it ends with the last clone.
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
/// println!("called by {}", token.sub());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    /// The pools, and at the same position in the other vector where their keys come from.
    pools: Vec<TrustedPool>,
    sources: Vec<KeySource>,
    rules: Rules,
    max_token_bytes: usize,
    deny_list: Option<DenyList>,
    clock: Clock,
    cache: Arc<TokenCache>,
    counters: Counters,
}

/// Whose key verified a signature, and when.
struct Signer {
    pool: usize,
    generation: u64,
    now: i64,
}

impl Verifier {
    /// Starts to describe a verifier that trusts this pool.
    pub fn builder(pool: UserPool) -> VerifierBuilder {
        VerifierBuilder::new(pool)
    }

    /// Verifies an access token, the only kind that grants access to an API.
    ///
    /// A token that was verified before is found in the cache, and only its times are checked again. Waits for the
    /// network only if no keys are loaded yet, or if the token names a key that is not known, and then for a few seconds
    /// at most.
    ///
    /// # Errors
    ///
    /// A variant of [`VerifyError`] for each rule; [`guide::rules`](crate::guide::rules) lists them in order.
    /// [`VerifyError::KeysUnavailable`] says nothing about the token: the caller should try again later.
    pub async fn verify_access(&self, raw: &str) -> Result<AccessToken, VerifyError> {
        let outcome = self.access_token(raw).await;
        self.0.counters.record(outcome.as_ref().err());
        outcome
    }

    /// Verifies an ID token, which tells a client who signed in. It is no proof of access: never take it from an
    /// `Authorization` header.
    ///
    /// [`IdToken::check_nonce`] and [`IdToken::check_access_token`] tie it to a sign-in.
    ///
    /// # Errors
    ///
    /// As [`verify_access`](Self::verify_access).
    pub async fn verify_id(&self, raw: &str) -> Result<IdToken, VerifyError> {
        let outcome = self.id_token(raw).await;
        self.0.counters.record(outcome.as_ref().err());
        outcome
    }

    /// Waits until there are keys for every pool, fetching them if there are none. Meant for start-up and health checks.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] for the first pool without keys. While the issuer cannot be reached, it comes at once: attempts
    /// are made in the background and not by this call.
    pub async fn ready(&self) -> Result<(), KeySetError> {
        let without_keys = || self.0.sources.iter().filter(|source| !source.has_keys());
        self.0.fetch_keys(without_keys, KeySource::demand).await?;
        without_keys().next().map_or(Ok(()), |source| Err(source.error(source.progress())))
    }

    /// Fetches the keys of every pool now, however fresh they are.
    ///
    /// This is not needed in normal operation: keys are fetched in the background, and when an unknown one is named.
    ///
    /// # Errors
    ///
    /// [`KeySetError`] for the first pool whose keys could not be fetched. Older keys then stay in use.
    pub async fn refresh(&self) -> Result<(), KeySetError> {
        self.0.fetch_keys(|| self.0.sources.iter(), KeySource::order).await?;
        self.0.sources.iter().find_map(KeySource::unavailable).map_or(Ok(()), Err)
    }

    /// What has happened since the verifier was built, for export as metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let pools = self.0.sources.iter().map(PoolStats::of).collect();
        self.0.counters.stats(self.0.cache.len(), pools)
    }

    /// The earliest time of day, in Unix seconds, that it can be within the permitted clock skew.
    pub(crate) fn earliest_time(&self) -> i64 {
        self.0.clock.unix_seconds() - self.0.rules.clock_skew_seconds
    }

    async fn access_token(&self, raw: &str) -> Result<AccessToken, VerifyError> {
        let inner = &*self.0;
        inner.check_size(raw)?;
        let hash = inner.cache.hash(raw);
        let now = inner.clock.unix_seconds();
        let cached = hash.and_then(|hash| inner.cached(&hash, now));
        let is_cached = cached.is_some();
        let token = match cached {
            Some(token) => {
                token.times().check(&inner.rules, now)?;
                token
            }
            None => inner.verify_access(raw, hash).await?,
        };
        if inner.deny_list.as_ref().is_some_and(|list| list.names(&token)) {
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
        IdToken::check(unverified.payload, &inner.pools[pool], &inner.rules, now)
    }
}

impl Inner {
    fn check_size(&self, raw: &str) -> Result<(), VerifyError> {
        let (size, limit) = (raw.len(), self.max_token_bytes);
        if size > limit { Err(VerifyError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// A token that was verified with keys that are still in use.
    fn cached(&self, hash: &TokenHash, now: i64) -> Option<AccessToken> {
        let cached = self.cache.get(hash)?;
        self.sources[cached.pool].is_current(cached.generation, now).then_some(cached.token)
    }

    async fn verify_access(&self, raw: &str, hash: Option<TokenHash>) -> Result<AccessToken, VerifyError> {
        let unverified = Unverified::parse(raw)?;
        let Signer { pool, generation, now } = self.verify_signature(&unverified).await?;
        let token = AccessToken::check(unverified.payload, &self.pools[pool], &self.rules, now)?;
        if let Some(hash) = hash {
            self.cache.insert(hash, CachedToken { token: token.clone(), pool, generation });
        }
        Ok(token)
    }

    async fn verify_signature(&self, token: &Unverified<'_>) -> Result<Signer, VerifyError> {
        if let Some(outcome) = self.verify_with_known_keys(token) {
            // A worker whose runtime has ended is replaced, so that keys stay fresh; known keys do without.
            self.sources.iter().for_each(|source| drop(source.start()));
            return outcome;
        }
        self.fetch_keys(|| self.sources.iter(), KeySource::demand).await?;
        self.verify_with_known_keys(token).unwrap_or_else(|| Err(self.no_key(&token.kid)))
    }

    /// Tries each pool that has a key of this name, because one pool must not be able to disturb another by publishing
    /// a key under its name. Nothing if there is no such key.
    fn verify_with_known_keys(&self, token: &Unverified<'_>) -> Option<Result<Signer, VerifyError>> {
        let now = self.clock.unix_seconds();
        let mut refused = None;
        for (pool, source) in self.sources.iter().enumerate() {
            let Some((key, generation)) = source.key(&token.kid, now) else { continue };
            match key.verify(token.signing_input, &token.signature) {
                Ok(()) => return Some(Ok(Signer { pool, generation, now })),
                Err(error) => refused = Some(Err(error)),
            }
        }
        refused
    }

    /// Sets all fetches going before it waits for the first of them.
    async fn fetch_keys<'a, I: Iterator<Item = &'a KeySource>>(
        &'a self,
        sources: impl Fn() -> I,
        ask: fn(&KeySource) -> Result<Option<u64>, KeySetError>,
    ) -> Result<(), KeySetError> {
        let asked: Vec<_> = sources().map(|source| Ok((source, ask(source)?))).collect::<Result<_, _>>()?;
        for (source, fetches) in asked {
            if let Some(fetches) = fetches {
                source.wait(fetches).await;
            }
        }
        Ok(())
    }

    fn no_key(&self, kid: &str) -> VerifyError {
        match self.sources.iter().find_map(KeySource::unavailable) {
            Some(unavailable) => VerifyError::KeysUnavailable(unavailable),
            None => VerifyError::UnknownKey { kid: excerpt(kid) },
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verifier")
            .field("pools", &self.0.pools)
            .field("rules", &self.0.rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestPool;

    /// A verification that was under way when the keys were replaced can put its token into the emptied cache.
    #[tokio::test]
    async fn a_token_that_was_verified_with_replaced_keys_is_verified_again() {
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
