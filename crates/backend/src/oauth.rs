//! Sign-in for AI clients.
//!
//! They start from nothing but a URL: they look for the metadata of an authorization server with PKCE, register
//! themselves, and come back at an address that nobody knew before. Cognito's discovery names no PKCE method, it has no
//! registration, and its callback URLs are fixed. These routes add what is missing, in front of one public app client:
//!
//! - [`metadata`] describes the authorization server on this origin;
//! - [`register`] answers with the app client;
//! - [`authorize`] completes the request and passes it to Cognito;
//! - with a key for it, the [`broker`] stands between client and Cognito, so that any port of the user's own machine can
//!   be the client's address.
//!
//! No route stores anything, sees a password or signs a token.

use axum::{
    Router,
    routing::{get, post},
};
use http::{StatusCode, header};

use crate::{App, config::McpSignIn, problem::Problem};

mod authorize;
mod broker;
mod cognito;
mod consent;
mod error;
mod metadata;
mod redirect;
mod register;
mod seal;
mod token;

pub(crate) use metadata::PATH as METADATA_PATH;
pub(crate) use register::PATH as REGISTER_PATH;
pub(crate) use token::PATH as TOKEN_PATH;

/// The routes, without the limits that hold for every route.
pub(crate) fn router(sign_in: &McpSignIn) -> Router<App> {
    let routes = Router::new()
        .route(METADATA_PATH, get(metadata::show))
        .route(REGISTER_PATH, post(register::register));
    match broker::Broker::new(sign_in) {
        Some(broker) => routes
            .route(authorize::PATH, get(consent::ask).post(consent::decide))
            .route(broker::CALLBACK_PATH, get(broker::receive_code))
            .route(TOKEN_PATH, post(token::exchange))
            .layer(axum::Extension(broker)),
        None => routes.route(authorize::PATH, get(authorize::redirect)),
    }
}

/// The settings of the sign-in. These routes exist only with them.
fn sign_in(app: &App) -> Result<&McpSignIn, Problem> {
    let mcp = app.config().mcp.as_ref();
    mcp.and_then(|mcp| mcp.sign_in.as_ref()).ok_or_else(|| Problem::not_found("resource"))
}

/// A redirect that no cache keeps.
fn redirect_to(status: StatusCode, location: &str) -> Result<axum::response::Response, Problem> {
    let location = http::HeaderValue::try_from(location).map_err(Problem::internal)?;
    let no_store = http::HeaderValue::from_static("no-store");
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)];
    Ok(axum::response::IntoResponse::into_response((status, headers)))
}
