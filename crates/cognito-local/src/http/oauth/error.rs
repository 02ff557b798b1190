//! Errors of the OAuth endpoints.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::params::{Params, ParamsError};
use crate::tokens::GrantError;

/// The response to a method that an endpoint does not support.
pub(super) async fn method_not_allowed() -> OAuthError {
    let error = OAuthError::invalid_request("the endpoint does not support this HTTP method");
    OAuthError { status: StatusCode::METHOD_NOT_ALLOWED, ..error }
}

/// Returns a parameter that must be present.
pub(super) fn required<'a>(params: &'a Params, name: &'static str) -> Result<&'a str, OAuthError> {
    params.get(name).ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
}

/// An error of an OAuth endpoint: JSON with `error` (RFC 6749, section 5.2). Cognito uses status 400 for all of them.
#[derive(Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OAuthError {
    fn bad_request(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::bad_request("invalid_request", description)
    }

    pub(super) fn invalid_client() -> Self {
        Self::bad_request("invalid_client", "unknown client, or wrong or missing secret")
    }

    /// The revoke endpoint of Cognito answers failed client authentication with 401.
    pub(super) fn unauthorized(self) -> Self {
        let status = if self.error == "invalid_client" { StatusCode::UNAUTHORIZED } else { self.status };
        Self { status, ..self }
    }

    pub(super) fn unsupported_token_type() -> Self {
        Self::bad_request("unsupported_token_type", "only a refresh token can be revoked")
    }

    pub(super) fn unsupported_grant_type() -> Self {
        Self::bad_request(
            "unsupported_grant_type",
            "grant_type must be authorization_code, refresh_token or client_credentials",
        )
    }

    /// The cause is logged and not sent to the client.
    pub(super) fn internal(cause: impl std::error::Error + 'static) -> Self {
        tracing::error!(error = &cause as &dyn std::error::Error, "request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "server_error",
            description: "internal error; see the log of the pool".to_owned(),
        }
    }
}

impl From<ParamsError> for OAuthError {
    fn from(error: ParamsError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let description = error.to_string();
        match error {
            // One description for all: a stolen token does not tell the thief why it fails.
            GrantError::Invalid | GrantError::Expired | GrantError::Revoked | GrantError::Reused => {
                Self::bad_request("invalid_grant", GrantError::Invalid.to_string())
            }
            GrantError::RedirectUri | GrantError::Unauthorized => {
                Self::bad_request("unauthorized_client", description)
            }
            GrantError::Scope => Self::bad_request("invalid_scope", description),
            GrantError::Store(cause) => Self::internal(cause),
            GrantError::Sign(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        (self.status, Json(body)).into_response()
    }
}
