//! `GET /logout`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::CookieJar;

use super::authorize_request::found;
use super::browser::{Browser, PoolCookie};
use super::page::ErrorPage;
use crate::directory::Directory;
use crate::http::params::Params;
use crate::sign_in::SignIns;
use crate::urls::PoolUrls;

/// Ends the sign-in of the browser, and redirects to a registered URL or to the sign-in page (Cognito
/// Developer Guide, "Logout endpoint").
pub(super) async fn logout(
    State(sign_ins): State<SignIns>,
    State(directory): State<Arc<Directory>>,
    State(urls): State<Arc<PoolUrls>>,
    browser: Browser,
    RawQuery(query): RawQuery,
) -> Result<Response, ErrorPage> {
    let query = query.unwrap_or_default();
    let target = target(&directory, &query).map_err(|detail| {
        ErrorPage::bad_request(&urls.pool_id, "This sign-out link does not work", detail)
    })?;
    if let Some(token) = browser.cookie(PoolCookie::Session) {
        sign_ins.end_session(&token).await.map_err(|e| ErrorPage::failure(&urls.pool_id, e))?;
    }
    let cookies = CookieJar::new()
        .add(browser.removal_of(PoolCookie::Session))
        .add(browser.removal_of(PoolCookie::Challenge));
    Ok((cookies, found(&target)).into_response())
}

/// Returns the target of the redirect, or what is wrong with the link. An invalid link must not end the sign-in.
fn target(directory: &Directory, query: &str) -> Result<String, String> {
    let params = Params::parse(query.as_bytes()).map_err(|error| format!("In its query, {error}."))?;
    let id = params.get("client_id").ok_or("Its query lacks client_id.")?;
    let client = directory.client(id).ok_or("Its client_id is not that of a client of this pool.")?;
    match (params.get("logout_uri"), params.get("redirect_uri")) {
        (Some(uri), _) => {
            let state = params.get("state").map(|state| ("state", state));
            let destination = client
                .logout(uri)
                .ok_or_else(|| format!("Its logout_uri is not a sign-out URL of client {}.", client.id))?;
            Ok(destination.with_query(state))
        }
        (None, Some(uri)) => {
            client
                .callback(uri)
                .ok_or_else(|| format!("Its redirect_uri is not a callback URL of client {}.", client.id))?;
            Ok(format!("/login?{query}"))
        }
        (None, None) => Err("Its query needs logout_uri, or redirect_uri and response_type.".to_owned()),
    }
}
