//! Errors of the API, in the form of AWS JSON 1.1.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ServiceError;
use crate::password::PasswordError;
use crate::refusal::Refusal;

/// An error of the API. Cognito uses status 400 for all exceptions of its own.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    exception: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, exception: &'static str, message: impl Into<String>) -> Self {
        Self { status, exception, message: message.into() }
    }

    fn bad_request(exception: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, exception, message)
    }

    pub(super) fn unknown_operation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            "This pool does not have the operation in X-Amz-Target; /api lists those that it has",
        )
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self::bad_request("SerializationException", message)
    }

    pub(super) fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLargeException",
            "The body must not exceed 64 KiB",
        )
    }

    pub(super) fn missing_authentication() -> Self {
        Self::bad_request("MissingAuthenticationTokenException", "Missing Authentication Token")
    }

    pub(super) fn incomplete_signature() -> Self {
        Self::bad_request(
            "IncompleteSignatureException",
            "Authorization must be a signature of version 4 for the service cognito-idp, with X-Amz-Date",
        )
    }

    pub(super) fn foreign_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "AccessDeniedException",
            "Web pages of this origin must not call this operation. Pages may sign users in from a loopback host, or from \
             the origin of a callback URL.",
        )
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Known { exception, message } => Self::bad_request(exception, message),
            Refusal::Service(ServiceError::Password(PasswordError::Busy)) => {
                Self::bad_request("TooManyRequestsException", "Too many requests")
            }
            Refusal::Service(cause) => {
                tracing::error!(error = &cause as &dyn std::error::Error, "operation failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "InternalErrorException",
                    "Internal error; see the log of the pool",
                )
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "__type": self.exception, "message": self.message }).to_string();
        let mut response = (self.status, body).into_response();
        // Amplify reads the header, other clients the body.
        if let Ok(value) = HeaderValue::try_from(format!("{}:", self.exception)) {
            response.headers_mut().insert("x-amzn-errortype", value);
        }
        if let Ok(value) = HeaderValue::try_from(self.message) {
            response.headers_mut().insert("x-amzn-errormessage", value);
        }
        response
    }
}
