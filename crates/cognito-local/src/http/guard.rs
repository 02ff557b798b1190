//! Checks of every request and headers of every response.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::urls::PoolUrls;

/// Rejects requests with another `Host`, so that a site whose name resolves to this machine (DNS rebinding) cannot read
/// the mailbox through the user's browser.
pub(super) async fn check_host(State(urls): State<Arc<PoolUrls>>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    if host.is_some_and(|host| is_own_host(&urls, host)) {
        return next.run(request).await;
    }
    let origin = &urls.origin;
    (StatusCode::MISDIRECTED_REQUEST, format!("This is a local user pool. Open it at {origin}\n"))
        .into_response()
}

fn is_own_host(urls: &PoolUrls, host: &str) -> bool {
    let url = &urls.public_url;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let local = [url.host_str().unwrap_or_default(), "localhost", "127.0.0.1", "[::1]"]
        .into_iter()
        .any(|name| host.strip_suffix(&port).is_some_and(|host| host.eq_ignore_ascii_case(name)));
    local || urls.aws_host.as_ref().is_some_and(|name| host.eq_ignore_ascii_case(name))
}

/// Sets the strictest headers, unless a page or an endpoint has set its own.
pub(super) async fn set_security_headers(request: Request, next: Next) -> Response {
    const DEFAULTS: [(HeaderName, HeaderValue); 5] = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
        // Not `no-referrer`: browsers would send forms with `Origin: null`, but forms need the right origin.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    let mut response = next.run(request).await;
    for (name, value) in DEFAULTS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}
