//! Access tokens for machine clients, by the client credentials grant (RFC 6749, section 4.4).
//!
//! ```no_run
//! use cognito_auth::client::TokenSource;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let tokens = TokenSource::builder("https://example.auth.eu-west-1.amazoncognito.com/oauth2/token", "client-id")?
//!     .secrets(|| std::env::var("CLIENT_SECRET").into_iter().collect())
//!     .scopes(["items/read"])
//!     .build();
//! let token = tokens.token().await?;
//! let request = http::Request::get("https://api.example.com/items").header("authorization", token.header());
//! # Ok(())
//! # }
//! ```
//!
//! Cognito charges for each token and limits how many it issues, so create one source per process and scope. It keeps its
//! token, and fetches the next one in the background when three quarters of the lifetime have passed, give or take a
//! twentieth. The old token is used until the new one is there. At most one fetch is in flight.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HeaderValue;
use tokio::sync::Semaphore;

use self::request::TokenEndpoint;
pub use self::request::TokenError;
use crate::clock::Clock;
use crate::pool::{PoolError, fetchable_url};

mod request;

/// How long a failure is returned before the next attempt.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a call waits for the fetch of another.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A token is not used in the last seconds of its life, in which the request could arrive too late.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// Provides access tokens of an app client. Cloning it is cheap, and all clones share the token.
#[derive(Clone)]
pub struct TokenSource(Arc<Inner>);

struct Inner {
    endpoint: TokenEndpoint,
    clock: Clock,
    state: Mutex<State>,
    fetching: Arc<Semaphore>,
}

/// Times are those of [`Clock::elapsed`].
#[derive(Default)]
struct State {
    token: Option<Cached>,
    failure: Option<TokenError>,
    /// When the next fetch may start.
    next_fetch: Duration,
}

#[derive(Clone)]
struct Cached {
    token: MachineToken,
    expires_at: Duration,
}

/// Configures a [`TokenSource`]. Created by [`TokenSource::builder`].
#[must_use]
pub struct TokenSourceBuilder {
    endpoint: TokenEndpoint,
    clock: Clock,
}

/// The text of an access token. Its `Debug` output does not contain it.
#[derive(Clone)]
pub struct MachineToken(Arc<str>);

impl TokenSource {
    /// Configures a source for an app client and the token endpoint of its user pool,
    /// `https://<domain>/oauth2/token`.
    ///
    /// # Errors
    ///
    /// [`PoolError::Url`] if the URL does not use `https`, except on a loopback host, or contains credentials.
    pub fn builder(token_url: &str, client_id: impl Into<String>) -> Result<TokenSourceBuilder, PoolError> {
        let endpoint = TokenEndpoint::new(fetchable_url(token_url)?, client_id.into());
        Ok(TokenSourceBuilder { endpoint, clock: Clock::system() })
    }

    /// Returns a token that is valid for some time. Waits only if there is none.
    ///
    /// # Errors
    ///
    /// [`TokenError`] if no token can be fetched. It is returned for a second before the next attempt.
    pub async fn token(&self) -> Result<MachineToken, TokenError> {
        if let Some(token) = self.0.valid_token() {
            self.refresh_in_background();
            return Ok(token);
        }
        let permit = tokio::time::timeout(MAX_WAIT, self.0.fetching.acquire()).await;
        let _permit = permit.map_err(|_| TokenError::Timeout)?;
        match self.0.outcome_of_others() {
            Some(outcome) => outcome,
            None => self.0.fetch().await,
        }
    }

    fn refresh_in_background(&self) {
        if !self.0.is_due() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.0.fetching).try_acquire_owned() else { return };
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let _permit = permit;
            if inner.is_due()
                && let Err(error) = inner.fetch().await
            {
                tracing::warn!(%error, "the next access token cannot be fetched; the current one is used until it expires");
            }
        });
    }
}

impl TokenSourceBuilder {
    /// Sets the client secret.
    pub fn secret(self, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        self.secrets(move || vec![secret.clone()])
    }

    /// Reads the client secrets before each fetch, the preferred one first. The next one is tried if Cognito rejects one,
    /// so that two are enough for a rotation without an interruption. The function must not block.
    pub fn secrets(mut self, secrets: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        self.endpoint.secrets = Box::new(secrets);
        self
    }

    /// Requests these scopes. Default: all scopes that the app client may have.
    pub fn scopes<I: IntoIterator<Item: AsRef<str>>>(mut self, scopes: I) -> Self {
        for scope in scopes {
            self.endpoint.scopes.push(scope.as_ref().to_owned());
        }
        self
    }

    /// Reads the time from a clock that a test sets.
    #[cfg(feature = "testing")]
    pub fn clock(mut self, clock: crate::test_clock::TestClock) -> Self {
        self.clock = Clock::Test(clock);
        self
    }

    /// Creates the source. It fetches nothing yet.
    #[must_use]
    pub fn build(self) -> TokenSource {
        TokenSource(Arc::new(Inner {
            endpoint: self.endpoint,
            clock: self.clock,
            state: Mutex::default(),
            fetching: Arc::new(Semaphore::new(1)),
        }))
    }
}

impl Inner {
    fn with_state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn valid_token(&self) -> Option<MachineToken> {
        let now = self.clock.elapsed();
        self.with_state(|state| {
            state.token.as_ref().filter(|cached| now < cached.expires_at).map(|cached| cached.token.clone())
        })
    }

    fn is_due(&self) -> bool {
        let now = self.clock.elapsed();
        self.with_state(|state| now >= state.next_fetch)
    }

    /// Returns what the fetch of another call has just brought, or `None` if this call must fetch.
    fn outcome_of_others(&self) -> Option<Result<MachineToken, TokenError>> {
        if let Some(token) = self.valid_token() {
            return Some(Ok(token));
        }
        if self.is_due() {
            return None;
        }
        self.with_state(|state| state.failure.clone()).map(Err)
    }

    async fn fetch(&self) -> Result<MachineToken, TokenError> {
        let started = self.clock.elapsed();
        let outcome = self.endpoint.fetch().await;
        self.with_state(|state| match outcome {
            Ok((text, lifetime)) => {
                let token = MachineToken(text.into());
                // Even a token that is about to expire serves the calls that wait for it.
                let expires_at = started + lifetime.saturating_sub(EXPIRY_MARGIN).max(RETRY_INTERVAL);
                let renewal = lifetime * fastrand::u32(700..=800) / 1_000;
                state.next_fetch = started + renewal.max(RETRY_INTERVAL);
                state.failure = None;
                state.token = Some(Cached { token: token.clone(), expires_at });
                Ok(token)
            }
            Err(error) => {
                state.next_fetch = self.clock.elapsed() + RETRY_INTERVAL;
                state.failure = Some(error.clone());
                Err(error)
            }
        })
    }
}

impl MachineToken {
    /// Returns the text of the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the value of the header `Authorization`, marked as sensitive.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let value = HeaderValue::from_str(&format!("Bearer {}", self.0));
        // The text was checked when it was fetched.
        let mut value = value.unwrap_or(HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for MachineToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineToken")
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("client_id", &self.0.endpoint.client_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenSourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSourceBuilder")
            .field("client_id", &self.endpoint.client_id)
            .finish_non_exhaustive()
    }
}
