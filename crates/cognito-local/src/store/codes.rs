//! Authorization codes. Each can be exchanged once, within five minutes.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::StoreError;
use crate::models::AuthorizationCode;

/// A code's validity (Cognito Developer Guide, "Authorize endpoint").
pub(crate) const LIFETIME_SECONDS: i64 = 5 * 60;

/// How long a used code is remembered, so that a second use revokes the tokens of the first: the longest lifetime of an
/// access token.
const MEMORY_SECONDS: i64 = 24 * 3600;

pub(crate) fn insert(
    connection: &Connection,
    digest: &[u8],
    code: &AuthorizationCode,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM codes WHERE expires_at <= ?1", [code.expires_at - MEMORY_SECONDS])?;
    connection.execute(
        "INSERT INTO codes (digest, sub, client_id, redirect_uri, scope, resource, nonce, code_challenge, auth_time,
                            expires_at, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            digest,
            code.sub,
            code.client_id,
            code.redirect_uri,
            code.scope,
            code.resource,
            code.nonce,
            code.code_challenge,
            code.auth_time,
            code.expires_at,
            code.generation
        ],
    )?;
    Ok(())
}

pub(crate) fn find(connection: &Connection, digest: &[u8]) -> Result<Option<AuthorizationCode>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT sub, client_id, redirect_uri, scope, resource, nonce, code_challenge, auth_time, expires_at, used,
                origin_jti, generation
         FROM codes WHERE digest = ?1",
    )?;
    Ok(statement.query_row([digest], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AuthorizationCode> {
    Ok(AuthorizationCode {
        sub: row.get(0)?,
        client_id: row.get(1)?,
        redirect_uri: row.get(2)?,
        scope: row.get(3)?,
        resource: row.get(4)?,
        nonce: row.get(5)?,
        code_challenge: row.get(6)?,
        auth_time: row.get(7)?,
        expires_at: row.get(8)?,
        used: row.get(9)?,
        origin_jti: row.get(10)?,
        generation: row.get(11)?,
    })
}

/// Marks a code as used, and for which grant; `None` after a failed exchange.
pub(crate) fn mark_used(
    connection: &Connection,
    digest: &[u8],
    origin_jti: Option<&str>,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE codes SET used = 1, origin_jti = ?2 WHERE digest = ?1",
        params![digest, origin_jti],
    )?;
    Ok(())
}
