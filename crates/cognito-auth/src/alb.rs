//! Requests that an Application Load Balancer authenticated.
//!
//! A listener rule with the action `authenticate-cognito` signs users in and adds headers to their requests:
//!
//! | header | content | verify it with |
//! |---|---|---|
//! | `x-amzn-oidc-data` | the user's claims, signed by the load balancer | [`AlbVerifier::verify`] |
//! | `x-amzn-oidc-accesstoken` | the access token of the user pool | [`Verifier::verify_access`](crate::Verifier::verify_access) |
//! | `x-amzn-oidc-identity` | the `sub`, not signed | do not use it |
//!
//! ```no_run
//! use cognito_auth::UserPool;
//! use cognito_auth::alb::{AlbError, AlbVerifier};
//! use http::HeaderMap;
//!
//! fn verifier() -> Result<AlbVerifier, Box<dyn std::error::Error>> {
//!     let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/1234567890abcdef";
//!     let pool = UserPool::new("eu-west-1_AbCdEfGhI")?;
//!     Ok(AlbVerifier::builder(arn, pool).client_ids(["1example23456789"]).build()?)
//! }
//!
//! async fn greet(verifier: &AlbVerifier, headers: &HeaderMap) -> Result<String, AlbError> {
//!     let user = verifier.verify(headers).await?;
//!     Ok(format!("Hello, {}.", user.username().unwrap_or(user.sub())))
//! }
//! ```
//!
//! All load balancers of a region sign with the same keys, so the ARN in the token is what identifies yours. Clients that
//! reach the target without the load balancer can send any header: restrict its security group (Elastic Load Balancing
//! user guide, "Security best practices when using ALB authentication"). User pools with the updated issuer are not
//! supported by this action.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HeaderMap;
use serde::de::DeserializeOwned;
use url::Url;

use self::keys::PublicKeys;
use self::token::{Checks, UserClaims, verify};
use crate::claims::{ClaimError, Rules, TrustedPool, all_claims, claim};
use crate::clock::{Clock, system_time};
use crate::error::{BuildError, VerifyError};
use crate::keys::{FetchCause, KeyFetcher, LimitedFetcher, default_fetcher};
use crate::pool::UserPool;

pub(crate) mod keys;
mod token;

const HEADER: &str = "x-amzn-oidc-data";

/// By how much the clocks of the load balancer and this machine may differ.
const CLOCK_SKEW_SECONDS: i64 = 10;

/// Verifies the claims that Application Load Balancers add to requests. Cloning it is cheap, and all clones share keys.
#[derive(Clone)]
pub struct AlbVerifier(Arc<Inner>);

struct Inner {
    checks: Checks,
    keys: PublicKeys,
    clock: Clock,
}

/// Configures an [`AlbVerifier`]. Created by [`AlbVerifier::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct AlbVerifierBuilder {
    load_balancers: Vec<String>,
    pool: UserPool,
    client_ids: Vec<String>,
    key_url: Option<Url>,
    fetcher: Option<LimitedFetcher>,
    clock: Clock,
}

/// A user whom a load balancer authenticated. Cloning it is cheap, and `Debug` output contains no claim.
#[derive(Clone)]
pub struct AlbUser(Arc<UserClaims>);

/// Why a request is not authenticated by the load balancer.
///
/// `Display` is for the log. It contains neither the token nor a claim about a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlbError {
    /// The request does not have the header exactly once.
    #[error("the request does not have exactly one header {HEADER}")]
    Header,
    /// The token violates a rule that applies to all tokens.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// The header's `alg` is not ES256.
    #[error("alg is {found}, not ES256")]
    Algorithm {
        /// The value found, escaped and shortened.
        found: String,
    },
    /// The header's `kid` is not a UUID.
    #[error("kid is not a UUID")]
    KeyId,
    /// Another load balancer signed the token.
    #[error("the signer is \"{found}\", which is not a configured load balancer")]
    Signer {
        /// The end of the ARN found, escaped and shortened.
        found: String,
    },
    /// The key cannot be fetched, so the token may be valid or not.
    #[error("the public key cannot be fetched")]
    KeyUnavailable(#[source] FetchCause),
    /// Too many keys were requested. The token may be valid or not.
    #[error("the public key was not fetched, because too many unknown keys were requested")]
    TooManyKeys,
    /// There is no key with this ID.
    #[error("the region's load balancers do not have a key with this ID")]
    UnknownKey,
}

impl AlbVerifier {
    /// Configures a verifier for the load balancer with this ARN, whose users sign in at this pool.
    pub fn builder(load_balancer_arn: impl Into<String>, pool: UserPool) -> AlbVerifierBuilder {
        AlbVerifierBuilder {
            load_balancers: vec![load_balancer_arn.into()],
            pool,
            client_ids: Vec::new(),
            key_url: None,
            fetcher: default_fetcher(),
            clock: Clock::system(),
        }
    }

    /// Verifies the header `x-amzn-oidc-data` of a request. Waits for the network if the token names an unknown key.
    ///
    /// # Errors
    ///
    /// A variant of [`AlbError`] for each rule. [`AlbError::is_temporary`] says whether to respond with 503 instead of
    /// 401.
    pub async fn verify(&self, headers: &HeaderMap) -> Result<AlbUser, AlbError> {
        let mut values = headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(AlbError::Header) };
        let raw = value.to_str().map_err(|_| AlbError::Header)?;
        let now = self.0.clock.unix_seconds();
        let claims = verify(raw, &self.0.checks, &self.0.keys, now).await?;
        Ok(AlbUser(Arc::new(claims)))
    }
}

impl AlbVerifierBuilder {
    /// Also accepts the tokens of this load balancer, which must be in the same region.
    pub fn load_balancer(mut self, arn: impl Into<String>) -> Self {
        self.load_balancers.push(arn.into());
        self
    }

    /// Accepts tokens for these app clients; calls add up.
    pub fn client_ids<I: IntoIterator<Item: Into<String>>>(mut self, client_ids: I) -> Self {
        self.client_ids.extend(client_ids.into_iter().map(Into::into));
        self
    }

    /// Fetches keys from `<url>/<kid>` instead of the region's endpoint.
    pub fn key_url(mut self, url: Url) -> Self {
        self.key_url = Some(url);
        self
    }

    /// Fetches keys with this HTTP client. Default: reqwest; none without the feature `reqwest`.
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

    /// Creates the verifier.
    ///
    /// # Errors
    ///
    /// - [`BuildError::NoClientIds`] if [`client_ids`](Self::client_ids) was not called.
    /// - [`BuildError::LoadBalancer`] if an ARN is not that of an Application Load Balancer, or two are in different
    ///   regions.
    /// - [`BuildError::NoKeyFetcher`] if the feature `reqwest` is disabled and [`key_fetcher`](Self::key_fetcher) was not
    ///   called.
    pub fn build(self) -> Result<AlbVerifier, BuildError> {
        if self.client_ids.is_empty() {
            return Err(BuildError::NoClientIds);
        }
        let fetcher = self.fetcher.ok_or(BuildError::NoKeyFetcher)?;
        let region = common_region(&self.load_balancers)?;
        let url = self.key_url.map_or_else(|| keys::url(&region), Ok)?;
        let rules = Rules {
            client_ids: Some(self.client_ids),
            resources: Vec::new(),
            clock_skew_seconds: CLOCK_SKEW_SECONDS,
        };
        let checks =
            Checks { load_balancers: self.load_balancers, pool: TrustedPool::new(&self.pool), rules };
        let keys = PublicKeys::new(url, fetcher, self.clock.clone());
        Ok(AlbVerifier(Arc::new(Inner { checks, keys, clock: self.clock })))
    }
}

/// Returns the region of all these load balancers.
fn common_region(arns: &[String]) -> Result<String, BuildError> {
    let mut regions = arns.iter().map(|arn| {
        let error = || BuildError::LoadBalancer { arn: arn.escape_debug().to_string() };
        region(arn).ok_or_else(error)
    });
    let first = regions.next().transpose()?.unwrap_or_default();
    for (other, arn) in regions.zip(arns.iter().skip(1)) {
        if other? != first {
            return Err(BuildError::LoadBalancer { arn: arn.clone() });
        }
    }
    Ok(first.to_owned())
}

/// Returns the region in `arn:<partition>:elasticloadbalancing:<region>:<account>:loadbalancer/app/<name>/<id>`.
fn region(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "elasticloadbalancing", region, _, resource] = parts[..] else { return None };
    let is_region = !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (is_region && resource.starts_with("loadbalancer/app/")).then_some(region)
}

impl AlbUser {
    /// Returns the user's ID in the pool.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.0.sub
    }

    /// Returns the user's name in the pool.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// Returns the ID of the user pool.
    #[must_use]
    pub fn user_pool_id(&self) -> &str {
        &self.0.pool
    }

    /// Returns the ID of the app client that the load balancer uses.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Returns the ARN of the load balancer.
    #[must_use]
    pub fn load_balancer(&self) -> &str {
        &self.0.load_balancer
    }

    /// Returns the time from which the token is rejected, usually two minutes after the request.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.0.expires_at)
    }

    /// Returns the claim with this name, such as `email`; `None` if the token does not contain it. Booleans of Cognito
    /// are text here, such as `"true"`.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claim cannot be deserialized as a `T`. Its message does not quote the claim.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClaimError> {
        claim(&self.0.payload, name)
    }

    /// Deserializes all claims as a `T`, which names those that it needs.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claims cannot be deserialized as a `T`. Its message does not quote them.
    pub fn claim_as<T: DeserializeOwned>(&self) -> Result<T, ClaimError> {
        all_claims(&self.0.payload)
    }
}

impl AlbError {
    /// Whether the token may be valid: respond with 503 and `Retry-After`, not with 401.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::KeyUnavailable(_) | Self::TooManyKeys)
    }

    /// Returns when to try again, if the error [is temporary](Self::is_temporary).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.is_temporary().then_some(keys::REQUEST_INTERVAL)
    }
}

impl fmt::Debug for AlbVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlbVerifier")
            .field("load_balancers", &self.0.checks.load_balancers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AlbUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlbUser").field("user_pool_id", &self.0.pool).finish_non_exhaustive()
    }
}
