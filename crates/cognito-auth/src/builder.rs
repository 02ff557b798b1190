//! The configuration of a verifier.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::claims::Rules;
use crate::clock::Clock;
use crate::error::BuildError;
use crate::keys::{KeyFetcher, LimitedFetcher, Origin, default_fetcher};
use crate::pool::UserPool;
use crate::verifier::{DenyList, Settings, Verifier};

/// AWS advises not to assume a maximum token size, and the header of a request that carries one is seldom allowed to be
/// larger.
const DEFAULT_MAX_TOKEN_BYTES: usize = 16 * 1024; // 16 KiB

const DEFAULT_CACHE_CAPACITY: usize = 10_000;

/// Enough for clocks that are kept by NTP, and little in comparison with the five minutes of the shortest tokens.
const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(10);

const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Configures a [`Verifier`]. Created by [`Verifier::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct VerifierBuilder {
    pools: Vec<UserPool>,
    client_ids: Vec<String>,
    any_client: bool,
    resources: Vec<String>,
    clock_skew: Duration,
    cache_capacity: usize,
    max_token_bytes: usize,
    deny_list: Option<DenyList>,
    fetcher: Option<LimitedFetcher>,
    clock: Clock,
}

impl Verifier {
    /// Configures a verifier that trusts this pool.
    pub fn builder(pool: UserPool) -> VerifierBuilder {
        VerifierBuilder::new(pool)
    }
}

impl VerifierBuilder {
    fn new(pool: UserPool) -> Self {
        Self {
            pools: vec![pool],
            client_ids: Vec::new(),
            any_client: false,
            resources: Vec::new(),
            clock_skew: DEFAULT_CLOCK_SKEW,
            cache_capacity: DEFAULT_CACHE_CAPACITY,
            max_token_bytes: DEFAULT_MAX_TOKEN_BYTES,
            deny_list: None,
            fetcher: default_fetcher(),
            clock: Clock::system(),
        }
    }

    /// Also trusts this pool.
    pub fn pool(mut self, pool: UserPool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Accepts tokens that were issued to these app clients, of whichever trusted pool; calls add up.
    ///
    /// All app clients of a pool share its keys, so only this check prevents the tokens of one application from being used
    /// at another (OWASP ASVS 5.0, 9.2.4).
    pub fn client_ids<I: IntoIterator<Item: Into<String>>>(mut self, client_ids: I) -> Self {
        self.client_ids.extend(client_ids.into_iter().map(Into::into));
        self
    }

    /// Accepts the tokens of every app client of the trusted pools, including those added to a pool later.
    pub fn any_client(mut self) -> Self {
        self.any_client = true;
        self
    }

    /// Accepts access tokens that are bound to one of these resources (RFC 8707), usually the API's own URL; calls add
    /// up. An access token without `aud` is not bound and is accepted; one with any other `aud` is rejected.
    pub fn resources<I: IntoIterator<Item: Into<String>>>(mut self, resources: I) -> Self {
        self.resources.extend(resources.into_iter().map(Into::into));
        self
    }

    /// Sets by how much the clocks of Cognito and this machine may differ, in whole seconds. Default: 10 seconds; at most 5
    /// minutes.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Rejects valid access tokens for which this returns `true`; calls replace each other.
    ///
    /// A token that was revoked, or whose user was signed out everywhere, passes every offline check until it expires.
    /// An application that learns of such events can keep a list in memory, usually of
    /// [`origin_jti`](crate::AccessToken::origin_jti), and consult it here. It is called at every verification, also for
    /// cached tokens, so it must be fast.
    pub fn deny_if(mut self, listed: impl Fn(&AccessToken) -> bool + Send + Sync + 'static) -> Self {
        self.deny_list = Some(DenyList(Arc::new(listed)));
        self
    }

    /// Sets how many verified access tokens are cached. Default: 10,000; zero disables the cache.
    pub fn cache_capacity(mut self, tokens: usize) -> Self {
        self.cache_capacity = tokens;
        self
    }

    /// Sets the longest accepted token, in bytes. Default: 16 KiB.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Fetches the keys with this HTTP client. Default: reqwest; none without the feature `reqwest`.
    pub fn key_fetcher(mut self, fetcher: impl KeyFetcher) -> Self {
        self.fetcher = Some(LimitedFetcher::new(fetcher));
        self
    }

    /// Reads the time from a clock that a test sets.
    #[cfg(feature = "testing")]
    pub fn clock(mut self, clock: crate::test_clock::TestClock) -> Self {
        self.clock = Clock::Test(clock);
        self
    }

    /// Creates the verifier. It fetches nothing yet and needs no runtime.
    ///
    /// # Errors
    ///
    /// - [`BuildError::NoClientIds`] if neither [`client_ids`](Self::client_ids) nor [`any_client`](Self::any_client)
    ///   was called.
    /// - [`BuildError::SamePool`] if two pools share an ID or an issuer.
    /// - [`BuildError::ClockSkew`] if the clock skew is more than 5 minutes.
    /// - [`BuildError::NoKeyFetcher`] if keys must be fetched, but the feature `reqwest` is disabled and
    ///   [`key_fetcher`](Self::key_fetcher) was not called.
    pub fn build(self) -> Result<Verifier, BuildError> {
        if self.client_ids.is_empty() && !self.any_client {
            return Err(BuildError::NoClientIds);
        }
        if self.clock_skew > MAX_CLOCK_SKEW {
            return Err(BuildError::ClockSkew { skew: self.clock_skew });
        }
        check_distinct(&self.pools)?;
        let fetcher = self.fetcher;
        let pools = self.pools.into_iter().map(|pool| {
            let origin = key_origin(&pool, fetcher.as_ref())?;
            Ok((pool, origin))
        });
        let pools = pools.collect::<Result<_, _>>()?;
        let rules = Rules {
            client_ids: (!self.any_client).then_some(self.client_ids),
            resources: self.resources,
            clock_skew_seconds: i64::try_from(self.clock_skew.as_secs()).unwrap_or(i64::MAX),
        };
        let settings = Settings {
            rules,
            max_token_bytes: self.max_token_bytes,
            cache_capacity: self.cache_capacity,
            deny_list: self.deny_list,
            clock: self.clock,
        };
        Ok(Verifier::new(pools, settings))
    }
}

fn key_origin(pool: &UserPool, fetcher: Option<&LimitedFetcher>) -> Result<Origin, BuildError> {
    if let Some(keys) = pool.fixed_keys() {
        return Ok(Origin::Fixed(keys.clone()));
    }
    let fetcher = fetcher.ok_or(BuildError::NoKeyFetcher)?;
    Ok(Origin::Urls(pool.jwks_urls(), fetcher.clone()))
}

/// Identity is (user pool, `sub`), and the pool of a token follows from its issuer: both must name one pool only.
fn check_distinct(pools: &[UserPool]) -> Result<(), BuildError> {
    let mut seen = HashSet::new();
    for name in pools.iter().flat_map(|pool| std::iter::once(pool.id().to_owned()).chain(pool.issuers())) {
        if let Some(shared) = seen.replace(name) {
            return Err(BuildError::SamePool { shared });
        }
    }
    Ok(())
}
