//! `POST /oauth2/token`.

use axum::Json;
use axum::extract::State;
use axum::http::header::PRAGMA;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::client_auth::authenticate;
use super::params::{Form, Params, ParamsError};
use crate::grant::{CodeExchange, GrantError, TokenResponse};
use crate::pool::LocalPool;

pub(super) async fn issue_tokens(
    State(pool): State<LocalPool>,
    headers: HeaderMap,
    form: Result<Form, ParamsError>,
) -> Result<Response, OAuthError> {
    let Form(params) = form?;
    let grant_type = required(&params, "grant_type")?;
    let client = authenticate(&pool, &headers, &params)?;
    let tokens = match grant_type {
        "authorization_code" => pool.redeem_code(&client, code_exchange(&params)?).await,
        "refresh_token" => {
            let refresh_token = required(&params, "refresh_token")?.to_owned();
            pool.refresh(&client, refresh_token, params.owned("scope")).await
        }
        "client_credentials" => pool.client_credentials(&client, params.get("scope")).await,
        _ => return Err(OAuthError::unsupported_grant_type()),
    };
    Ok(answer(tokens?))
}

/// What the endpoints that programs call say to a method they do not have.
pub(super) async fn method_not_allowed() -> OAuthError {
    let error = OAuthError::invalid_request("the endpoint does not have this HTTP method");
    OAuthError { status: StatusCode::METHOD_NOT_ALLOWED, ..error }
}

fn code_exchange(params: &Params) -> Result<CodeExchange, OAuthError> {
    Ok(CodeExchange {
        code: required(params, "code")?.to_owned(),
        redirect_uri: required(params, "redirect_uri")?.to_owned(),
        code_verifier: params.owned("code_verifier"),
    })
}

pub(super) fn required<'a>(params: &'a Params, name: &'static str) -> Result<&'a str, OAuthError> {
    params.get(name).ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
}

/// RFC 6749 §5.1: never stored, by HTTP/1.0 caches neither.
fn answer(tokens: TokenResponse) -> Response {
    ([(PRAGMA, "no-cache")], Json(tokens)).into_response()
}

/// An error as the token endpoint and its neighbours say it: JSON with `error` (RFC 6749 §5.2). Cognito uses status 400
/// for all of them.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OAuthError {
    fn bad_request(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into() }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::bad_request("invalid_request", description)
    }

    pub(super) fn invalid_client() -> Self {
        Self::bad_request("invalid_client", "unknown client, or wrong or missing secret")
    }

    /// At the revoke endpoint, Cognito answers a client that fails to authenticate with 401.
    pub(super) fn unauthorized(self) -> Self {
        let status = if self.error == "invalid_client" { StatusCode::UNAUTHORIZED } else { self.status };
        Self { status, ..self }
    }

    pub(super) fn unsupported_token_type() -> Self {
        Self::bad_request("unsupported_token_type", "only a refresh token can be revoked")
    }

    fn unsupported_grant_type() -> Self {
        Self::bad_request(
            "unsupported_grant_type",
            "grant_type must be authorization_code, refresh_token or client_credentials",
        )
    }

    /// The cause goes to the log, not to the caller.
    pub(super) fn internal(cause: impl std::error::Error + 'static) -> Self {
        tracing::error!(error = &cause as &dyn std::error::Error, "a request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "server_error",
            description: "the pool failed; its log says why".to_owned(),
        }
    }
}

impl From<ParamsError> for OAuthError {
    fn from(error: ParamsError) -> Self {
        Self::invalid_request(error.to_string())
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let description = error.to_string();
        match error {
            GrantError::Invalid => Self::bad_request("invalid_grant", description),
            GrantError::RedirectUri | GrantError::Unauthorized => {
                Self::bad_request("unauthorized_client", description)
            }
            GrantError::Scope => Self::bad_request("invalid_scope", description),
            GrantError::Store(cause) => Self::internal(cause),
            GrantError::Sign(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        (self.status, Json(body)).into_response()
    }
}
