//! Sign-ins that wait for the second factor.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;
use crate::models::User;

pub(crate) fn insert(
    connection: &Connection,
    digest: &[u8],
    user: &User,
    now: i64,
    expires_at: i64,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM challenges WHERE expires_at <= ?1", [now])?;
    connection.execute(
        "INSERT INTO challenges (digest, sub, generation, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![digest, user.sub, user.generation, expires_at],
    )?;
    Ok(())
}

/// Returns the `sub` of the user who has to answer, unless the challenge has expired.
pub(crate) fn find_sub(
    connection: &Connection,
    digest: &[u8],
    now: i64,
) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT sub FROM challenges JOIN users USING (sub, generation) WHERE digest = ?1 AND expires_at > ?2",
    )?;
    Ok(statement.query_row(params![digest, now], |row| row.get(0)).optional()?)
}

pub(crate) fn delete(connection: &Connection, digest: &[u8]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM challenges WHERE digest = ?1", [digest])?;
    Ok(())
}
