//! `GET /logout`.

use axum::extract::{RawQuery, State};
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use super::authorize::found;
use super::browser::{Browser, Cookie};
use super::page::ErrorPage;
use super::params::Params;
use crate::pool::LocalPool;

/// Ends the sign-in that the browser remembers, and goes on to a registered URL, or to the sign-in page (Cognito
/// Developer Guide, "Logout endpoint").
pub(super) async fn logout(
    State(pool): State<LocalPool>,
    browser: Browser,
    RawQuery(query): RawQuery,
) -> Result<Response, ErrorPage> {
    let query = query.unwrap_or_default();
    let target = target(&pool, &query)?;
    if let Some(token) = browser.cookie(Cookie::Session) {
        pool.end_session(&token).await.map_err(|e| ErrorPage::failure(&pool, e))?;
    }
    let mut response = found(&target);
    for cookie in [Cookie::Session, Cookie::Challenge] {
        response.headers_mut().append(SET_COOKIE, browser.clear_cookie(cookie));
    }
    Ok(response)
}

/// Before anything is ended: a link that leads nowhere shall do nothing.
fn target(pool: &LocalPool, query: &str) -> Result<String, ErrorPage> {
    let refuse = |detail: String| ErrorPage::bad_request(pool, "This sign-out link does not work", detail);
    let params =
        Params::parse(query.as_bytes()).map_err(|error| refuse(format!("In its query, {error}.")))?;
    let id = params.get("client_id").ok_or_else(|| refuse("Its query lacks client_id.".to_owned()))?;
    let client = pool
        .directory()
        .client(id)
        .ok_or_else(|| refuse("Its client_id is not that of a client of this pool.".to_owned()))?;
    match (params.get("logout_uri"), params.get("redirect_uri")) {
        (Some(uri), _) => {
            let state = params.get("state").map(|state| ("state", state));
            let destination = client.logout(uri).ok_or_else(|| {
                refuse(format!("Its logout_uri is not a sign-out URL of client {}.", client.id))
            })?;
            Ok(destination.with_query(state))
        }
        (None, Some(uri)) => {
            client.callback(uri).ok_or_else(|| {
                refuse(format!("Its redirect_uri is not a callback URL of client {}.", client.id))
            })?;
            Ok(format!("/login?{query}"))
        }
        (None, None) => {
            Err(refuse("Its query needs logout_uri, or redirect_uri and response_type.".to_owned()))
        }
    }
}
