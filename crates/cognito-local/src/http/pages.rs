//! The hosted UI: what a browser opens. The pages need no JavaScript.

mod api_operations;
mod assets;
mod authorize;
mod authorize_request;
mod browser;
mod confirm;
mod field;
mod forgot_password;
mod home;
mod login;
mod logout;
mod mailbox;
mod mfa;
mod new_password;
mod page;
mod qr_code;
mod sign_in_page;
mod signup;

use axum::Router;
use axum::routing::get;

use super::state::AppState;

pub(super) fn router() -> Router<AppState> {
    Router::new()
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
        .route("/new-password", get(new_password::show_new_password).post(new_password::set_new_password))
        .route("/mfa", get(mfa::show_challenge).post(mfa::answer))
        .route("/mfa/setup", get(mfa::show_setup).post(mfa::set_up))
        .route("/logout", get(logout::logout))
        .route("/mailbox", get(mailbox::mailbox))
        .route("/api", get(api_operations::api_operations))
        .route("/", get(home::home))
        .route("/assets/{name}", get(assets::asset))
        .fallback(page::not_found)
        .method_not_allowed_fallback(page::method_not_allowed)
}
