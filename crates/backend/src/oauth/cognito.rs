//! Cognito's token endpoint.

use std::time::Duration;

use http::{StatusCode, header};
use reqwest::{Client, redirect::Policy};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::warn;
use url::Url;

use super::error::OAuthError;
use crate::config::McpSignIn;

/// How long Cognito may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer of Cognito: three tokens of at most 16 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024; // 64 KiB

/// How many exchanges may wait for Cognito at once, so that they cannot take the places of all other requests.
const MAX_EXCHANGES: usize = 64;

/// What the client gets.
#[derive(Serialize, Deserialize)]
pub(super) struct Tokens {
    access_token: String,
    token_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl Tokens {
    /// Says which scope was granted, as it may not be the one that the client asked for (RFC 6749, section 5.1).
    pub(super) fn with_scope(self, scope: String) -> Self {
        Self { scope: Some(scope), ..self }
    }
}

/// The endpoint, and the connections to it.
pub(super) struct Cognito {
    endpoint: String,
    client: Client,
    exchanges: Semaphore,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Cognito {
    pub(super) fn new(sign_in: &McpSignIn) -> Self {
        let endpoint = sign_in.endpoint("/oauth2/token");
        let builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        // A proxy for the outside world cannot reach this machine's loopback interface.
        let is_local = Url::parse(&endpoint).is_ok_and(|url| url.scheme() == "http");
        let builder = if is_local { builder.no_proxy() } else { builder };
        let client = builder.build().unwrap_or_default();
        Self { endpoint, client, exchanges: Semaphore::new(MAX_EXCHANGES) }
    }

    pub(super) async fn tokens(&self, form: &[(&str, &str)]) -> Result<Tokens, OAuthError> {
        let Ok(_permit) = self.exchanges.try_acquire() else {
            return Err(OAuthError::unavailable());
        };
        self.answer(form).await.unwrap_or_else(|cause| {
            warn!(cause, "the token endpoint of the user pool gave no usable answer");
            Err(OAuthError::unavailable())
        })
    }

    /// The causes are constants or errors without the answer: it may contain tokens.
    async fn answer(&self, form: &[(&str, &str)]) -> Result<Result<Tokens, OAuthError>, String> {
        let body = serde_urlencoded::to_string(form).map_err(|error| error.to_string())?;
        let request = self.client.post(&self.endpoint).body(body);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut response = request.send().await.map_err(|error| error.without_url().to_string())?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err("the answer is too large".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        match response.status() {
            StatusCode::OK => {
                serde_json::from_slice(&body).map(Ok).map_err(|_| "the answer has no access token".to_owned())
            }
            // These are about the rate or the network, not about the code or the refresh token.
            StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Err(response.status().to_string())
            }
            status if status.is_client_error() => {
                let refusal =
                    serde_json::from_slice(&body).map_err(|_| format!("{status} without an error code"));
                let refusal = refused(&refusal?);
                refusal.map(Err).ok_or_else(|| format!("{status} with an unknown error code"))
            }
            status => Err(status.to_string()),
        }
    }
}

/// The error codes of RFC 6749, section 5.2, except those that this server cannot cause. The words are this server's.
fn refused(refusal: &Refusal) -> Option<OAuthError> {
    Some(match &*refusal.error {
        "invalid_client" => OAuthError::new("invalid_client", "The user pool does not know the app client."),
        "unauthorized_client" => OAuthError::new("unauthorized_client", "The app client must not do this."),
        "invalid_request" => OAuthError::new("invalid_request", "The user pool cannot read the request."),
        "invalid_scope" => OAuthError::new("invalid_scope", "The app client must not have this scope."),
        "invalid_grant" => OAuthError::new(
            "invalid_grant",
            "The code or refresh token has expired or was used. Sign in again.",
        ),
        _ => return None,
    })
}
