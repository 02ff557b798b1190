//! The body of every error response: `application/problem+json` (RFC 9457).
//!
//! A handler returns a [`Problem`]; converting it to a response only stores it there. The outermost layer, which knows the
//! request ID, writes the body and logs the cause once.

use std::{error::Error, sync::Arc};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::{debug, error};
use utoipa::ToSchema;

use crate::rejection::Reason;

/// The media type of problem documents (RFC 9457, section 3).
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// `Cache-Control` of every response that belongs to one caller (RFC 9111, section 5.2.2).
pub(crate) const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

const MISTAKE: &str = "The server made a mistake. It was logged under this request's id.";

/// An error response, with its cause for the operator's log.
///
/// `detail` helps the caller to correct the request and never quotes the cause (RFC 9457, section 5).
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    headers: HeaderMap,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    rejection: Option<Reason>,
}

/// The problem type, for errors that the status alone does not identify. Part of the API's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The status is enough (`about:blank`, RFC 9457, section 4.2.1).
    Plain,
    /// The body or the query does not match the OpenAPI document.
    InvalidRequest,
    /// The `ETag` given in `If-Match` is not the current one.
    VersionConflict,
    /// The write requires `If-Match`.
    VersionRequired,
    /// The idempotency key was used with another body.
    IdempotencyKeyReused,
    /// A request with the same idempotency key is still running.
    IdempotencyKeyInFlight,
    /// The item has the maximum number of attachments.
    TooManyAttachments,
    /// The caller keeps as much in attachments as the quota allows.
    QuotaExceeded,
    /// The caller has the maximum number of requests running.
    TooManyConcurrentRequests,
}

/// An error in one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where the error is: a JSON pointer into the body (RFC 6901), or the name of a query or path parameter or a header.
    #[schema(example = "/title")]
    pub pointer: String,
    /// What is expected there.
    #[schema(example = "must have 1 to 200 characters")]
    pub detail: String,
}

/// The body of an error response, for the OpenAPI document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// The problem type: `about:blank`, or a path that never changes for the same type.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The problem type in a few words.
    #[schema(value_type = String, example = "Not Found")]
    title: &'a str,
    /// The status code of the response.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// What happened, and how to correct the request.
    #[schema(value_type = String, example = "There is no such item.")]
    detail: &'a str,
    /// The ID under which the server logged this request; also in the header `x-request-id`.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(value_type = String, required = true, example = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")]
    request_id: &'a str,
    /// The errors, one by one, if there are several or if each has a place.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    errors: &'a [FieldError],
}

impl Kind {
    fn uri(self) -> &'static str {
        match self {
            Self::Plain => "about:blank",
            Self::InvalidRequest => "/problems/invalid-request",
            Self::VersionConflict => "/problems/version-conflict",
            Self::VersionRequired => "/problems/version-required",
            Self::IdempotencyKeyReused => "/problems/idempotency-key-reused",
            Self::IdempotencyKeyInFlight => "/problems/idempotency-key-in-flight",
            Self::TooManyAttachments => "/problems/too-many-attachments",
            Self::QuotaExceeded => "/problems/quota-exceeded",
            Self::TooManyConcurrentRequests => "/problems/too-many-concurrent-requests",
        }
    }

    fn title(self, status: StatusCode) -> &'static str {
        match self {
            Self::Plain => status.canonical_reason().unwrap_or("Error"),
            Self::InvalidRequest => "The request is not valid",
            Self::VersionConflict => "The resource has changed",
            Self::VersionRequired => "The version to be changed must be named",
            Self::IdempotencyKeyReused => "The idempotency key belongs to another request",
            Self::IdempotencyKeyInFlight => "The first request with this idempotency key is still running",
            Self::QuotaExceeded => "The caller keeps as much as they may",
            Self::TooManyConcurrentRequests => "Too many requests at once",
            Self::TooManyAttachments => "The item has all the attachments it may have",
        }
    }
}

impl FieldError {
    /// Creates an error at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl Problem {
    /// Creates a problem of the type `about:blank`.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind: Kind::Plain,
            detail: detail.into(),
            errors: Vec::new(),
            headers: HeaderMap::new(),
            cause: None,
            rejection: None,
        }
    }

    /// 422 with every error found.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if one.pointer.is_empty() => format!("The body: {}.", one.detail),
            [one] => format!("{}: {}.", one.pointer, one.detail),
            several => format!("The request has {} mistakes; see `errors`.", several.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).kind(Kind::InvalidRequest) }
    }

    /// 404 for a resource that does not exist or belongs to another user. The two are deliberately not distinguished.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// 500. The cause is only logged.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, MISTAKE).cause(cause)
    }

    /// 500 for a panic. Its text may contain a caller's data and is not kept; the log has its location.
    pub fn panicked() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, MISTAKE)
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(detail: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(seconds)
    }

    /// Sets the problem type.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the text that says what happened and how to correct the request.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Adds headers to the response.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Sets `Retry-After` (RFC 9110, section 10.2.3).
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Marks the request as rejected, for the log and the metrics.
    #[must_use]
    pub(crate) fn rejection(mut self, reason: impl Into<Option<Reason>>) -> Self {
        self.rejection = reason.into();
        self
    }

    /// Returns why the request was rejected, if it was.
    pub(crate) fn reason(&self) -> Option<Reason> {
        self.rejection
    }

    /// Whether the server is at fault, not its callers. Only faults count for alarms.
    pub(crate) fn is_fault(&self) -> bool {
        self.status.is_server_error() && self.rejection.is_none()
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the cause and its sources, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        self.cause.as_deref().map(|cause| chain(cause))
    }

    /// Returns what happened and how to correct the request.
    pub(crate) fn text(&self) -> &str {
        &self.detail
    }

    /// Returns the problem document. A document inside another message has no request ID: `""`.
    pub(crate) fn document<'a>(&'a self, request_id: &'a str) -> ProblemBody<'a> {
        ProblemBody {
            kind: self.kind.uri(),
            title: self.kind.title(self.status),
            status: self.status.as_u16(),
            detail: &self.detail,
            request_id,
            errors: &self.errors,
        }
    }

    /// Writes the cause to the log: as an error if the server is at fault.
    pub(crate) fn log_cause(&self) {
        match (self.cause_chain(), self.is_fault()) {
            (Some(cause), true) => error!(cause, "the request failed"),
            (Some(cause), false) => debug!(cause, "the request was rejected"),
            _ => {}
        }
    }

    /// Creates the response with its body.
    pub fn render(&self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.document(request_id)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
        response
    }
}

/// Formats an error and its sources on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let text = cause.to_string();
        if !chain.contains(&text) {
            chain = format!("{chain}: {text}");
        }
    }
    chain
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
