//! Fetches a key set: one GET, limited in time and size, without redirects.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::error::{Attempt, FETCH_TIMEOUT, FetchCause, FetchError, MAX_JWKS_BYTES};
use super::set::KeySet;
use crate::loopback::is_loopback;

/// The URLs of one pool's key set, and the HTTP client.
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
        let client = self.build_client().map_err(FetchCause::client)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build_client(&self) -> reqwest::Result<Client> {
        let builder = Client::builder()
            .timeout(FETCH_TIMEOUT)
            // A redirect could lead to another issuer's keys.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{JwksServer, Reply, TestPool};

    async fn fetch(servers: &[&JwksServer]) -> Result<KeySet, FetchError> {
        Endpoints::new(servers.iter().map(|server| server.url().parse().unwrap()).collect()).fetch().await
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
            Endpoints::new(vec!["http://127.0.0.1:1/jwks.json".parse().unwrap()]).fetch().await.unwrap_err();
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
