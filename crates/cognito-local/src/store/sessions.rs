//! Sign-ins that a browser remembers.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;
use crate::models::Session;

pub(crate) fn insert(
    connection: &Connection,
    digest: &[u8],
    session: &Session,
    expires_at: i64,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM sessions WHERE expires_at <= ?1", [session.auth_time])?;
    connection.execute(
        "INSERT INTO sessions (digest, sub, generation, auth_time, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![digest, session.sub, session.generation, session.auth_time, expires_at],
    )?;
    Ok(())
}

pub(crate) fn find(connection: &Connection, digest: &[u8], now: i64) -> Result<Option<Session>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT sub, generation, auth_time FROM sessions JOIN users USING (sub, generation)
         WHERE digest = ?1 AND expires_at > ?2",
    )?;
    let session = statement
        .query_row(params![digest, now], |row| {
            Ok(Session { sub: row.get(0)?, generation: row.get(1)?, auth_time: row.get(2)? })
        })
        .optional()?;
    Ok(session)
}

pub(crate) fn delete(connection: &Connection, digest: &[u8]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM sessions WHERE digest = ?1", [digest])?;
    Ok(())
}
