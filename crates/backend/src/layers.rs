//! The layers around the routes.

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse};
use http::{HeaderName, HeaderValue, Method, header};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
    set_header::SetResponseHeaderLayer,
};

use crate::{
    App, Config,
    address_limit::{AddressLimit, limit_address},
    config::LogKey,
    oauth,
    observe::{Observer, observe},
    problem::Problem,
    routes::metadata,
};

/// Adds the layers that hold for every request: its ID, log line and metrics, the bodies of problems, security headers,
/// CORS, panics, and the size limit of a body.
pub fn surround(app: &App, routes: Router) -> Router {
    let config = app.config();
    let set = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let observer = Observer::new(app.metrics().clone(), config.log_key.as_ref().map(LogKey::bytes));
    routes.layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(observer, observe))
            // Every response is data: a browser must not guess its type, frame it or load anything from it.
            .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(set(header::REFERRER_POLICY, "no-referrer"))
            .layer(set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
            .option_layer(
                config.strict_transport_security.clone().map(|value| {
                    SetResponseHeaderLayer::overriding(header::STRICT_TRANSPORT_SECURITY, value)
                }),
            )
            .option_layer(cors(config))
            .layer(middleware::from_fn_with_state(AddressLimit::new(&config.limits), limit_address))
            .layer(CatchPanicLayer::custom(|_| Problem::panicked().into_response()))
            .layer(DefaultBodyLimit::max(config.limits.body_bytes)),
    )
}

/// What a client in a browser needs before it has a token, whatever its origin.
const PUBLIC_PATHS: [&str; 5] = [
    metadata::PATH,
    metadata::MCP_METADATA_PATH,
    oauth::METADATA_PATH,
    oauth::REGISTER_PATH,
    oauth::TOKEN_PATH,
];

/// Lets web pages of the configured origins call, with a token in a header; the API uses no cookies.
fn cors(config: &Config) -> Option<CorsLayer> {
    const ALLOWED: [&str; 10] = [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "traceparent",
        "x-request-id",
    ];
    const EXPOSED: [&str; 9] = [
        "accept-patch",
        "allow",
        "etag",
        "location",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "www-authenticate",
        "x-request-id",
    ];
    let origins = config.cors_allowed_origins.clone();
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, request| {
            let is_public = PUBLIC_PATHS.contains(&request.uri.path());
            is_public || origins.iter().any(|allowed| allows(allowed.as_bytes(), origin.as_bytes()))
        }))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(ALLOWED.map(HeaderName::from_static))
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(600));
    (config.mcp.is_some() || !config.cors_allowed_origins.is_empty()).then_some(layer)
}

/// Whether `allowed` is `origin`, or ends with `:*` and differs only by the port.
fn allows(allowed: &[u8], origin: &[u8]) -> bool {
    let Some(any_port) = allowed.strip_suffix(b":*") else { return allowed == origin };
    let port = origin.strip_prefix(any_port);
    port.is_some_and(|port| match port.split_first() {
        None => true,
        Some((colon, digits)) => *colon == b':' && digits.iter().all(u8::is_ascii_digit),
    })
}
