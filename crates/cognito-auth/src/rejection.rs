//! What a caller is told who is not let in: a status, a challenge and a fixed sentence.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::status::StatusCode;

use crate::error::{BuildError, VerifyError};

/// Why a request is not let in, as its sender may know it.
///
/// An application that writes error bodies of its own takes [`status`](Self::status), [`headers`](Self::headers) and
/// [`detail`](Self::detail) from it. With the feature `axum` it is a response by itself, in plain text, and puts itself
/// into the extensions of that response, where a layer finds it for the log.
///
/// Its `Display` is the sentence for the caller; its `source` is the [`VerifyError`] for the operator.
#[derive(Debug, Clone)]
pub struct AuthRejection {
    kind: RejectionKind,
    scopes: Vec<&'static str>,
    retry_after: Option<Duration>,
    challenge: Challenge,
    source: Option<Arc<VerifyError>>,
}

/// The answers that a request without sufficient credentials can get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// 401: there is no access token.
    MissingToken,
    /// 400: there are several `Authorization` headers, or the one there is cannot be read.
    InvalidRequest,
    /// 401: the token is not valid here.
    InvalidToken,
    /// 401: the token has expired; the client should refresh it.
    ExpiredToken,
    /// 403: the token lacks a scope.
    InsufficientScope,
    /// 403: the caller is not in a group, or does not fulfil another condition.
    Forbidden,
    /// 503: the keys are not available. The token may be valid.
    KeysUnavailable,
}

impl AuthRejection {
    pub(crate) fn new(kind: RejectionKind, challenge: &Challenge) -> Self {
        Self { kind, scopes: Vec::new(), retry_after: None, challenge: challenge.clone(), source: None }
    }

    /// A token was refused.
    pub(crate) fn refused(error: VerifyError, challenge: &Challenge) -> Self {
        let retry_after = match &error {
            VerifyError::KeysUnavailable(unavailable) => Some(unavailable.retry_after()),
            _ => None,
        };
        let kind = kind_of(&error);
        Self { retry_after, source: Some(Arc::new(error)), ..Self::new(kind, challenge) }
    }

    /// A valid token is not enough. The scopes are those to ask for; there are none if a scope is not what is missing.
    pub(crate) fn denied(scopes: Vec<&'static str>, challenge: &Challenge) -> Self {
        let kind =
            if scopes.is_empty() { RejectionKind::Forbidden } else { RejectionKind::InsufficientScope };
        Self { scopes, ..Self::new(kind, challenge) }
    }

    /// Which of the answers this is, to match on.
    #[must_use]
    pub fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            RejectionKind::InvalidRequest => StatusCode::BAD_REQUEST,
            RejectionKind::MissingToken | RejectionKind::InvalidToken | RejectionKind::ExpiredToken => {
                StatusCode::UNAUTHORIZED
            }
            RejectionKind::InsufficientScope | RejectionKind::Forbidden => StatusCode::FORBIDDEN,
            RejectionKind::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A sentence for the caller. It is the same for every request of one [`kind`](Self::kind).
    #[must_use]
    pub fn detail(&self) -> &'static str {
        match self.kind {
            RejectionKind::MissingToken => "An access token is required.",
            RejectionKind::InvalidRequest => {
                "The request must carry one Authorization header of the form: Bearer <access token>."
            }
            RejectionKind::InvalidToken => "The access token is not valid.",
            RejectionKind::ExpiredToken => "The access token has expired.",
            RejectionKind::InsufficientScope => "The access token lacks a required scope.",
            RejectionKind::Forbidden => "The caller is not permitted to do this.",
            RejectionKind::KeysUnavailable => "Access tokens cannot be verified at the moment.",
        }
    }

    /// The scopes that a token must have, for [`RejectionKind::InsufficientScope`].
    #[must_use]
    pub fn scopes(&self) -> &[&'static str] {
        &self.scopes
    }

    /// When to try again, for [`RejectionKind::KeysUnavailable`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The headers that belong to the answer: `WWW-Authenticate` (RFC 6750, section 3) or `Retry-After`.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self.retry_after {
            Some(wait) => drop(headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()))),
            None => drop(headers.insert(WWW_AUTHENTICATE, self.challenge())),
        }
        headers
    }

    fn challenge(&self) -> HeaderValue {
        let error = self.error_code();
        let scopes = self.scopes.join(" ");
        let attributes = [
            ("realm", self.challenge.realm.as_deref()),
            ("error", error),
            ("error_description", error.map(|_| self.detail())),
            ("scope", Some(scopes.as_str()).filter(|scopes| !scopes.is_empty())),
            ("resource_metadata", self.challenge.resource_metadata.as_deref()),
        ];
        let given = attributes.iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", (*value)?)));
        let attributes = given.collect::<Vec<_>>().join(", ");
        let challenge = format!("Bearer {attributes}");
        // A policy written by hand can name a scope that fits into no header; the bare challenge always does.
        HeaderValue::from_str(challenge.trim_end()).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// The error codes of RFC 6750, section 3.1. A request without a token gets none.
    fn error_code(&self) -> Option<&'static str> {
        match self.kind {
            RejectionKind::MissingToken | RejectionKind::KeysUnavailable => None,
            RejectionKind::InvalidRequest => Some("invalid_request"),
            RejectionKind::InvalidToken | RejectionKind::ExpiredToken => Some("invalid_token"),
            RejectionKind::InsufficientScope | RejectionKind::Forbidden => Some("insufficient_scope"),
        }
    }
}

/// The one table from causes to answers.
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
        | VerifyError::DenyListed
        | VerifyError::Nonce
        | VerifyError::AccessTokenHash => RejectionKind::InvalidToken,
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.detail())
    }
}

impl std::error::Error for AuthRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

/// What every challenge of a verifier says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    realm: Option<Arc<str>>,
    resource_metadata: Option<Arc<str>>,
}

impl Challenge {
    pub(crate) fn new(realm: Option<&str>, resource_metadata: Option<&str>) -> Result<Self, BuildError> {
        Ok(Self {
            realm: quotable("the realm", realm)?,
            resource_metadata: quotable("the URL of the resource metadata", resource_metadata)?,
        })
    }
}

/// Text that is the content of a quoted string as it stands (RFC 9110, section 5.6.4).
fn quotable(name: &'static str, text: Option<&str>) -> Result<Option<Arc<str>>, BuildError> {
    let fits = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && byte != b'"' && byte != b'\\';
    match text {
        Some(text) if !text.bytes().all(fits) => Err(BuildError::HeaderValue { name }),
        _ => Ok(text.map(Arc::from)),
    }
}
