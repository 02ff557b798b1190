//! Whether an access token still holds, as the pool's own endpoints need to know.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::keys::TokenUse;
use crate::pool::LocalPool;
use crate::store::users::{self, User};
use crate::store::{StoreError, grants};

#[derive(Deserialize)]
struct Header {
    kid: String,
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    token_use: String,
    scope: String,
    exp: i64,
    origin_jti: Option<String>,
}

/// A user's access token that is neither expired nor revoked.
pub(crate) struct ActiveToken {
    pub(crate) user: User,
    pub(crate) scope: String,
}

impl LocalPool {
    /// `None` for anything but an access token of a user, signed by this pool, in force and not revoked.
    pub(crate) async fn active_token(&self, token: &str) -> Result<Option<ActiveToken>, StoreError> {
        let Some(claims) = self.verified_claims(token).await? else { return Ok(None) };
        let Some(origin_jti) = claims.origin_jti else { return Ok(None) };
        let user = self.store().read(move |db| {
            let grant =
                grants::find(db, &origin_jti)?.filter(|grant| !grant.revoked && grant.sub == claims.sub);
            grant.map_or(Ok(None), |grant| users::find_by_sub(db, &grant.sub))
        });
        Ok(user.await?.map(|user| ActiveToken { user, scope: claims.scope }))
    }

    async fn verified_claims(&self, token: &str) -> Result<Option<Claims>, StoreError> {
        let Some((message, signature)) = token.rsplit_once('.') else { return Ok(None) };
        let Some((header, claims)) = message.split_once('.') else { return Ok(None) };
        let (Some(header), Ok(signature)) = (decoded::<Header>(header), URL_SAFE_NO_PAD.decode(signature))
        else {
            return Ok(None);
        };
        let keys = self.keys().all().await?;
        let signed = header.alg == "RS256"
            && keys.iter().any(|key| {
                key.token_use() == TokenUse::Access
                    && key.kid() == header.kid
                    && key.verifies(message.as_bytes(), &signature)
            });
        let now = self.clock().unix_seconds();
        let good =
            |claims: &Claims| claims.iss == self.issuer() && claims.token_use == "access" && claims.exp > now;
        Ok(signed.then(|| decoded::<Claims>(claims)).flatten().filter(good))
    }
}

fn decoded<T: for<'de> Deserialize<'de>>(segment: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).ok()?).ok()
}
