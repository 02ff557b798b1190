//! Fetches a key set from the first URL that serves one.

use std::time::Duration;

use url::Url;

use super::error::{Attempt, FETCH_TIMEOUT, FetchCause, FetchError};
use super::fetcher::LimitedFetcher;
use super::set::KeySet;

/// The URLs of one pool's key set, and the fetcher.
#[derive(Debug)]
pub(super) struct Endpoints {
    urls: Vec<Url>,
    fetcher: LimitedFetcher,
}

impl Endpoints {
    pub(super) fn new(urls: Vec<Url>, fetcher: LimitedFetcher) -> Self {
        Self { urls, fetcher }
    }

    /// The longest time that [`fetch`](Self::fetch) can take.
    pub(super) fn time_limit(&self) -> Duration {
        FETCH_TIMEOUT * u32::try_from(self.urls.len()).unwrap_or(u32::MAX)
    }

    /// Tries one URL after the other until one serves a set with a usable key.
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let mut attempts = Vec::new();
        for url in &self.urls {
            match self.fetch_from(url).await {
                Ok(keys) => return Ok(keys),
                Err(cause) => {
                    let origin = url.origin().ascii_serialization();
                    tracing::debug!(origin, %cause, "the key set cannot be fetched from this URL");
                    attempts.push(Attempt { origin, cause });
                }
            }
        }
        Err(FetchError::new(attempts))
    }

    async fn fetch_from(&self, url: &Url) -> Result<KeySet, FetchCause> {
        KeySet::parse(&self.fetcher.fetch(url).await?).map_err(FetchCause::Keys)
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::MAX_JWKS_BYTES;
    use super::super::http::HttpFetcher;
    use super::*;
    use crate::testing::{JwksServer, Reply, TestPool};

    fn endpoints(urls: Vec<Url>) -> Endpoints {
        Endpoints::new(urls, LimitedFetcher::new(HttpFetcher::default()))
    }

    async fn fetch(servers: &[&JwksServer]) -> Result<KeySet, FetchError> {
        endpoints(servers.iter().map(|server| server.url().parse().unwrap()).collect()).fetch().await
    }

    #[tokio::test]
    async fn pool_with_original_issuer_is_found_at_second_url() {
        let pool = TestPool::new();
        let (updated, original) = (pool.serve().await, pool.serve().await);
        updated.reply(Reply::Status(403, "Forbidden".to_owned()));
        assert_eq!(fetch(&[&updated, &original]).await.unwrap().len(), 2);
        assert_eq!((updated.requests(), original.requests()), (1, 1));
    }

    #[tokio::test]
    async fn first_url_with_keys_is_enough() {
        let pool = TestPool::new();
        let (updated, original) = (pool.serve().await, pool.serve().await);
        assert_eq!(fetch(&[&updated, &original]).await.unwrap().len(), 2);
        assert_eq!((updated.requests(), original.requests()), (1, 0));
    }

    #[tokio::test]
    async fn failure_lists_the_cause_for_each_url_without_its_path() {
        let pool = TestPool::new();
        let (updated, original) = (pool.serve().await, pool.serve().await);
        updated.reply(Reply::Status(403, String::new()));
        original.reply(Reply::Huge(MAX_JWKS_BYTES + 1));
        let error = fetch(&[&updated, &original]).await.unwrap_err();
        let causes: Vec<_> = error.attempts().collect();
        assert!(matches!(causes[..], [(_, FetchCause::Status(403)), (_, FetchCause::TooLarge)]), "{error}");
        let origin = updated.url().replace("/.well-known/jwks.json", "");
        assert!(error.to_string().contains(&origin) && !error.to_string().contains("jwks.json"), "{error}");
    }

    #[tokio::test]
    async fn failure_contains_the_sources_of_its_cause() {
        let error =
            endpoints(vec!["http://127.0.0.1:1/jwks.json".parse().unwrap()]).fetch().await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn set_of_maximum_size_is_accepted() {
        let pool = TestPool::new();
        let server = pool.serve().await;
        let jwks = pool.jwks().to_string();
        server.reply(Reply::Status(200, format!("{jwks}{}", " ".repeat(MAX_JWKS_BYTES - jwks.len()))));
        assert!(fetch(&[&server]).await.is_ok());
    }
}
