//! Rejections in gRPC: a response with status 200 and no body, whose headers contain the status of gRPC ("Trailers-Only"
//! in the protocol "gRPC over HTTP2").

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::rejection::{AuthRejection, RejectionKind};

const PERMISSION_DENIED: u16 = 7;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

/// Returns the content type of a gRPC request, and `None` for any other request.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(CONTENT_TYPE).filter(|value| {
        let suffix = value.as_bytes().strip_prefix(b"application/grpc");
        suffix.is_some_and(|suffix| matches!(suffix.first(), None | Some(b'+' | b';')))
    })
}

/// Returns the headers with the status of gRPC.
pub(super) fn status(rejection: &AuthRejection) -> HeaderMap {
    let code = match rejection.kind() {
        RejectionKind::MissingToken
        | RejectionKind::InvalidRequest
        | RejectionKind::InvalidToken
        | RejectionKind::ExpiredToken
        | RejectionKind::InsufficientAuthentication => UNAUTHENTICATED,
        RejectionKind::InsufficientScope | RejectionKind::Forbidden => PERMISSION_DENIED,
        RejectionKind::KeysUnavailable => UNAVAILABLE,
    };
    // The details are printable ASCII without `%`, so they need no percent-encoding.
    let message = HeaderValue::from_static(rejection.detail());
    HeaderMap::from_iter([
        (HeaderName::from_static("grpc-status"), HeaderValue::from(code)),
        (HeaderName::from_static("grpc-message"), message),
    ])
}
