//! Signing keys, in the order of their creation.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::models::{StoredKey, TokenUse};

pub(crate) fn insert(connection: &Connection, key: &StoredKey) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO signing_keys (kid, token_use, pkcs8) VALUES (?1, ?2, ?3)",
        params![key.kid, key.token_use.as_str(), key.pkcs8],
    )?;
    Ok(())
}

/// All keys that are published, oldest first.
pub(crate) fn all(connection: &Connection) -> Result<Vec<StoredKey>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT kid, token_use, pkcs8 FROM signing_keys ORDER BY position")?;
    let rows = statement.query_map([], |row| {
        let token_use: String = row.get(1)?;
        let token_use = if token_use == TokenUse::Id.as_str() { TokenUse::Id } else { TokenUse::Access };
        Ok(StoredKey { kid: row.get(0)?, token_use, pkcs8: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Deletes every key but the ones that sign now, and returns how many it deleted.
pub(crate) fn delete_all_but_last(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.execute(
        "DELETE FROM signing_keys
         WHERE position NOT IN (SELECT max(position) FROM signing_keys GROUP BY token_use)",
        [],
    )?)
}
