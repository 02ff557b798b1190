//! `POST /oauth2/token`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::PRAGMA;
use axum::response::{IntoResponse, Response};

use super::client_auth::authenticate;
use super::error::{OAuthError, required};
use crate::directory::Directory;
use crate::http::params::{Form, Params, ParamsError};
use crate::tokens::{CodeExchange, TokenResponse, Tokens};

pub(super) async fn issue_tokens(
    State(directory): State<Arc<Directory>>,
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    form: Result<Form, ParamsError>,
) -> Result<Response, OAuthError> {
    let Form(params) = form?;
    let grant_type = required(&params, "grant_type")?;
    let client = authenticate(&directory, &headers, &params)?;
    if directory.is_strict() && params.get("resource").is_some() {
        return Err(OAuthError::invalid_request("resource belongs to the authorization request only"));
    }
    let response = match grant_type {
        "authorization_code" => tokens.redeem_code(&client, code_exchange(&params)?).await,
        "refresh_token" => {
            let refresh_token = required(&params, "refresh_token")?.to_owned();
            tokens.refresh(&client, refresh_token, params.owned("scope")).await
        }
        "client_credentials" => tokens.client_credentials(&client, params.get("scope")).await,
        _ => return Err(OAuthError::unsupported_grant_type()),
    };
    Ok(uncached(response?))
}

fn code_exchange(params: &Params) -> Result<CodeExchange, OAuthError> {
    Ok(CodeExchange {
        code: required(params, "code")?.to_owned(),
        redirect_uri: required(params, "redirect_uri")?.to_owned(),
        code_verifier: params.owned("code_verifier"),
    })
}

/// No cache may store tokens, nor may one of HTTP/1.0 (RFC 6749, section 5.1).
fn uncached(tokens: TokenResponse) -> Response {
    ([(PRAGMA, "no-cache")], Json(tokens)).into_response()
}
