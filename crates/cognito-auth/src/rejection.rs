//! Responses to rejected callers: a status, a challenge and a fixed sentence.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::status::StatusCode;

use crate::error::{BuildError, VerifyError};
use crate::requirements::{Alternative, Requirements, union};

/// Why a request is rejected, as its sender may know it.
///
/// Without a framework, the response is made of [`status`](Self::status), [`headers`](Self::headers) and
/// [`body`](Self::body) with its [`content_type`](Self::content_type). With the feature `axum` it is a response, and puts
/// itself into the extensions of that response, where a layer finds it for the log.
///
/// Its `Display` is the sentence for the caller; its `source` is the [`VerifyError`] for the operator.
#[derive(Debug, Clone)]
pub struct AuthRejection {
    kind: RejectionKind,
    settings: ResponseSettings,
    denial: Option<Arc<Denial>>,
    source: Option<Arc<VerifyError>>,
}

/// What the policy requires beyond a valid token.
#[derive(Debug)]
struct Denial {
    unmet: Vec<Alternative>,
    scopes: Vec<&'static str>,
    max_age: Option<Duration>,
}

/// The kinds of rejection, with the status and the challenge's `error` of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// 401: there is no access token. The challenge has no `error` (RFC 6750, section 3.1).
    MissingToken,
    /// 400, `invalid_request`: there are several `Authorization` headers, or the header cannot be parsed.
    InvalidRequest,
    /// 401, `invalid_token`: the token is not valid here.
    InvalidToken,
    /// 401, `invalid_token`: the token has expired; the client should refresh it.
    ExpiredToken,
    /// 401, `insufficient_user_authentication` with `max_age`: the sign-in is too old (RFC 9470, section 3).
    InsufficientAuthentication,
    /// 403, `insufficient_scope` with `scope`: the token lacks a scope.
    InsufficientScope,
    /// 403, `insufficient_scope`: the caller is not in a group, or does not fulfil a condition.
    Forbidden,
    /// 503 with `Retry-After` and without a challenge: the keys are not available. The token may be valid.
    KeysUnavailable,
}

impl AuthRejection {
    pub(crate) fn new(kind: RejectionKind, settings: &ResponseSettings) -> Self {
        Self { kind, settings: settings.clone(), denial: None, source: None }
    }

    /// The verifier rejected the token.
    pub(crate) fn invalid(error: VerifyError, settings: &ResponseSettings) -> Self {
        let rejection = Self::new(kind_of(&error), settings);
        Self { source: Some(Arc::new(error)), ..rejection }
    }

    /// The token is valid, but does not fulfil the policy; `unmet` is not empty.
    pub(crate) fn denied(
        requirements: &Requirements,
        unmet: Vec<Alternative>,
        settings: &ResponseSettings,
    ) -> Self {
        let best =
            unmet.iter().find(|way| way.is_obtainable()).or(unmet.first()).cloned().unwrap_or_default();
        let max_age = best.max_age.filter(|_| best.is_obtainable());
        let kind = match (max_age, best.scopes.as_slice()) {
            (Some(_), _) => RejectionKind::InsufficientAuthentication,
            (None, [_, ..]) => RejectionKind::InsufficientScope,
            (None, []) => RejectionKind::Forbidden,
        };
        // The next token of the client must have the scopes of this one, too.
        let scopes = match best.scopes.as_slice() {
            [] => Vec::new(),
            scopes => union(&requirements.indispensable_scopes(), scopes),
        };
        Self { denial: Some(Arc::new(Denial { unmet, scopes, max_age })), ..Self::new(kind, settings) }
    }

    /// Returns the kind, to match on.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            RejectionKind::InvalidRequest => StatusCode::BAD_REQUEST,
            RejectionKind::MissingToken
            | RejectionKind::InvalidToken
            | RejectionKind::ExpiredToken
            | RejectionKind::InsufficientAuthentication => StatusCode::UNAUTHORIZED,
            RejectionKind::InsufficientScope | RejectionKind::Forbidden => StatusCode::FORBIDDEN,
            RejectionKind::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns a sentence for the caller. It is the same for every request of one [`kind`](Self::kind).
    #[must_use]
    pub fn detail(&self) -> &'static str {
        match self.kind {
            RejectionKind::MissingToken => "An access token is required.",
            RejectionKind::InvalidRequest => {
                "The request must carry one Authorization header of the form: Bearer <access token>."
            }
            RejectionKind::InvalidToken => "The access token is not valid.",
            RejectionKind::ExpiredToken => "The access token has expired.",
            RejectionKind::InsufficientAuthentication => "A more recent sign-in is required.",
            RejectionKind::InsufficientScope => "The access token lacks a required scope.",
            RejectionKind::Forbidden => "The caller is not permitted to do this.",
            RejectionKind::KeysUnavailable => "Access tokens cannot be verified at the moment.",
        }
    }

    /// Returns what the caller lacks for each way to fulfil the policy. Empty unless the policy is the reason.
    #[must_use]
    pub fn unmet(&self) -> &[Alternative] {
        self.denial.as_ref().map_or(&[], |denial| &denial.unmet)
    }

    /// Returns the scopes that the next token must have. Empty unless a scope is missing.
    #[must_use]
    pub fn scopes(&self) -> &[&'static str] {
        self.denial.as_ref().map_or(&[], |denial| &denial.scopes)
    }

    /// Returns how recent the sign-in must be, for [`RejectionKind::InsufficientAuthentication`].
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.denial.as_ref()?.max_age
    }

    /// Returns when to try again, for [`RejectionKind::KeysUnavailable`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.source.as_deref() {
            Some(VerifyError::KeysUnavailable(unavailable)) => Some(unavailable.retry_after()),
            _ => None,
        }
    }

    /// Returns the headers of the response: `WWW-Authenticate` (RFC 6750, section 3) or `Retry-After`.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let (name, value) = match self.retry_after() {
            Some(wait) => (RETRY_AFTER, HeaderValue::from(wait.as_secs())),
            None => (WWW_AUTHENTICATE, self.challenge()),
        };
        HeaderMap::from_iter([(name, value)])
    }

    /// Returns the media type of [`body`](Self::body).
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        if self.settings.problem_details { "application/problem+json" } else { "text/plain; charset=utf-8" }
    }

    /// Returns the body of the response: [`detail`](Self::detail) as plain text, or a problem document (RFC 9457) with
    /// [`problem_details`](crate::ResourceServerBuilder::problem_details).
    #[must_use]
    pub fn body(&self) -> String {
        if !self.settings.problem_details {
            return self.detail().to_owned();
        }
        // Without `type` the title is that of the status (RFC 9457, section 4.2.1).
        let status = self.status();
        let title = status.canonical_reason();
        serde_json::json!({ "title": title, "status": status.as_u16(), "detail": self.detail() }).to_string()
    }

    fn challenge(&self) -> HeaderValue {
        let error = self.error_code();
        let scopes = match self.kind {
            RejectionKind::MissingToken | RejectionKind::InvalidToken | RejectionKind::ExpiredToken => {
                self.settings.scopes.as_deref().unwrap_or_default().to_owned()
            }
            _ => self.scopes().join(" "),
        };
        let max_age = self.max_age().map(|max_age| max_age.as_secs().to_string());
        let attributes = [
            ("realm", self.settings.realm.as_deref()),
            ("error", error),
            ("error_description", error.map(|_| self.detail())),
            ("scope", Some(scopes.as_str()).filter(|scopes| !scopes.is_empty())),
            ("max_age", max_age.as_deref()),
            ("resource_metadata", self.settings.resource_metadata.as_deref()),
        ];
        let given = attributes.iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", (*value)?)));
        let challenge = format!("Bearer {}", given.collect::<Vec<_>>().join(", "));
        // A policy written by hand can name a scope that does not fit into a header; the bare challenge always does.
        HeaderValue::from_str(challenge.trim_end()).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// Returns the error code (RFC 6750, section 3.1; RFC 9470, section 3). A request without a token gets none.
    fn error_code(&self) -> Option<&'static str> {
        match self.kind {
            RejectionKind::MissingToken | RejectionKind::KeysUnavailable => None,
            RejectionKind::InvalidRequest => Some("invalid_request"),
            RejectionKind::InvalidToken | RejectionKind::ExpiredToken => Some("invalid_token"),
            RejectionKind::InsufficientAuthentication => Some("insufficient_user_authentication"),
            RejectionKind::InsufficientScope | RejectionKind::Forbidden => Some("insufficient_scope"),
        }
    }
}

/// The one mapping from causes to kinds.
fn kind_of(error: &VerifyError) -> RejectionKind {
    match error {
        VerifyError::KeysUnavailable(_) => RejectionKind::KeysUnavailable,
        VerifyError::Expired { .. } => RejectionKind::ExpiredToken,
        VerifyError::TooLarge { .. }
        | VerifyError::Parts
        | VerifyError::Encoding { .. }
        | VerifyError::Header(_)
        | VerifyError::Algorithm { .. }
        | VerifyError::HeaderParameter { .. }
        | VerifyError::Type { .. }
        | VerifyError::KeyId
        | VerifyError::UnknownKey { .. }
        | VerifyError::SignatureLength { .. }
        | VerifyError::Signature
        | VerifyError::Claims(_)
        | VerifyError::MissingClaim { .. }
        | VerifyError::ClaimType { .. }
        | VerifyError::ClaimRange { .. }
        | VerifyError::Issuer { .. }
        | VerifyError::TokenUse { .. }
        | VerifyError::Client { .. }
        | VerifyError::Audience { .. }
        | VerifyError::NotYetValid { .. }
        | VerifyError::Lifetime { .. }
        | VerifyError::SenderConstrained
        | VerifyError::DenyListed => RejectionKind::InvalidToken,
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for AuthRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

/// The settings of a resource server for its responses to rejected callers.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseSettings {
    realm: Option<Arc<str>>,
    resource_metadata: Option<Arc<str>>,
    scopes: Option<Arc<str>>,
    problem_details: bool,
}

impl ResponseSettings {
    pub(crate) fn new(
        realm: Option<&str>,
        resource_metadata: Option<&str>,
        scopes: Option<&str>,
        problem_details: bool,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            problem_details,
            realm: quotable("the realm", realm)?,
            resource_metadata: quotable("the URL of the resource metadata", resource_metadata)?,
            scopes: quotable("the scopes", scopes)?,
        })
    }
}

/// Checks that the text needs no escapes in a quoted string (RFC 9110, section 5.6.4).
fn quotable(name: &'static str, text: Option<&str>) -> Result<Option<Arc<str>>, BuildError> {
    let fits = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\';
    match text {
        Some(text) if !text.bytes().all(fits) => Err(BuildError::HeaderValue { name }),
        _ => Ok(text.map(Arc::from)),
    }
}
