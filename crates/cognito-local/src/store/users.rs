//! Users and the groups they are in.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::StoreError;
use crate::models::User;

const COLUMNS: &str =
    "sub, username, password_hash, email, email_verified, confirmed, attributes, totp_secret, generation";

/// Returns the form in which names and addresses are compared: lower case, as in a case-insensitive Cognito pool.
pub(crate) fn login_key(login: &str) -> String {
    login.trim().to_lowercase()
}

pub(crate) fn insert(connection: &Connection, user: &User) -> Result<(), StoreError> {
    let attributes = serde_json::to_string(&user.attributes).map_err(|_| StoreError::Damaged("attribute"))?;
    connection.execute(
        "INSERT INTO users (sub, username, username_key, password_hash, email, email_key, email_verified,
                            confirmed, attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            user.sub,
            user.username,
            login_key(&user.username),
            user.password_hash,
            user.email,
            user.email.as_deref().map(login_key),
            user.email_verified,
            user.confirmed,
            attributes
        ],
    )?;
    Ok(())
}

/// Finds a user by name, or else by verified e-mail address.
pub(crate) fn find_by_login(connection: &Connection, login: &str) -> Result<Option<User>, StoreError> {
    let key = login_key(login);
    let by_name = find_by_username(connection, &key)?;
    if by_name.is_some() {
        return Ok(by_name);
    }
    find(connection, "email_key = ?1 AND email_verified = 1", &key)
}

pub(crate) fn find_by_username(connection: &Connection, username: &str) -> Result<Option<User>, StoreError> {
    find(connection, "username_key = ?1", &login_key(username))
}

pub(crate) fn find_by_sub(connection: &Connection, sub: &str) -> Result<Option<User>, StoreError> {
    find(connection, "sub = ?1", sub)
}

fn find(connection: &Connection, condition: &str, value: &str) -> Result<Option<User>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM users WHERE {condition}");
    let mut statement = connection.prepare_cached(&query)?;
    let user = statement.query_row([value], from_row).optional()?;
    Ok(user)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    let attributes: String = row.get(6)?;
    Ok(User {
        sub: row.get(0)?,
        username: row.get(1)?,
        password_hash: row.get(2)?,
        email: row.get(3)?,
        email_verified: row.get(4)?,
        confirmed: row.get(5)?,
        attributes: serde_json::from_str(&attributes).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(e))
        })?,
        totp_secret: row.get(7)?,
        generation: row.get(8)?,
    })
}

/// The user's groups, in alphabetical order.
pub(crate) fn groups(connection: &Connection, sub: &str) -> Result<Vec<String>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT group_name FROM memberships WHERE sub = ?1 ORDER BY group_name")?;
    let names = statement.query_map([sub], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

pub(crate) fn replace_groups(
    connection: &Connection,
    sub: &str,
    groups: &[String],
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM memberships WHERE sub = ?1", [sub])?;
    for group in groups {
        connection.execute(
            "INSERT OR IGNORE INTO memberships (sub, group_name) VALUES (?1, ?2)",
            params![sub, group],
        )?;
    }
    Ok(())
}

/// Sets a new password. This invalidates the sessions, challenges and authorization codes of the old one, including
/// those that are being created at this moment.
pub(crate) fn set_password(
    connection: &Connection,
    sub: &str,
    password_hash: &str,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE users SET password_hash = ?2, generation = generation + 1 WHERE sub = ?1",
        params![sub, password_hash],
    )?;
    Ok(())
}

/// Confirms the account and its address; `false` when another account holds that address.
pub(crate) fn confirm(connection: &Connection, user: &User) -> Result<bool, StoreError> {
    if let Some(email) = &user.email
        && find(connection, "email_key = ?1 AND email_verified = 1", &login_key(email))?.is_some()
    {
        return Ok(false);
    }
    connection.execute(
        "UPDATE users SET confirmed = 1, email_verified = (email IS NOT NULL) WHERE sub = ?1",
        [&user.sub],
    )?;
    Ok(true)
}

/// The last time step whose code of the authenticator app was used.
pub(crate) fn totp_last_step(connection: &Connection, sub: &str) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT totp_last_step FROM users WHERE sub = ?1", [sub], |row| row.get(0))?)
}

/// Registers an authenticator app, or records that the code of `step` was used.
pub(crate) fn set_totp(
    connection: &Connection,
    sub: &str,
    secret: &[u8],
    step: i64,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE users SET totp_secret = ?2, totp_last_step = ?3 WHERE sub = ?1",
        params![sub, secret, step],
    )?;
    Ok(())
}
