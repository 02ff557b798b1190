//! Fetching a key set: one GET, bounded in time and size, and no detours.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::{JwksError, KeySet};
use crate::pool::is_loopback;

/// A key set that takes longer than this to arrive is no key set.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Cognito's sets have two keys and less than 1 KiB.
const MAX_JWKS_BYTES: usize = 64 * 1024; // 64 KiB

/// The URLs of one pool's key set, and the client to ask them.
#[derive(Debug)]
pub(super) struct Endpoints {
    urls: Vec<Url>,
    /// Built at the first fetch, because it reads the machine's root certificates.
    client: OnceLock<Client>,
}

impl Endpoints {
    pub(super) fn new(urls: Vec<Url>) -> Self {
        Self { urls, client: OnceLock::new() }
    }

    /// The longest time that [`fetch`](Self::fetch) can take.
    pub(super) fn time_limit(&self) -> Duration {
        FETCH_TIMEOUT * u32::try_from(self.urls.len()).unwrap_or(u32::MAX)
    }

    /// Asks one URL after the other until one answers with a set that has a usable key.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let mut attempts = Vec::new();
        for url in &self.urls {
            match self.fetch_from(url).await {
                Ok(keys) => return Ok(keys),
                Err(cause) => {
                    tracing::debug!(%url, %cause, "no key set at this URL");
                    attempts.push(Attempt { url: url.to_string(), cause });
                }
            }
        }
        Err(FetchError { attempts: attempts.into() })
    }

    async fn fetch_from(&self, url: &Url) -> Result<KeySet, FetchCause> {
        let request = self.client()?.get(url.clone());
        let response = request.send().await.map_err(FetchCause::request)?;
        if response.status() != StatusCode::OK {
            return Err(FetchCause::Status(response.status().as_u16()));
        }
        KeySet::parse(&body(response).await?).map_err(FetchCause::Keys)
    }

    fn client(&self) -> Result<&Client, FetchCause> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build_client().map_err(FetchCause::Client)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build_client(&self) -> reqwest::Result<Client> {
        let builder = Client::builder()
            .timeout(FETCH_TIMEOUT)
            // A redirect could lead to keys of somebody else.
            .redirect(Policy::none())
            // A connection kept for ten minutes would be dead, or belong to a runtime that has ended.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("cognito-auth/", env!("CARGO_PKG_VERSION")));
        // A proxy for the outside world cannot reach this machine's loopback interface.
        if self.urls.iter().all(is_loopback) { builder.no_proxy().build() } else { builder.build() }
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, FetchCause> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchCause::request)? {
        if body.len() + chunk.len() > MAX_JWKS_BYTES {
            return Err(FetchCause::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why no URL of a pool answered with a usable key set.
#[derive(Debug, Clone)]
pub struct FetchError {
    attempts: Arc<[Attempt]>,
}

#[derive(Debug)]
struct Attempt {
    url: String,
    cause: FetchCause,
}

impl FetchError {
    /// Each URL that was asked, with what became of it, in the order in which they were tried.
    pub fn attempts(&self) -> impl Iterator<Item = (&str, &FetchCause)> {
        self.attempts.iter().map(|attempt| (attempt.url.as_str(), &attempt.cause))
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no key set could be fetched")?;
        for (index, (url, cause)) in self.attempts().enumerate() {
            write!(formatter, "{} {url}: {cause}", if index == 0 { ":" } else { ";" })?;
            // The cause alone says that a request failed, and its sources say why.
            let mut source = cause.source();
            while let Some(error) = source {
                write!(formatter, ": {error}")?;
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

/// Why a URL did not give a usable key set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchCause {
    /// The HTTP client cannot be set up, for example because the machine has no root certificates.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The server cannot be reached, or stopped answering.
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    /// The answer took longer than 3 seconds.
    #[error("no complete answer within {FETCH_TIMEOUT:?}")]
    Timeout,
    /// The answer's status is not 200. Redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The answer is larger than 64 KiB.
    #[error("the answer is larger than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    /// The answer is no key set, or has no usable key.
    #[error(transparent)]
    Keys(#[from] JwksError),
}

impl FetchCause {
    fn request(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout } else { Self::Request(error.without_url()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{JwksServer, Reply, TestPool};

    async fn fetch(servers: &[&JwksServer]) -> Result<KeySet, FetchError> {
        Endpoints::new(servers.iter().map(|server| server.url().parse().unwrap()).collect()).fetch().await
    }

    #[tokio::test]
    async fn a_pool_that_never_switched_its_issuer_is_found_at_the_original_one() {
        let pool = TestPool::new();
        let (updated, original) = (pool.serve().await, pool.serve().await);
        updated.reply(Reply::Status(403, "Forbidden".to_owned()));
        assert_eq!(fetch(&[&updated, &original]).await.unwrap().len(), 2);
        assert_eq!((updated.requests(), original.requests()), (1, 1));
    }

    #[tokio::test]
    async fn the_first_url_that_answers_is_enough() {
        let pool = TestPool::new();
        let (updated, original) = (pool.serve().await, pool.serve().await);
        assert_eq!(fetch(&[&updated, &original]).await.unwrap().len(), 2);
        assert_eq!((updated.requests(), original.requests()), (1, 0));
    }

    #[tokio::test]
    async fn a_failure_tells_what_became_of_each_url() {
        let pool = TestPool::new();
        let (updated, original) = (pool.serve().await, pool.serve().await);
        updated.reply(Reply::Status(403, String::new()));
        original.reply(Reply::Huge(MAX_JWKS_BYTES + 1));
        let error = fetch(&[&updated, &original]).await.unwrap_err();
        let causes: Vec<_> = error.attempts().collect();
        assert!(matches!(causes[..], [(_, FetchCause::Status(403)), (_, FetchCause::TooLarge)]), "{error}");
        assert!(error.to_string().contains(&updated.url()), "{error}");
    }

    #[tokio::test]
    async fn a_failure_tells_why_a_request_failed() {
        let error =
            Endpoints::new(vec!["http://127.0.0.1:1/jwks.json".parse().unwrap()]).fetch().await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn a_set_of_just_the_greatest_size_is_read() {
        let pool = TestPool::new();
        let server = pool.serve().await;
        let jwks = pool.jwks().to_string();
        server.reply(Reply::Status(200, format!("{jwks}{}", " ".repeat(MAX_JWKS_BYTES - jwks.len()))));
        assert!(fetch(&[&server]).await.is_ok());
    }
}
