//! Sign-ins through the API that wait for the answer to a challenge.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::StoreError;
use crate::models::ApiSession;

/// How long an ended session is remembered, to tell a reused one from an unknown one: the longest validity.
const MEMORY_SECONDS: i64 = 15 * 60;
/// How many sessions are kept, so that anonymous requests cannot fill the disk. The oldest are deleted.
const MOST_SESSIONS: i64 = 10_000;

const COLUMNS: &str = "digest, client_id, login, sub, generation, challenge, secret_block, used, expires_at";

pub(crate) fn insert(
    connection: &Connection,
    digest: &[u8],
    session: &ApiSession,
    now: i64,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM api_sessions WHERE expires_at <= ?1", [now - MEMORY_SECONDS])?;
    connection.execute(
        "DELETE FROM api_sessions WHERE digest IN
         (SELECT digest FROM api_sessions ORDER BY expires_at DESC LIMIT -1 OFFSET ?1)",
        [MOST_SESSIONS],
    )?;
    connection.execute(
        &format!("INSERT INTO api_sessions ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
        params![
            digest,
            session.client_id,
            session.login,
            session.sub,
            session.generation,
            session.challenge,
            session.secret_block,
            session.used,
            session.expires_at
        ],
    )?;
    Ok(())
}

/// Returns a session with its digest, also when it has been used or has expired.
pub(crate) fn find(connection: &Connection, digest: &[u8]) -> Result<Option<ApiSession>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM api_sessions WHERE digest = ?1");
    Ok(connection.prepare_cached(&query)?.query_row([digest], from_row).optional()?.map(|(_, found)| found))
}

/// Returns the session that sent this secret block, with its digest.
pub(crate) fn find_by_secret_block(
    connection: &Connection,
    secret_block: &str,
) -> Result<Option<(Vec<u8>, ApiSession)>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM api_sessions WHERE secret_block = ?1");
    Ok(connection.prepare_cached(&query)?.query_row([secret_block], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Vec<u8>, ApiSession)> {
    let session = ApiSession {
        client_id: row.get(1)?,
        login: row.get(2)?,
        sub: row.get(3)?,
        generation: row.get(4)?,
        challenge: row.get(5)?,
        secret_block: row.get(6)?,
        used: row.get(7)?,
        expires_at: row.get(8)?,
    };
    Ok((row.get(0)?, session))
}

pub(crate) fn mark_used(connection: &Connection, digest: &[u8]) -> Result<(), StoreError> {
    connection.execute("UPDATE api_sessions SET used = 1 WHERE digest = ?1", [digest])?;
    Ok(())
}
