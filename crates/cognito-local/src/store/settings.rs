//! Values of the pool that are created once and kept.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;

/// Returns the stored value of `name`; without one, stores and returns the result of `make`.
pub(crate) fn value_or_insert(
    connection: &Connection,
    name: &str,
    make: impl FnOnce() -> Result<Vec<u8>, StoreError>,
) -> Result<Vec<u8>, StoreError> {
    let stored = connection
        .query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0))
        .optional()?;
    if let Some(value) = stored {
        return Ok(value);
    }
    let value = make()?;
    connection.execute("INSERT INTO settings (name, value) VALUES (?1, ?2)", params![name, value])?;
    Ok(value)
}

/// Returns the stored secret of a client; without one, stores and returns the result of `make`.
pub(crate) fn client_secret_or_insert(
    connection: &Connection,
    client_id: &str,
    make: impl FnOnce() -> Result<String, StoreError>,
) -> Result<String, StoreError> {
    let stored = connection
        .query_row("SELECT secret FROM client_secrets WHERE client_id = ?1", [client_id], |row| row.get(0))
        .optional()?;
    if let Some(secret) = stored {
        return Ok(secret);
    }
    let secret = make()?;
    connection.execute(
        "INSERT INTO client_secrets (client_id, secret) VALUES (?1, ?2)",
        params![client_id, secret],
    )?;
    Ok(secret)
}

/// Writes a meaningless value, so that a request for an unknown user takes as long as one for a known user.
pub(crate) fn write_decoy(connection: &Connection) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO settings (name, value) VALUES ('decoy', randomblob(16))
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [],
    )?;
    Ok(())
}
