//! `POST /oauth2/revoke`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::client_auth::authenticate;
use super::error::{OAuthError, required};
use crate::directory::Directory;
use crate::http::params::{Form, ParamsError};
use crate::tokens::Tokens;

/// Revokes the grant of a refresh token (RFC 7009; Cognito Developer Guide, "Revoke endpoint").
pub(super) async fn revoke(
    State(directory): State<Arc<Directory>>,
    State(tokens): State<Tokens>,
    headers: HeaderMap,
    form: Result<Form, ParamsError>,
) -> Result<StatusCode, OAuthError> {
    let Form(params) = form?;
    let token = required(&params, "token")?;
    let client = authenticate(&directory, &headers, &params).map_err(OAuthError::unauthorized)?;
    // Access and ID tokens consist of parts, refresh tokens do not.
    if token.contains('.') {
        return Err(OAuthError::unsupported_token_type());
    }
    tokens.revoke(&client, token).await?;
    Ok(StatusCode::OK)
}
