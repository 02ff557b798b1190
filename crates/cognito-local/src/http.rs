//! The front doors of the pool, over the same services: the OAuth 2.0 endpoints that programs call, the AWS API that SDKs
//! and Amplify call, and the pages that browsers open.

mod api;
mod guard;
mod oauth;
mod pages;
mod params;
mod state;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::timeout::TimeoutLayer;

pub(crate) use state::{AppState, CsrfKey};

const MAX_BODY_BYTES: usize = 64 * 1024; // 64 KiB
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) fn router(state: AppState) -> Router {
    oauth::router(&state.urls.pool_id)
        .merge(api::router())
        .merge(pages::router())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(from_fn_with_state(state.clone(), guard::check_host))
        .layer(from_fn(guard::set_security_headers))
        .with_state(state)
}
