//! Requests that a web page of another site could cause.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Url;

/// Whether `host`, without a port, is a name of this machine.
///
/// ```
/// assert!(local_cloud::is_loopback_host("localhost"));
/// assert!(!local_cloud::is_loopback_host("localhost.example.com"));
/// ```
pub fn is_loopback_host(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
}

/// Whether the only `Host` header names this machine.
///
/// A page whose own name resolves to 127.0.0.1 (DNS rebinding) sends that name.
pub fn has_loopback_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| is_loopback_host(authority.host()))
}

pub(crate) fn is_loopback_origin(origin: &HeaderValue) -> bool {
    let url = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
    url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(is_loopback_host)
    })
}

/// Rejects a `Host` that is not this machine with 421, and an `Origin` that is not with 403.
pub(crate) async fn reject_foreign_pages(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let foreign_target = request.uri().host().is_some_and(|host| !is_loopback_host(host));
    if foreign_target || !has_loopback_host(headers) {
        return (StatusCode::MISDIRECTED_REQUEST, "use http://localhost\n").into_response();
    }
    if !headers.get_all(header::ORIGIN).iter().all(is_loopback_origin) {
        return (StatusCode::FORBIDDEN, "only pages of this machine may call\n").into_response();
    }
    next.run(request).await
}
