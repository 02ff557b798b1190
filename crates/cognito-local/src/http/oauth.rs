//! The OAuth 2.0 and OpenID Connect endpoints that programs call.

mod client_auth;
mod discovery;
mod error;
mod revoke;
mod token;
mod user_info;

use std::time::Duration;

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::state::AppState;

/// Single-page applications call these from their own origin (Cognito Developer Guide, "Token endpoint": CORS).
pub(super) fn router(pool_id: &str) -> Router<AppState> {
    let issuer_path = format!("/{pool_id}/.well-known");
    Router::new()
        .route("/oauth2/token", post(token::issue_tokens))
        .route("/oauth2/revoke", post(revoke::revoke))
        .route("/oauth2/userInfo", get(user_info::user_info).post(user_info::user_info))
        .route(&format!("{issuer_path}/jwks.json"), get(discovery::jwks))
        .route(&format!("{issuer_path}/openid-configuration"), get(discovery::openid_configuration))
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(cors())
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(Duration::from_secs(600))
}
