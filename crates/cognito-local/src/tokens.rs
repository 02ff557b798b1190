//! Authorization codes, grants, and the tokens that clients get for them.

mod claims;
mod exchange;
mod introspection;

use std::sync::Arc;

use aws_lc_rs::hmac;
use serde::Serialize;

use crate::clock::Clock;
use crate::config::OAuthFlow;
use crate::directory::Client;
use crate::keys::KeyRing;
use crate::models::{AuthorizationCode, Session, TokenUse};
use crate::secret::{random_token, token_digest};
use crate::store::{Store, StoreError, codes, grants, users};
use crate::urls::PoolUrls;
use claims::{Issue, MachineClaims};
use exchange::{PresentedToken, committed, narrowed, redeem, rotate};

pub(crate) use claims::attribute_claims;
pub(crate) use exchange::{API_SCOPE, CodeExchange, GrantError, Granted, grant_by_api};
pub(crate) use introspection::{ActiveToken, TokenError};

/// Issues, refreshes, verifies and revokes tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    store: Store,
    keys: KeyRing,
    clock: Clock,
    urls: Arc<PoolUrls>,
    /// Derives the successor of a refresh token.
    rotation_key: hmac::Key,
}

/// The authorization request that a code answers.
pub(crate) struct CodeRequest<'a> {
    pub(crate) client: &'a Client,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) resource: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) code_challenge: Option<&'a str>,
}

/// The response of the token endpoint (RFC 6749, section 5.1; OpenID Connect Core 1.0, section 3.1.3.3).
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<String>,
    pub(crate) access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    pub(crate) expires_in: u32,
    pub(crate) token_type: &'static str,
}

impl Tokens {
    pub(crate) fn new(
        store: Store,
        keys: KeyRing,
        clock: Clock,
        urls: Arc<PoolUrls>,
        rotation_key: hmac::Key,
    ) -> Self {
        Self { store, keys, clock, urls, rotation_key }
    }

    /// Returns a new code for a signed-in user.
    pub(crate) async fn issue_code(
        &self,
        request: CodeRequest<'_>,
        session: &Session,
    ) -> Result<String, StoreError> {
        let token = random_token()?;
        let digest = token_digest(&token);
        let code = AuthorizationCode {
            sub: session.sub.clone(),
            generation: session.generation,
            client_id: request.client.id.clone(),
            redirect_uri: request.redirect_uri.to_owned(),
            scope: request.scope.to_owned(),
            resource: request.resource.map(str::to_owned),
            nonce: request.nonce.map(str::to_owned),
            code_challenge: request.code_challenge.map(str::to_owned),
            auth_time: session.auth_time,
            expires_at: self.clock.unix_seconds() + codes::LIFETIME_SECONDS,
            used: false,
            origin_jti: None,
        };
        self.store.write(move |tx| codes::insert(tx, &digest, &code)).await?;
        Ok(token)
    }

    /// Exchanges a code for tokens. Each code works once.
    pub(crate) async fn redeem_code(
        &self,
        client: &Arc<Client>,
        exchange: CodeExchange,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(OAuthFlow::Code) {
            return Err(GrantError::Unauthorized);
        }
        let now = self.clock.unix_seconds();
        let owner = Arc::clone(client);
        let granted = self.store.write(move |tx| committed(redeem(tx, &owner, &exchange, now))).await??;
        self.sign(client, granted, now).await
    }

    /// Returns new tokens for a refresh token. `scope` can request less than was granted (RFC 6749, section 6).
    pub(crate) async fn refresh(
        &self,
        client: &Arc<Client>,
        refresh_token: String,
        scope: Option<String>,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(OAuthFlow::Code) {
            return Err(GrantError::Unauthorized);
        }
        self.refresh_grant(client, refresh_token, scope).await
    }

    /// Returns new tokens for a refresh token, also to a client without OAuth flows.
    pub(crate) async fn refresh_grant(
        &self,
        client: &Arc<Client>,
        refresh_token: String,
        scope: Option<String>,
    ) -> Result<TokenResponse, GrantError> {
        let now_ms = self.clock.unix_millis();
        let owner = Arc::clone(client);
        let key = self.rotation_key.clone();
        let presented = PresentedToken { refresh_token, scope };
        let granted =
            self.store.write(move |tx| committed(rotate(tx, &owner, &presented, &key, now_ms))).await??;
        self.sign(client, granted, now_ms / 1000).await
    }

    /// Returns the name of the user whom a refresh token belongs to.
    pub(crate) async fn username_of(&self, refresh_token: &str) -> Result<Option<String>, StoreError> {
        let digest = token_digest(refresh_token);
        self.store
            .read(move |db| {
                let Some(token) = grants::find_refresh_token(db, &digest)? else { return Ok(None) };
                let Some(grant) = grants::find(db, &token.origin_jti)? else { return Ok(None) };
                Ok(users::find_by_sub(db, &grant.sub)?.map(|user| user.username))
            })
            .await
    }

    /// Revokes the grant of a refresh token. An unknown token counts as revoked.
    pub(crate) async fn revoke(&self, client: &Client, refresh_token: &str) -> Result<(), GrantError> {
        let (digest, client_id) = (token_digest(refresh_token), client.id.clone());
        let own = self.store.write(move |tx| {
            let Some(token) = grants::find_refresh_token(tx, &digest)? else { return Ok(true) };
            let own = grants::find(tx, &token.origin_jti)?.is_some_and(|grant| grant.client_id == client_id);
            if own {
                grants::revoke(tx, &token.origin_jti)?;
            }
            Ok(own)
        });
        // A token of another client is rejected (RFC 7009, section 2.1).
        if own.await? { Ok(()) } else { Err(GrantError::Unauthorized) }
    }

    /// Returns an access token for the client itself.
    pub(crate) async fn client_credentials(
        &self,
        client: &Client,
        scope: Option<&str>,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(OAuthFlow::ClientCredentials) {
            return Err(GrantError::Unauthorized);
        }
        // Only custom scopes: the others describe a user (Cognito Developer Guide, "Token endpoint").
        let own: Vec<&str> = client.scopes().iter().map(String::as_str).filter(|s| s.contains('/')).collect();
        let scope = narrowed(&own.join(" "), scope)?;
        let lifetime = client.lifetimes.access_token_seconds;
        let claims =
            MachineClaims::new(&self.urls.issuer, &client.id, &scope, self.clock.unix_seconds(), lifetime);
        let access_token = self.keys.current(TokenUse::Access).await?.sign(&claims)?;
        Ok(TokenResponse {
            id_token: None,
            access_token,
            refresh_token: None,
            expires_in: lifetime,
            token_type: "Bearer",
        })
    }

    /// Signs the tokens of a grant.
    pub(crate) async fn sign(
        &self,
        client: &Client,
        granted: Granted,
        now: i64,
    ) -> Result<TokenResponse, GrantError> {
        let issue = Issue {
            issuer: &self.urls.issuer,
            user: &granted.user,
            groups: &granted.groups,
            grant: &granted.grant,
            scope: &granted.scope,
            now,
        };
        let lifetimes = &client.lifetimes;
        let access_claims = issue.access(lifetimes.access_token_seconds);
        let access_token = self.keys.current(TokenUse::Access).await?.sign(&access_claims)?;
        let wants_id_token = granted.grant.by_api || granted.scope.split(' ').any(|scope| scope == "openid");
        let id_token = if wants_id_token {
            let claims = issue.id(lifetimes.id_token_seconds, granted.nonce.as_deref(), &access_token);
            Some(self.keys.current(TokenUse::Id).await?.sign(&claims)?)
        } else {
            None
        };
        Ok(TokenResponse {
            id_token,
            access_token,
            refresh_token: granted.refresh_token,
            expires_in: lifetimes.access_token_seconds,
            token_type: "Bearer",
        })
    }
}

impl Tokens {
    /// Verifies an access token of a user: this pool signed it, it has not expired, and its grant is not revoked.
    pub(crate) async fn active_token(&self, token: &str) -> Result<ActiveToken, TokenError> {
        let keys = self.keys.all().await?;
        let claims = introspection::verify(token, &keys, &self.urls.issuer, self.clock.unix_seconds())?;
        self.store.read(move |db| introspection::find_active(db, claims)).await?.ok_or(TokenError::Revoked)
    }
}
