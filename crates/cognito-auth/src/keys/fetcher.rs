//! How keys are fetched over HTTP, which an application can replace.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use url::Url;

use super::error::{FETCH_TIMEOUT, FetchCause, MAX_JWKS_BYTES};

/// Fetches public keys with the HTTP client of the application. Set with
/// [`VerifierBuilder::key_fetcher`](crate::VerifierBuilder::key_fetcher).
///
/// The server of the URL decides which tokens are valid. So an implementation must verify its certificate and must not
/// follow redirects. It is called from one task at a time; a call that takes longer than 3 seconds is dropped, and a body
/// of more than 64 KiB is rejected.
///
/// ```
/// use cognito_auth::{FetchCause, KeyFetch, KeyFetcher};
/// use url::Url;
///
/// /// Reads the keys from a folder that another process keeps up to date.
/// struct Folder(std::path::PathBuf);
///
/// impl KeyFetcher for Folder {
///     fn fetch<'a>(&'a self, _: &'a Url) -> KeyFetch<'a> {
///         Box::pin(async { tokio::fs::read(self.0.join("jwks.json")).await.map_err(FetchCause::request) })
///     }
/// }
/// ```
pub trait KeyFetcher: Send + Sync + 'static {
    /// Sends a GET request for this URL and returns the body of the response.
    ///
    /// # Errors
    ///
    /// [`FetchCause::Status`] if the status is not 200, and [`FetchCause::request`] for another failure.
    fn fetch<'a>(&'a self, url: &'a Url) -> KeyFetch<'a>;
}

/// The future of [`KeyFetcher::fetch`].
pub type KeyFetch<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchCause>> + Send + 'a>>;

/// A fetcher whose calls are limited in time and size.
#[derive(Clone)]
pub(crate) struct LimitedFetcher(Arc<dyn KeyFetcher>);

impl LimitedFetcher {
    pub(crate) fn new(fetcher: impl KeyFetcher) -> Self {
        Self(Arc::new(fetcher))
    }

    pub(crate) async fn fetch(&self, url: &Url) -> Result<Vec<u8>, FetchCause> {
        let body = tokio::time::timeout(FETCH_TIMEOUT, self.0.fetch(url)).await;
        let body = body.map_err(|_| FetchCause::Timeout)??;
        if body.len() > MAX_JWKS_BYTES { Err(FetchCause::TooLarge) } else { Ok(body) }
    }
}

impl fmt::Debug for LimitedFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFetcher")
    }
}
