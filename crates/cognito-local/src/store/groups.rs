//! Groups, and who is in them.

use rusqlite::{Connection, params};

use super::StoreError;

/// Creates the groups that do not exist yet.
pub(crate) fn insert_missing(connection: &Connection, names: &[String], now: i64) -> Result<(), StoreError> {
    for name in names {
        connection.execute(
            "INSERT OR IGNORE INTO user_groups (name, created_at, modified_at) VALUES (?1, ?2, ?2)",
            params![name, now],
        )?;
    }
    Ok(())
}

/// The names of the user's groups, in alphabetical order.
pub(crate) fn names_of_user(connection: &Connection, sub: &str) -> Result<Vec<String>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT group_name FROM memberships WHERE sub = ?1 ORDER BY group_name")?;
    let names = statement.query_map([sub], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(crate) fn replace_of_user(
    connection: &Connection,
    sub: &str,
    groups: &[String],
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM memberships WHERE sub = ?1", [sub])?;
    groups.iter().try_for_each(|group| add_member(connection, group, sub))
}

/// Adds a user to a group; without effect when the user is in it.
pub(crate) fn add_member(connection: &Connection, group: &str, sub: &str) -> Result<(), StoreError> {
    connection.execute(
        "INSERT OR IGNORE INTO memberships (sub, group_name) VALUES (?1, ?2)",
        params![sub, group],
    )?;
    Ok(())
}
