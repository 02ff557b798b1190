//! Grants and their refresh tokens.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;
use crate::models::{Grant, RefreshToken};

pub(crate) fn insert(connection: &Connection, grant: &Grant, now: i64) -> Result<(), StoreError> {
    connection.execute("DELETE FROM grants WHERE expires_at <= ?1", [now])?;
    connection.execute(
        "INSERT INTO grants (origin_jti, event_id, sub, client_id, scope, resource, auth_time, expires_at, by_api)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            grant.origin_jti,
            grant.event_id,
            grant.sub,
            grant.client_id,
            grant.scope,
            grant.resource,
            grant.auth_time,
            grant.expires_at,
            grant.by_api
        ],
    )?;
    Ok(())
}

pub(crate) fn find(connection: &Connection, origin_jti: &str) -> Result<Option<Grant>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT origin_jti, event_id, sub, client_id, scope, resource, auth_time, expires_at, revoked, by_api
         FROM grants WHERE origin_jti = ?1",
    )?;
    let grant = statement
        .query_row([origin_jti], |row| {
            Ok(Grant {
                origin_jti: row.get(0)?,
                event_id: row.get(1)?,
                sub: row.get(2)?,
                client_id: row.get(3)?,
                scope: row.get(4)?,
                resource: row.get(5)?,
                auth_time: row.get(6)?,
                expires_at: row.get(7)?,
                revoked: row.get(8)?,
                by_api: row.get(9)?,
            })
        })
        .optional()?;
    Ok(grant)
}

pub(crate) fn revoke(connection: &Connection, origin_jti: &str) -> Result<(), StoreError> {
    connection.execute("UPDATE grants SET revoked = 1 WHERE origin_jti = ?1", [origin_jti])?;
    Ok(())
}

/// Revokes every grant of a user.
pub(crate) fn revoke_of_user(connection: &Connection, sub: &str) -> Result<(), StoreError> {
    connection.execute("UPDATE grants SET revoked = 1 WHERE sub = ?1", [sub])?;
    Ok(())
}

pub(crate) fn insert_refresh_token(
    connection: &Connection,
    digest: &[u8],
    origin_jti: &str,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO refresh_tokens (digest, origin_jti) VALUES (?1, ?2)",
        params![digest, origin_jti],
    )?;
    Ok(())
}

pub(crate) fn find_refresh_token(
    connection: &Connection,
    digest: &[u8],
) -> Result<Option<RefreshToken>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT origin_jti, retired_at_ms FROM refresh_tokens WHERE digest = ?1")?;
    let token = statement
        .query_row([digest], |row| Ok(RefreshToken { origin_jti: row.get(0)?, retired_at_ms: row.get(1)? }))
        .optional()?;
    Ok(token)
}

pub(crate) fn retire_refresh_token(
    connection: &Connection,
    digest: &[u8],
    now_ms: i64,
) -> Result<(), StoreError> {
    connection
        .execute("UPDATE refresh_tokens SET retired_at_ms = ?2 WHERE digest = ?1", params![digest, now_ms])?;
    Ok(())
}
