//! From the headers of a request to its caller, with any HTTP framework.

use http::header::{AUTHORIZATION, HeaderMap};

use crate::access_token::AccessToken;
use crate::policy::{Policy, union};
use crate::rejection::{AuthRejection, RejectionKind};
use crate::verifier::Verifier;

impl Verifier {
    /// Verifies the access token in the `Authorization` header of a request. Nothing else of the request is looked at.
    ///
    /// # Errors
    ///
    /// [`AuthRejection`] of the kind [`MissingToken`](RejectionKind::MissingToken) if there is none,
    /// [`InvalidRequest`](RejectionKind::InvalidRequest) if the header occurs twice or cannot be read, and otherwise
    /// with the [`VerifyError`](crate::VerifyError) as its source.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<AccessToken, AuthRejection> {
        let reject = |kind| AuthRejection::new(kind, self.challenge());
        let raw = bearer_token(headers).map_err(|Malformed| reject(RejectionKind::InvalidRequest))?;
        let raw = raw.ok_or_else(|| reject(RejectionKind::MissingToken))?;
        self.verify_access(raw).await.map_err(|error| AuthRejection::refused(error, self.challenge()))
    }

    /// Checks that the caller fulfils the policy `P`.
    ///
    /// # Errors
    ///
    /// [`AuthRejection`] of the kind [`InsufficientScope`](RejectionKind::InsufficientScope) if a scope is missing, and
    /// of the kind [`Forbidden`](RejectionKind::Forbidden) if a group or another condition is.
    pub fn authorize<P: Policy>(&self, token: &AccessToken) -> Result<(), AuthRejection> {
        let Some(missing) = P::REQUIREMENTS.missing(token, self.checks_scopes()) else { return Ok(()) };
        tracing::debug!(requirements = %P::REQUIREMENTS, ?missing, "the caller does not fulfil the policy");
        // All scopes that are needed, as the token that a client asks for next must have those of this one, too.
        let scopes = match missing.scopes.as_slice() {
            [] => Vec::new(),
            scopes => union(&P::REQUIREMENTS.indispensable_scopes(), scopes),
        };
        Err(AuthRejection::denied(scopes, self.challenge()))
    }
}

/// A request that does not say clearly which token it carries.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

/// The token of `Authorization: Bearer <token>` (RFC 6750, section 2.1); nothing if there is no such header, or if it
/// is of another scheme.
fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, Malformed> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Which of two would count is a question on which a proxy could disagree.
    if values.next().is_some() {
        return Err(Malformed);
    }
    let value = str::from_utf8(value.as_bytes()).map_err(|_| Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !is_scheme(scheme) {
        return Err(Malformed);
    }
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    if is_b64token(token) { Ok(Some(token)) } else { Err(Malformed) }
}

/// The name of a scheme is a `token` (RFC 9110, sections 5.6.2 and 11.1).
fn is_scheme(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750, section 2.1).
fn is_b64token(text: &str) -> bool {
    let is_symbol =
        |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let symbols = text.trim_end_matches('=');
    // All are looked at, whatever the first ones are: without an early exit it is many at once, and a token is long.
    !symbols.is_empty() && symbols.bytes().fold(true, |all, byte| all & is_symbol(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values =
            values.iter().map(|value| (AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap()));
        values.collect()
    }

    #[test]
    fn one_bearer_token_is_found_whatever_the_case_of_the_scheme() {
        for value in ["Bearer a.b-_~+/==", "bearer a.b-_~+/==", "BEARER  a.b-_~+/=="] {
            assert_eq!(bearer_token(&headers(&[value.as_bytes()])), Ok(Some("a.b-_~+/==")), "{value}");
        }
    }

    #[test]
    fn other_schemes_are_no_token() {
        assert_eq!(bearer_token(&headers(&[])), Ok(None));
        for value in ["Basic YTpi", "DPoP abc", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Digest a=\"b\", c=\"d\""] {
            assert_eq!(bearer_token(&headers(&[value.as_bytes()])), Ok(None), "{value}");
        }
    }

    #[test]
    fn whatever_is_not_clear_is_malformed() {
        for values in [
            &[b"Bearer a".as_slice(), b"Bearer a"][..],
            &[b"Bearer a", b"Basic b"],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer a b"],
            &[b"Bearer a, Bearer b"],
            &[b"Bearer\ta"],
            &[b"Bearer: a"],
            &[b"Bearer \"a\""],
            &[b"Bearer =a"],
            &[b"Bearer a=a"],
            &[b"Bearer \xff"],
        ] {
            assert_eq!(bearer_token(&headers(values)), Err(Malformed), "{values:?}");
        }
    }
}
