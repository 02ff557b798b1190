//! `POST /oauth2/revoke`.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::client_auth::authenticate;
use super::params::{Form, ParamsError};
use super::token::{OAuthError, required};
use crate::pool::LocalPool;

/// Revokes a refresh token and all that came of it (RFC 7009; Cognito Developer Guide, "Revoke endpoint").
pub(super) async fn revoke(
    State(pool): State<LocalPool>,
    headers: HeaderMap,
    form: Result<Form, ParamsError>,
) -> Result<StatusCode, OAuthError> {
    let Form(params) = form?;
    let token = required(&params, "token")?;
    let client = authenticate(&pool, &headers, &params).map_err(OAuthError::unauthorized)?;
    // Access and ID tokens have three parts, refresh tokens none.
    if token.contains('.') {
        return Err(OAuthError::unsupported_token_type());
    }
    pool.revoke(&client, token).await?;
    Ok(StatusCode::OK)
}
