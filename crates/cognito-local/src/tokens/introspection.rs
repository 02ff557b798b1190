//! Verifies access tokens for the endpoints of the pool itself.

use std::sync::Arc;

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

/// Returns the claims of an access token that this pool signed and that has not expired.
pub(super) fn verify(token: &str, keys: &[Arc<SigningKey>], issuer: &str, now: i64) -> Option<Claims> {
    let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
    let key = keys.iter().find(|key| key.token_use() == TokenUse::Access && key.kid() == kid)?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.validate_aud = false;
    // The clock of the pool can be ahead of the system clock, which this crate uses.
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding_key(), &validation).ok()?.claims;
    (claims.token_use == "access" && claims.exp > now).then_some(claims)
}

/// Returns the user of the token, unless its grant is revoked. Tokens of machine clients have no grant.
pub(super) fn find_active(db: &Connection, claims: Claims) -> Result<Option<ActiveToken>, StoreError> {
    let Some(origin_jti) = claims.origin_jti else { return Ok(None) };
    let grant = grants::find(db, &origin_jti)?.filter(|grant| !grant.revoked && grant.sub == claims.sub);
    let user = grant.map_or(Ok(None), |grant| users::find_by_sub(db, &grant.sub))?;
    Ok(user.map(|user| ActiveToken { user, scope: claims.scope }))
}
