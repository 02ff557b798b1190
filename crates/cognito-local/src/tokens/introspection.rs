//! Verifies access tokens for the endpoints of the pool itself.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use rusqlite::Connection;
use serde::Deserialize;

use crate::keys::SigningKey;
use crate::models::{TokenUse, User};
use crate::store::{StoreError, grants, users};

#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    token_use: String,
    scope: String,
    exp: i64,
    origin_jti: Option<String>,
}

/// A user's access token that has neither expired nor been revoked.
pub(crate) struct ActiveToken {
    pub(crate) user: User,
    pub(crate) scope: String,
}

/// Why an access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is not an access token of this pool")]
    Invalid,
    #[error("this pool has not signed the token")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token has been revoked, or its user deleted")]
    Revoked,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns the claims of an access token that this pool signed and that has not expired.
pub(super) fn verify(
    token: &str,
    keys: &[Arc<SigningKey>],
    issuer: &str,
    now: i64,
) -> Result<Claims, TokenError> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    let key = keys
        .iter()
        .find(|key| key.token_use() == TokenUse::Access && header.kid.as_deref() == Some(key.kid()))
        .ok_or(TokenError::Invalid)?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.validate_aud = false;
    // The clock of the pool can be ahead of the system clock, which this crate uses.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding_key(), &validation)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            _ => TokenError::Invalid,
        })?
        .claims;
    match claims.token_use == "access" {
        true if claims.exp > now => Ok(claims),
        true => Err(TokenError::Expired),
        false => Err(TokenError::Invalid),
    }
}

/// Returns the user of the token, unless its grant is revoked. Tokens of machine clients have no grant.
pub(super) fn find_active(db: &Connection, claims: Claims) -> Result<Option<ActiveToken>, StoreError> {
    let Some(origin_jti) = claims.origin_jti else { return Ok(None) };
    let grant = grants::find(db, &origin_jti)?.filter(|grant| !grant.revoked && grant.sub == claims.sub);
    let user = grant.map_or(Ok(None), |grant| users::find_by_sub(db, &grant.sub))?;
    Ok(user.map(|user| ActiveToken { user, scope: claims.scope }))
}
