//! Errors in the form that OAuth clients read (RFC 6749, section 5.2; RFC 7591, section 3.2.2).

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

/// An error response of the registration or the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    /// 400 with an error code and a sentence that says what to do.
    pub(super) fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    /// 503: Cognito cannot be reached.
    pub(super) fn unavailable() -> Self {
        let description = "The user pool cannot be reached right now. Repeat the request in a second.";
        let error = Self::new("temporarily_unavailable", description);
        Self { status: StatusCode::SERVICE_UNAVAILABLE, ..error }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        let body = json!({"error": self.error, "error_description": self.description});
        (self.status, headers, body.to_string()).into_response()
    }
}
