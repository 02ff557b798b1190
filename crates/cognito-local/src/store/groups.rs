//! Groups, and who is in them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::StoreError;
use crate::models::Group;

const COLUMNS: &str = "name, description, role_arn, precedence, created_at, modified_at";

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

/// Removes a user from a group; without effect when the user is not in it.
pub(crate) fn remove_member(connection: &Connection, group: &str, sub: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM memberships WHERE sub = ?1 AND group_name = ?2", params![sub, group])?;
    Ok(())
}

pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<Group>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM user_groups WHERE name = ?1");
    Ok(connection.prepare_cached(&query)?.query_row([name], from_row).optional()?)
}

/// Returns up to `limit` groups in alphabetical order, after the group `after`; with `sub`, those of that user.
pub(crate) fn page(
    connection: &Connection,
    sub: Option<&str>,
    after: &str,
    limit: usize,
) -> Result<Vec<Group>, StoreError> {
    let query = format!(
        "SELECT {COLUMNS} FROM user_groups
         WHERE name > ?1 AND (?2 IS NULL OR name IN (SELECT group_name FROM memberships WHERE sub = ?2))
         ORDER BY name LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let groups = statement.query_map(params![after, sub, limit], from_row)?;
    Ok(groups.collect::<Result<_, _>>()?)
}

/// Creates a group, or replaces its description, role and precedence.
pub(crate) fn save(connection: &Connection, group: &Group) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO user_groups (name, description, role_arn, precedence, created_at, modified_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (name) DO UPDATE SET description = ?2, role_arn = ?3, precedence = ?4, modified_at = ?6",
        params![
            group.name,
            group.description,
            group.role_arn,
            group.precedence,
            group.created_at,
            group.modified_at
        ],
    )?;
    Ok(())
}

/// Deletes a group; its members stay users.
pub(crate) fn delete(connection: &Connection, name: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM memberships WHERE group_name = ?1", [name])?;
    connection.execute("DELETE FROM user_groups WHERE name = ?1", [name])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        name: row.get(0)?,
        description: row.get(1)?,
        role_arn: row.get(2)?,
        precedence: row.get(3)?,
        created_at: row.get(4)?,
        modified_at: row.get(5)?,
    })
}
