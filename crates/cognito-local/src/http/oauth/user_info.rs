//! `GET /oauth2/userInfo`.

use axum::Json;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::error::OAuthError;
use crate::tokens::{ActiveToken, TokenError, Tokens, attribute_claims};

/// Returns the claims that the scopes of the access token release (OpenID Connect Core 1.0, section 5.3).
pub(super) async fn user_info(State(tokens): State<Tokens>, headers: HeaderMap) -> Response {
    let token = match bearer_token(&headers) {
        Ok(token) => token,
        Err(error) => return error.into_response(),
    };
    match tokens.active_token(token).await {
        Ok(token) if token.scope.split(' ').any(|scope| scope == "openid") => {
            Json(user_claims(&token)).into_response()
        }
        Err(TokenError::Store(error)) => OAuthError::internal(error).into_response(),
        Ok(_) | Err(_) => BearerError::InvalidToken.into_response(),
    }
}

/// Cognito writes booleans as strings at this endpoint only.
fn user_claims(token: &ActiveToken) -> Map<String, Value> {
    let mut claims = Map::from_iter([("sub".to_owned(), token.user.sub.clone().into())]);
    for (name, value) in attribute_claims(&token.user, &token.scope) {
        let value = value.as_bool().map_or(value, |truth| truth.to_string().into());
        claims.insert(name, value);
    }
    claims.insert("username".to_owned(), token.user.username.clone().into());
    claims
}

/// The errors of RFC 6750, section 3.1, with Cognito's descriptions.
enum BearerError {
    InvalidRequest,
    InvalidToken,
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(BearerError::InvalidRequest) };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(BearerError::InvalidRequest)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(BearerError::InvalidRequest) }
}

impl IntoResponse for BearerError {
    fn into_response(self) -> Response {
        let (status, error, description) = match self {
            Self::InvalidRequest => {
                (StatusCode::BAD_REQUEST, "invalid_request", "Bad OAuth2 request at UserInfo Endpoint")
            }
            Self::InvalidToken => (
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "Access token is expired, disabled, or deleted, or the user has globally signed out.",
            ),
        };
        let challenge = format!("Bearer error=\"{error}\", error_description=\"{description}\"");
        let body = Json(json!({ "error": error, "error_description": description }));
        (status, [(WWW_AUTHENTICATE, challenge)], body).into_response()
    }
}
