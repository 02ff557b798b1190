//! Codes, and the tokens they are exchanged for.

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;
use serde::Serialize;

use crate::config::OAuthFlow;
use crate::directory::Client;
use crate::keys::{SignError, TokenUse};
use crate::pool::LocalPool;
use crate::secret::{random_token, secrets_match, token_digest};
use crate::store::codes::{self, Code};
use crate::store::grants::{self, Grant, RefreshToken};
use crate::store::users::{self, User};
use crate::store::{StoreError, sessions::Session};
use crate::token::{Issue, MachineClaims, random_id};

/// What a sign-in is for.
pub(crate) struct CodeRequest<'a> {
    pub(crate) client: &'a Client,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) resource: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) code_challenge: Option<&'a str>,
}

/// A code as a client presents it.
pub(crate) struct CodeExchange {
    pub(crate) code: String,
    pub(crate) redirect_uri: String,
    pub(crate) code_verifier: Option<String>,
}

/// The token endpoint's answer (RFC 6749 §5.1, OpenID Connect Core 1.0 §3.1.3.3).
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    expires_in: u32,
    token_type: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the code or refresh token is unknown, used, expired or revoked, or does not fit the request")]
    Invalid,
    #[error("redirect_uri is not the one of the authorization request")]
    RedirectUri,
    #[error("the client may not use this grant")]
    Unauthorized,
    #[error("a scope is not the client's, or was not granted")]
    Scope,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A refresh token as a client presents it.
struct PresentedToken {
    refresh_token: String,
    scope: Option<String>,
}

/// What a transaction decided, and what the tokens need to know.
struct Granted {
    grant: Grant,
    /// The grant's scope, or less of it.
    scope: String,
    user: User,
    groups: Vec<String>,
    nonce: Option<String>,
    refresh_token: Option<String>,
}

impl LocalPool {
    /// A new code for a user who signed in.
    pub(crate) async fn issue_code(
        &self,
        request: CodeRequest<'_>,
        session: &Session,
    ) -> Result<String, StoreError> {
        let token = random_token()?;
        let digest = token_digest(&token);
        let code = Code {
            sub: session.sub.clone(),
            generation: session.generation,
            client_id: request.client.id.clone(),
            redirect_uri: request.redirect_uri.to_owned(),
            scope: request.scope.to_owned(),
            resource: request.resource.map(str::to_owned),
            nonce: request.nonce.map(str::to_owned),
            code_challenge: request.code_challenge.map(str::to_owned),
            auth_time: session.auth_time,
            expires_at: self.clock().unix_seconds() + codes::LIFETIME_SECONDS,
            used: false,
            origin_jti: None,
        };
        self.store().write(move |tx| codes::insert(tx, &digest, &code)).await?;
        Ok(token)
    }

    /// Exchanges a code, once.
    pub(crate) async fn redeem_code(
        &self,
        client: &Arc<Client>,
        exchange: CodeExchange,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(OAuthFlow::Code) {
            return Err(GrantError::Unauthorized);
        }
        let now = self.clock().unix_seconds();
        let owner = Arc::clone(client);
        let granted = self.store().write(move |tx| settled(redeem(tx, &owner, &exchange, now))).await??;
        self.tokens(client, granted, now).await
    }

    /// New tokens for a refresh token; `scope` may ask for less than was granted (RFC 6749 §6).
    pub(crate) async fn refresh(
        &self,
        client: &Arc<Client>,
        refresh_token: String,
        scope: Option<String>,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(OAuthFlow::Code) {
            return Err(GrantError::Unauthorized);
        }
        let now_ms = self.clock().unix_millis();
        let owner = Arc::clone(client);
        let key = self.rotation_key();
        let presented = PresentedToken { refresh_token, scope };
        let granted =
            self.store().write(move |tx| settled(rotate(tx, &owner, &presented, &key, now_ms))).await??;
        self.tokens(client, granted, now_ms / 1000).await
    }

    /// Revokes what came of the sign-in that a refresh token belongs to; one that is unknown is revoked already.
    pub(crate) async fn revoke(&self, client: &Client, refresh_token: &str) -> Result<(), GrantError> {
        let (digest, client_id) = (token_digest(refresh_token), client.id.clone());
        let own = self.store().write(move |tx| {
            let Some(token) = grants::find_refresh_token(tx, &digest)? else { return Ok(true) };
            let own = grants::find(tx, &token.origin_jti)?.is_some_and(|grant| grant.client_id == client_id);
            if own {
                grants::revoke(tx, &token.origin_jti)?;
            }
            Ok(own)
        });
        // RFC 7009 §2.1: a token of another client is refused.
        if own.await? { Ok(()) } else { Err(GrantError::Unauthorized) }
    }

    /// An access token for the client itself.
    pub(crate) async fn client_credentials(
        &self,
        client: &Client,
        scope: Option<&str>,
    ) -> Result<TokenResponse, GrantError> {
        if !client.allows(OAuthFlow::ClientCredentials) {
            return Err(GrantError::Unauthorized);
        }
        // Only custom scopes: the others are about a user (Cognito Developer Guide, "Token endpoint").
        let own: Vec<&str> = client.scopes().iter().map(String::as_str).filter(|s| s.contains('/')).collect();
        let scope = narrowed(&own.join(" "), scope)?;
        let lifetime = client.lifetimes.access_token_seconds;
        let claims =
            MachineClaims::new(self.issuer(), &client.id, &scope, self.clock().unix_seconds(), lifetime);
        let access_token = self.keys().current(TokenUse::Access).await?.sign(&claims)?;
        Ok(TokenResponse {
            id_token: None,
            access_token,
            refresh_token: None,
            expires_in: lifetime,
            token_type: "Bearer",
        })
    }

    async fn tokens(&self, client: &Client, granted: Granted, now: i64) -> Result<TokenResponse, GrantError> {
        let issue = Issue {
            issuer: self.issuer(),
            user: &granted.user,
            groups: &granted.groups,
            grant: &granted.grant,
            scope: &granted.scope,
            now,
        };
        let lifetimes = &client.lifetimes;
        let access_claims = issue.access(lifetimes.access_token_seconds);
        let access_token = self.keys().current(TokenUse::Access).await?.sign(&access_claims)?;
        let id_token = if granted.scope.split(' ').any(|scope| scope == "openid") {
            let claims = issue.id(lifetimes.id_token_seconds, granted.nonce.as_deref(), &access_token);
            Some(self.keys().current(TokenUse::Id).await?.sign(&claims)?)
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

    fn rotation_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.rotation_secret())
    }
}

/// A refusal is committed like any other outcome, since it spends the code or revokes the grant; a failure is not.
fn settled(outcome: Result<Granted, GrantError>) -> Result<Result<Granted, GrantError>, StoreError> {
    match outcome {
        Err(GrantError::Store(failure)) => Err(failure),
        outcome => Ok(outcome),
    }
}

fn redeem(
    tx: &Connection,
    client: &Client,
    exchange: &CodeExchange,
    now: i64,
) -> Result<Granted, GrantError> {
    let digest = token_digest(&exchange.code);
    let code = codes::find(tx, &digest)?.ok_or(GrantError::Invalid)?;
    if code.client_id != client.id {
        return Err(GrantError::Invalid);
    }
    if code.used {
        // RFC 6749 §4.1.2: a second use means that one of the two was not the client.
        code.origin_jti.as_deref().map_or(Ok(()), |origin_jti| grants::revoke(tx, origin_jti))?;
        return Err(GrantError::Invalid);
    }
    codes::mark_used(tx, &digest, None)?;
    check_exchange(&code, exchange, now)?;
    let (user, groups) = active_user(tx, &code.sub)?;
    if user.generation != code.generation {
        return Err(GrantError::Invalid);
    }
    let (grant, refresh_token) = start_grant(tx, client, &code, now)?;
    codes::mark_used(tx, &digest, Some(&grant.origin_jti))?;
    let scope = grant.scope.clone();
    Ok(Granted { grant, scope, user, groups, nonce: code.nonce, refresh_token: Some(refresh_token) })
}

fn check_exchange(code: &Code, exchange: &CodeExchange, now: i64) -> Result<(), GrantError> {
    if code.expires_at <= now {
        return Err(GrantError::Invalid);
    }
    if code.redirect_uri != exchange.redirect_uri {
        return Err(GrantError::RedirectUri);
    }
    let proven = match (&code.code_challenge, &exchange.code_verifier) {
        (Some(challenge), Some(verifier)) => verifier_fits(verifier, challenge),
        (None, None) => true,
        // A verifier without a challenge is the trace of a downgrade (RFC 9700 §2.1.1).
        (Some(_), None) | (None, Some(_)) => false,
    };
    if proven { Ok(()) } else { Err(GrantError::Invalid) }
}

/// RFC 7636 §4.6, method S256.
fn verifier_fits(verifier: &str, challenge: &str) -> bool {
    let computed = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    secrets_match(computed.as_bytes(), challenge.as_bytes())
}

fn active_user(tx: &Connection, sub: &str) -> Result<(User, Vec<String>), GrantError> {
    let user = users::find_by_sub(tx, sub)?.filter(|user| user.confirmed).ok_or(GrantError::Invalid)?;
    let groups = users::groups(tx, sub)?;
    Ok((user, groups))
}

fn start_grant(
    tx: &Connection,
    client: &Client,
    code: &Code,
    now: i64,
) -> Result<(Grant, String), GrantError> {
    let grant = Grant {
        origin_jti: random_id(),
        event_id: random_id(),
        sub: code.sub.clone(),
        client_id: client.id.clone(),
        scope: code.scope.clone(),
        resource: code.resource.clone(),
        auth_time: code.auth_time,
        expires_at: now + i64::from(client.lifetimes.refresh_token_seconds),
        revoked: false,
    };
    grants::insert(tx, &grant, now)?;
    let refresh_token = random_token().map_err(StoreError::from)?;
    grants::insert_refresh_token(tx, &token_digest(&refresh_token), &grant.origin_jti)?;
    Ok((grant, refresh_token))
}

fn rotate(
    tx: &Connection,
    client: &Client,
    presented: &PresentedToken,
    key: &hmac::Key,
    now_ms: i64,
) -> Result<Granted, GrantError> {
    let digest = token_digest(&presented.refresh_token);
    let token = grants::find_refresh_token(tx, &digest)?.ok_or(GrantError::Invalid)?;
    let grant = grants::find(tx, &token.origin_jti)?.ok_or(GrantError::Invalid)?;
    if grant.client_id != client.id || grant.revoked || grant.expires_at <= now_ms / 1000 {
        return Err(GrantError::Invalid);
    }
    if is_reused(&token, client, now_ms) {
        // RFC 9700 §4.14.2: whoever presents a retired token, one of the two holders is a thief.
        grants::revoke(tx, &grant.origin_jti)?;
        return Err(GrantError::Invalid);
    }
    let (user, groups) = active_user(tx, &grant.sub)?;
    let scope = narrowed(&grant.scope, presented.scope.as_deref())?;
    let refresh_token = match client.rotation {
        None => None,
        Some(_) => Some(successor(tx, &presented.refresh_token, &token, key, now_ms)?),
    };
    Ok(Granted { grant, scope, user, groups, nonce: None, refresh_token })
}

fn is_reused(token: &RefreshToken, client: &Client, now_ms: i64) -> bool {
    let grace_ms =
        client.rotation.map_or(0, |rotation| i64::from(rotation.retry_grace_period_seconds) * 1000);
    token.retired_at_ms.is_some_and(|retired_at_ms| now_ms - retired_at_ms >= grace_ms)
}

/// The refresh token that is in force after `presented`, which is retired.
///
/// A successor is derived from its predecessor, so that retries within the grace period, however many run at once, all
/// get the same token instead of one each.
fn successor(
    tx: &Connection,
    presented: &str,
    token: &RefreshToken,
    key: &hmac::Key,
    now_ms: i64,
) -> Result<String, GrantError> {
    let mut next = derive_successor(presented, key);
    if token.retired_at_ms.is_none() {
        grants::retire_refresh_token(tx, &token_digest(presented), now_ms)?;
        grants::insert_refresh_token(tx, &token_digest(&next), &token.origin_jti)?;
        return Ok(next);
    }
    while let Some(later) = grants::find_refresh_token(tx, &token_digest(&next))? {
        if later.retired_at_ms.is_none() {
            return Ok(next);
        }
        next = derive_successor(&next, key);
    }
    Err(GrantError::Store(StoreError::Damaged("refresh token")))
}

fn derive_successor(token: &str, key: &hmac::Key) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(key, token.as_bytes()))
}

/// The scopes asked for, in the order granted; all of them when none is asked for.
fn narrowed(granted: &str, asked: Option<&str>) -> Result<String, GrantError> {
    let granted: Vec<&str> = granted.split(' ').filter(|scope| !scope.is_empty()).collect();
    let asked: Option<Vec<&str>> =
        asked.map(|asked| asked.split(' ').filter(|scope| !scope.is_empty()).collect());
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
        return if granted.is_empty() { Err(GrantError::Scope) } else { Ok(granted.join(" ")) };
    };
    if asked.iter().any(|scope| !granted.contains(scope)) {
        return Err(GrantError::Scope);
    }
    let kept: Vec<&str> = granted.into_iter().filter(|scope| asked.contains(scope)).collect();
    Ok(kept.join(" "))
}
