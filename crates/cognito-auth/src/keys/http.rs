//! The default fetcher: reqwest, without redirects.

use std::sync::OnceLock;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::error::{FETCH_TIMEOUT, FetchCause, MAX_JWKS_BYTES};
use super::fetcher::{KeyFetch, KeyFetcher};
use crate::loopback::is_loopback;

/// Fetches with reqwest. The clients are built at the first fetch, because that reads the machine's root certificates.
#[derive(Debug, Default)]
pub(crate) struct HttpFetcher {
    client: OnceLock<Client>,
    /// A proxy for other hosts cannot reach this machine's loopback interface.
    loopback_client: OnceLock<Client>,
}

impl KeyFetcher for HttpFetcher {
    fn fetch<'a>(&'a self, url: &'a Url) -> KeyFetch<'a> {
        Box::pin(async move {
            let response = self.client(url)?.get(url.clone()).send().await.map_err(cause)?;
            if response.status() != StatusCode::OK {
                return Err(FetchCause::Status(response.status().as_u16()));
            }
            body(response).await
        })
    }
}

impl HttpFetcher {
    fn client(&self, url: &Url) -> Result<&Client, FetchCause> {
        let is_loopback = is_loopback(url);
        let cell = if is_loopback { &self.loopback_client } else { &self.client };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = build_client(is_loopback).map_err(FetchCause::client)?;
        Ok(cell.get_or_init(|| client))
    }
}

fn build_client(is_loopback: bool) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .timeout(FETCH_TIMEOUT)
        // A redirect could lead to another issuer's keys.
        .redirect(Policy::none())
        // A connection kept for ten minutes would be dead, or belong to a runtime that has ended.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("cognito-auth/", env!("CARGO_PKG_VERSION")));
    if is_loopback { builder.no_proxy().build() } else { builder.build() }
}

async fn body(mut response: Response) -> Result<Vec<u8>, FetchCause> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(cause)? {
        if body.len() + chunk.len() > MAX_JWKS_BYTES {
            return Err(FetchCause::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn cause(error: reqwest::Error) -> FetchCause {
    if error.is_timeout() { FetchCause::Timeout } else { FetchCause::request(error.without_url()) }
}
