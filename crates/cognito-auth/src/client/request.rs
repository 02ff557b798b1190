//! One request for a token.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::json::excerpt;
use crate::keys::HttpError;
use crate::loopback::is_loopback;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Tokens of Cognito have a few KiB.
const MAX_RESPONSE_BYTES: usize = 64 * 1024; // 64 KiB

/// Why no token could be fetched. It contains neither a secret nor a token.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// No secret is configured, or the function that reads it returned none.
    #[error("there is no client secret: set it with secret or secrets")]
    NoSecret,
    /// Cognito rejects the request, for example with `invalid_client` for a wrong secret, or with `invalid_scope`.
    #[error("the token endpoint responded with status {status} and error {error}")]
    Rejected {
        /// The status of the response.
        status: u16,
        /// The error code (RFC 6749, section 5.2), escaped and shortened.
        error: String,
    },
    /// The endpoint cannot be reached, or the connection broke.
    #[error("the request to the token endpoint failed")]
    Request(#[source] Arc<HttpError>),
    /// There is no complete response within the time limit.
    #[error("the token endpoint did not respond in time")]
    Timeout,
    /// The response is not a token response (RFC 6749, section 5.1).
    #[error("the response of the token endpoint is not a token response")]
    Malformed,
}

/// The token endpoint, as an app client uses it.
pub(super) struct TokenEndpoint {
    url: Url,
    pub(super) client_id: String,
    pub(super) secrets: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    pub(super) scopes: Vec<String>,
    client: OnceLock<Client>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    expires_in: u32,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
}

impl TokenEndpoint {
    pub(super) fn new(url: Url, client_id: String) -> Self {
        let (secrets, client) = (Box::new(Vec::new), OnceLock::new());
        Self { url, client_id, secrets, scopes: Vec::new(), client }
    }

    /// Fetches a token with the first secret that is accepted. Returns it with its lifetime.
    pub(super) async fn fetch(&self) -> Result<(String, Duration), TokenError> {
        let mut outcome = Err(TokenError::NoSecret);
        for secret in (self.secrets)() {
            outcome = self.fetch_with(&secret).await;
            if !matches!(&outcome, Err(TokenError::Rejected { error, .. }) if error == "invalid_client") {
                break;
            }
        }
        outcome
    }

    async fn fetch_with(&self, secret: &str) -> Result<(String, Duration), TokenError> {
        let request = self
            .client()?
            .post(self.url.clone())
            .basic_auth(&self.client_id, Some(secret))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form());
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = body(response).await?;
        if status != StatusCode::OK {
            let error = serde_json::from_slice(&body).map(|body: ErrorResponse| body.error);
            let error = error.map_or_else(|_| "unknown".to_owned(), |error| excerpt(&error));
            return Err(TokenError::Rejected { status: status.as_u16(), error });
        }
        let response: TokenResponse = serde_json::from_slice(&body).map_err(|_| TokenError::Malformed)?;
        HeaderValue::from_str(&response.access_token).map_err(|_| TokenError::Malformed)?;
        Ok((response.access_token, Duration::from_secs(response.expires_in.into())))
    }

    fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.finish()
    }

    fn client(&self) -> Result<&Client, TokenError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A redirect could lead the secret to another host.
        let builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        let builder = if is_loopback(&self.url) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(failed)?;
        Ok(self.client.get_or_init(|| client))
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, TokenError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(TokenError::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(error: reqwest::Error) -> TokenError {
    if error.is_timeout() {
        return TokenError::Timeout;
    }
    TokenError::Request(Arc::new(HttpError::new(error.without_url())))
}
