//! Who may call which operation, and from which web pages.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, AUTHORIZATION,
    DATE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use super::error::ApiError;
use crate::http::state::AppState;

/// How a caller proves that it may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Access {
    /// Everybody may call it; what it takes is in the request.
    Open,
    /// The request has the access token of a user.
    WithToken,
    /// The request is signed with AWS credentials.
    Signed,
}

/// Whether the web page that sends the request belongs to an application of this pool.
pub(super) fn is_origin_of_application(pool: &AppState, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| pool.directory.is_origin_of_application(origin))
}

/// Checks for a signature of version 4. Any credentials are accepted, but web pages are not: a page that the user visits
/// must not manage the pool.
pub(super) fn require_signature(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(ORIGIN) {
        return Err(ApiError::foreign_origin());
    }
    let Some(authorization) = headers.get(AUTHORIZATION) else {
        return Err(ApiError::missing_authentication());
    };
    let dated = headers.contains_key("x-amz-date") || headers.contains_key(DATE);
    if dated && authorization.to_str().is_ok_and(is_well_formed) {
        Ok(())
    } else {
        Err(ApiError::incomplete_signature())
    }
}

/// `AWS4-HMAC-SHA256 Credential=…/<date>/<region>/cognito-idp/aws4_request, SignedHeaders=…, Signature=<64 digits>`
fn is_well_formed(authorization: &str) -> bool {
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else { return false };
    let field =
        |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    let scope: Vec<&str> = field("Credential").unwrap_or_default().split('/').collect();
    let signature = field("Signature").unwrap_or_default();
    matches!(scope[..], [key, _, _, "cognito-idp", "aws4_request"] if !key.is_empty())
        && field("SignedHeaders").is_some_and(|names| names.split(';').any(|name| name == "host"))
        && signature.len() == 64
        && signature.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Lets a page call, in answer to its preflight.
pub(super) fn allow_calling(response: &mut Response, request: &HeaderMap) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    headers.insert(VARY, HeaderValue::from_static("origin, access-control-request-headers"));
    if let Some(names) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
}

/// Lets a page read the response.
pub(super) fn allow_reading(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_needs_all_its_parts() {
        let good = format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/cognito-idp/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature={}",
            "a".repeat(64)
        );
        assert!(is_well_formed(&good));
        assert!(is_well_formed(&good.replace(", ", ",")));
        for (part, other) in [
            ("AWS4-HMAC-SHA256", "Bearer"),
            ("cognito-idp", "s3"),
            ("AKID", ""),
            ("host", "x-host"),
            ("SignedHeaders", "Headers"),
            ("aaaa", "aaa"),
            ("aaaa", "zzzz"),
        ] {
            assert!(!is_well_formed(&good.replacen(part, other, 1)), "{part}");
        }
    }
}
