//! Errors of key sets.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The longest time that one response may take.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Cognito's sets have two keys and less than 1 KiB.
pub(super) const MAX_JWKS_BYTES: usize = 64 * 1024; // 64 KiB

/// Why the keys of a user pool are not available.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The keys could not be fetched, and there are no recent ones left.
    #[error("the keys of user pool {pool} are not available; the next attempt is in {retry_after:?}")]
    Unavailable {
        /// The pool's ID.
        pool: String,
        /// When to try again.
        retry_after: Duration,
        /// Why the last fetch failed; `None` if it has not ended yet.
        source: Option<FetchError>,
    },
    /// The token names an unknown key, which may be a new one, but the keys were fetched too recently to do it again.
    #[error("the keys of user pool {pool} were fetched too recently; the next fetch is in {retry_after:?}")]
    FetchPending {
        /// The pool's ID.
        pool: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The keys must be fetched, but the call was made outside a tokio runtime.
    #[error("the keys of user pool {pool} cannot be fetched outside a tokio runtime")]
    NoRuntime {
        /// The pool's ID.
        pool: String,
    },
}

impl KeySetError {
    /// Returns when to try again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Unavailable { retry_after, .. } | Self::FetchPending { retry_after, .. } => *retry_after,
            Self::NoRuntime { .. } => Duration::from_secs(1),
        }
    }
}

/// Why no URL of a pool served a usable key set.
///
/// It names the origin of each URL only, because a path or query can contain a secret.
#[derive(Debug, Clone)]
pub struct FetchError {
    attempts: Arc<[Attempt]>,
}

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) origin: String,
    pub(super) cause: FetchCause,
}

impl FetchError {
    pub(super) fn new(attempts: Vec<Attempt>) -> Self {
        Self { attempts: attempts.into() }
    }

    /// Returns the origin of each URL and why it failed, in the order in which they were tried.
    pub fn attempts(&self) -> impl Iterator<Item = (&str, &FetchCause)> {
        self.attempts.iter().map(|attempt| (attempt.origin.as_str(), &attempt.cause))
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key set cannot be fetched")?;
        for (index, (origin, cause)) in self.attempts().enumerate() {
            write!(f, "{} {origin}: {cause}", if index == 0 { ":" } else { ";" })?;
            // The cause alone says only that the request failed; its sources say why.
            let mut source = cause.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
        }
        Ok(())
    }
}

impl Error for FetchError {
    /// The cause at the URL that was tried last.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.attempts.last().map(|attempt| &attempt.cause as _)
    }
}

/// Why a URL did not serve a usable key set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchCause {
    /// The HTTP client cannot be created, for example because the machine has no root certificates.
    #[error("the HTTP client cannot be created")]
    Client(#[source] HttpError),
    /// The server cannot be reached, or the connection broke.
    #[error("the request failed")]
    Request(#[source] HttpError),
    /// The response took longer than 3 seconds.
    #[error("no complete response within {FETCH_TIMEOUT:?}")]
    Timeout,
    /// The status of the response is not 200. Redirects are not followed.
    #[error("the response has status {0}")]
    Status(u16),
    /// The response is larger than 64 KiB.
    #[error("the response is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    /// The response is not a key set, or has no usable key.
    #[error(transparent)]
    Keys(#[from] JwksError),
}

impl FetchCause {
    #[cfg(feature = "reqwest")]
    pub(super) fn client(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Client(HttpError::new(error))
    }

    /// Creates the cause of a request that failed, for a [`KeyFetcher`](crate::KeyFetcher). The error must not contain
    /// the URL, whose path or query can be secret.
    #[must_use]
    pub fn request(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Request(HttpError::new(error))
    }
}

/// An error of the HTTP client. Its text and its sources say what happened.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HttpError(Box<dyn Error + Send + Sync>);

impl HttpError {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

/// Why a JSON Web Key Set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The text is not a JSON object with an array `keys`.
    #[error("not a JSON Web Key Set: line {line}, column {column}")]
    Syntax {
        /// The line of the first error, counted from 1.
        line: usize,
        /// The column of the first error, counted from 1.
        column: usize,
    },
    /// The set has no RSA signing key of at least 2048 bits with a unique `kid`.
    #[error("the set does not contain a usable RSA signing key")]
    NoUsableKey,
}

impl JwksError {
    /// The parser's message is dropped, because it can quote the server's response.
    pub(super) fn syntax(error: serde_json::Error) -> Self {
        Self::Syntax { line: error.line(), column: error.column() }
    }
}
