//! The pool's endpoints and pages.

mod assets;
mod authorize;
mod browser;
mod client_auth;
mod confirm;
mod discovery;
mod field;
mod forgot_password;
mod guard;
mod home;
mod login;
mod logout;
mod mailbox;
mod mfa;
mod page;
mod params;
mod revoke;
mod signup;
mod token;
mod user_info;
mod visit;

use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Router, http::Method};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_http::timeout::TimeoutLayer;

use crate::pool::LocalPool;

const MAX_BODY_BYTES: usize = 64 * 1024; // 64 KiB
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) fn router(pool: LocalPool) -> Router {
    let issuer_path = format!("/{}/.well-known", pool.pool_id());
    // What a single-page application calls from its own origin (Cognito Developer Guide, "Token endpoint": CORS).
    let called = Router::new()
        .route("/oauth2/token", post(token::issue_tokens))
        .route("/oauth2/revoke", post(revoke::revoke))
        .route("/oauth2/userInfo", get(user_info::user_info).post(user_info::user_info))
        .route(&format!("{issuer_path}/jwks.json"), get(discovery::jwks))
        .route(&format!("{issuer_path}/openid-configuration"), get(discovery::openid_configuration))
        .method_not_allowed_fallback(token::method_not_allowed)
        .layer(cors());
    let visited = Router::new()
        .route("/oauth2/authorize", get(authorize::authorize))
        .route("/login", get(login::show_login).post(login::sign_in))
        .route("/signup", get(signup::show_sign_up).post(signup::sign_up))
        .route("/confirm", get(confirm::show_confirm).post(confirm::confirm))
        .route(
            "/forgot-password",
            get(forgot_password::show_forgot_password).post(forgot_password::forgot_password),
        )
        .route(
            "/reset-password",
            get(forgot_password::show_reset_password).post(forgot_password::reset_password),
        )
        .route("/mfa", get(mfa::show_challenge).post(mfa::answer))
        .route("/mfa/setup", get(mfa::show_setup).post(mfa::set_up))
        .route("/logout", get(logout::logout))
        .route("/mailbox", get(mailbox::mailbox))
        .route("/", get(home::home))
        .route("/assets/{name}", get(assets::asset));
    called
        .merge(visited)
        .fallback(page::not_found)
        .method_not_allowed_fallback(page::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(from_fn_with_state(pool.clone(), guard::check_host))
        .layer(from_fn(guard::set_security_headers))
        .with_state(pool)
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(Duration::from_secs(600))
}
