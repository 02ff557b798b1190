//! The exchange of codes and refresh tokens, each inside one transaction.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::Connection;

use crate::directory::Client;
use crate::keys::SignError;
use crate::models::{AuthorizationCode, Grant, RefreshToken, User};
use crate::secret::{random_id, random_token, secrets_match, token_digest};
use crate::store::{StoreError, codes, grants, groups, users};

/// The scope of all tokens that the API gives, and the one that its operations require.
pub(crate) const API_SCOPE: &str = "aws.cognito.signin.user.admin";

/// A code as a client presents it.
pub(crate) struct CodeExchange {
    pub(crate) code: String,
    pub(crate) redirect_uri: String,
    pub(crate) code_verifier: Option<String>,
}

/// Why a client gets no tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the code or refresh token is unknown, used, expired or revoked, or does not fit the request")]
    Invalid,
    #[error("the refresh token has expired")]
    Expired,
    #[error("the refresh token has been revoked")]
    Revoked,
    #[error("the refresh token has been replaced by another one")]
    Reused,
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
pub(super) struct PresentedToken {
    pub(super) refresh_token: String,
    pub(super) scope: Option<String>,
}

/// The outcome of a transaction, with the data that the tokens need.
pub(crate) struct Granted {
    pub(super) grant: Grant,
    /// The scope of the grant, or a part of it.
    pub(super) scope: String,
    pub(super) user: User,
    pub(super) groups: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) refresh_token: Option<String>,
}

/// Commits a rejection like a success, because it uses up the code or revokes the grant. A failure of the store rolls
/// back.
pub(super) fn committed(
    outcome: Result<Granted, GrantError>,
) -> Result<Result<Granted, GrantError>, StoreError> {
    match outcome {
        Err(GrantError::Store(failure)) => Err(failure),
        outcome => Ok(outcome),
    }
}

pub(super) fn redeem(
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
        // A second use means that one of the two was not the client (RFC 6749, section 4.1.2).
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

fn check_exchange(code: &AuthorizationCode, exchange: &CodeExchange, now: i64) -> Result<(), GrantError> {
    if code.expires_at <= now {
        return Err(GrantError::Invalid);
    }
    if code.redirect_uri != exchange.redirect_uri {
        return Err(GrantError::RedirectUri);
    }
    let proven = match (&code.code_challenge, &exchange.code_verifier) {
        (Some(challenge), Some(verifier)) => verifier_fits(verifier, challenge),
        (None, None) => true,
        // A verifier without a challenge indicates a PKCE downgrade attack (RFC 9700, section 2.1.1).
        (Some(_), None) | (None, Some(_)) => false,
    };
    if proven { Ok(()) } else { Err(GrantError::Invalid) }
}

/// Method S256 (RFC 7636, section 4.6).
fn verifier_fits(verifier: &str, challenge: &str) -> bool {
    let computed = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    secrets_match(computed.as_bytes(), challenge.as_bytes())
}

fn active_user(tx: &Connection, sub: &str) -> Result<(User, Vec<String>), GrantError> {
    let user = users::find_by_sub(tx, sub)?
        .filter(|user| user.is_confirmed() && user.enabled)
        .ok_or(GrantError::Invalid)?;
    let groups = groups::names_of_user(tx, sub)?;
    Ok((user, groups))
}

fn start_grant(
    tx: &Connection,
    client: &Client,
    code: &AuthorizationCode,
    now: i64,
) -> Result<(Grant, String), GrantError> {
    let grant = Grant {
        sub: code.sub.clone(),
        scope: code.scope.clone(),
        resource: code.resource.clone(),
        auth_time: code.auth_time,
        ..new_grant(client, now)
    };
    let refresh_token = insert_grant(tx, &grant, now)?;
    Ok((grant, refresh_token))
}

/// Starts a grant for a sign-in through the API, in the caller's transaction.
pub(crate) fn grant_by_api(
    tx: &Connection,
    client: &Client,
    user: User,
    now: i64,
) -> Result<Granted, StoreError> {
    let grant =
        Grant { sub: user.sub.clone(), scope: API_SCOPE.to_owned(), by_api: true, ..new_grant(client, now) };
    let refresh_token = Some(insert_grant(tx, &grant, now)?);
    let groups = groups::names_of_user(tx, &user.sub)?;
    Ok(Granted { scope: grant.scope.clone(), grant, user, groups, nonce: None, refresh_token })
}

fn new_grant(client: &Client, now: i64) -> Grant {
    Grant {
        origin_jti: random_id(),
        event_id: random_id(),
        sub: String::new(),
        client_id: client.id.clone(),
        scope: String::new(),
        resource: None,
        auth_time: now,
        expires_at: now + i64::from(client.lifetimes.refresh_token_seconds),
        revoked: false,
        by_api: false,
    }
}

/// Returns the refresh token of the grant.
fn insert_grant(tx: &Connection, grant: &Grant, now: i64) -> Result<String, StoreError> {
    grants::insert(tx, grant, now)?;
    let refresh_token = random_token()?;
    grants::insert_refresh_token(tx, &token_digest(&refresh_token), &grant.origin_jti)?;
    Ok(refresh_token)
}

pub(super) fn rotate(
    tx: &Connection,
    client: &Client,
    presented: &PresentedToken,
    key: &hmac::Key,
    now_ms: i64,
) -> Result<Granted, GrantError> {
    let digest = token_digest(&presented.refresh_token);
    let token = grants::find_refresh_token(tx, &digest)?.ok_or(GrantError::Invalid)?;
    let grant = grants::find(tx, &token.origin_jti)?.ok_or(GrantError::Invalid)?;
    if grant.client_id != client.id {
        return Err(GrantError::Invalid);
    }
    if grant.revoked {
        return Err(GrantError::Revoked);
    }
    if grant.expires_at <= now_ms / 1000 {
        return Err(GrantError::Expired);
    }
    if is_reused(&token, client, now_ms) {
        // A retired token in use means that somebody has stolen it (RFC 9700, section 4.14.2).
        grants::revoke(tx, &grant.origin_jti)?;
        return Err(GrantError::Reused);
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

/// Returns the valid refresh token that follows `presented`, and retires `presented`.
///
/// A successor is derived from its predecessor, so that all retries within the grace period get the same token, also
/// when they run in parallel.
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

/// Returns the requested scopes in the order of the granted ones, or all granted scopes when none is requested.
pub(super) fn narrowed(granted: &str, requested: Option<&str>) -> Result<String, GrantError> {
    let granted: Vec<&str> = granted.split(' ').filter(|scope| !scope.is_empty()).collect();
    let requested: Option<Vec<&str>> =
        requested.map(|requested| requested.split(' ').filter(|scope| !scope.is_empty()).collect());
    let Some(requested) = requested.filter(|requested| !requested.is_empty()) else {
        return if granted.is_empty() { Err(GrantError::Scope) } else { Ok(granted.join(" ")) };
    };
    if requested.iter().any(|scope| !granted.contains(scope)) {
        return Err(GrantError::Scope);
    }
    let kept: Vec<&str> = granted.into_iter().filter(|scope| requested.contains(scope)).collect();
    Ok(kept.join(" "))
}
