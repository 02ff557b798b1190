//! Dynamic client registration (RFC 7591), for clients that know nothing but the URL.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{error::OAuthError, redirect, sign_in};
use crate::{App, extract::Json, problem::Problem};

pub(crate) const PATH: &str = "/register";

/// The most redirect URIs of one client.
const MAX_URIS: usize = 10;

/// What a client says about itself. Only where it can be reached matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Registration {
    #[serde(default)]
    redirect_uris: Vec<String>,
}

/// The client as it is registered.
#[derive(Debug, Serialize)]
struct Registered<'a> {
    client_id: &'a str,
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: &'static str,
    grant_types: [&'static str; 2],
    response_types: [&'static str; 1],
}

/// Answers with the one app client. Nothing is stored: what a client may do is decided again at every later step.
///
/// URIs that are not allowed are left out. Some clients name several and use whichever is registered.
pub(super) async fn register(
    State(app): State<App>,
    Json(registration): Json<Registration>,
) -> Result<Response, Problem> {
    let sign_in = sign_in(&app)?;
    let uris = registration.redirect_uris.into_iter().take(MAX_URIS);
    let redirect_uris: Vec<_> =
        uris.filter(|uri| redirect::is_allowed(uri, &sign_in.redirect_uris)).collect();
    if redirect_uris.is_empty() {
        let description = "No redirect URI is allowed: use http on localhost, or ask the operator to allow yours \
            (MCP_REDIRECT_URIS).";
        return Ok(OAuthError::new("invalid_redirect_uri", description).into_response());
    }
    let registered = Registered {
        client_id: &sign_in.client_id,
        redirect_uris,
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
    };
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Json(registered)).into_response())
}
