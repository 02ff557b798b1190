//! Users.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::StoreError;
use crate::models::{Credentials, SrpVerifier, User, UserStatus};

const COLUMNS: &str = "sub, username, password_hash, srp_salt, srp_verifier, password_expires_at, email,
    email_verified, status, enabled, created_at, modified_at, generation, attributes, totp_secret,
    totp_pending_secret, totp_enabled, totp_preferred";

impl ToSql for UserStatus {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for UserStatus {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        [Self::Unconfirmed, Self::Confirmed, Self::ResetRequired, Self::ForceChangePassword]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// Returns the form in which names and addresses are compared: lower case, as in a case-insensitive Cognito pool.
pub(crate) fn login_key(login: &str) -> String {
    login.trim().to_lowercase()
}

pub(crate) fn insert(connection: &Connection, user: &User) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO users (sub, username, username_key, password_hash, status, created_at, modified_at)
         VALUES (?1, ?2, ?3, '', ?4, ?5, ?5)",
        params![user.sub, user.username, login_key(&user.username), user.status, user.created_at],
    )?;
    save(connection, user, user.modified_at)
}

/// Stores a user who was read in the same transaction. The name and the app that is set up do not change here.
pub(crate) fn save(connection: &Connection, user: &User, now: i64) -> Result<(), StoreError> {
    let attributes = serde_json::to_string(&user.attributes).map_err(|_| StoreError::Damaged("attribute"))?;
    let srp = user.credentials.srp.as_ref();
    connection
        .prepare_cached(
            "UPDATE users SET password_hash = ?2, srp_salt = ?3, srp_verifier = ?4, password_expires_at = ?5,
                 email = ?6, email_key = ?7, email_verified = ?8, status = ?9, enabled = ?10, modified_at = ?11,
                 generation = ?12, attributes = ?13, totp_pending_secret = ?14, totp_enabled = ?15,
                 totp_preferred = ?16
             WHERE sub = ?1",
        )?
        .execute(params![
            user.sub,
            user.credentials.hash,
            srp.map(|srp| &srp.salt),
            srp.map(|srp| &srp.verifier),
            user.password_expires_at,
            user.email,
            user.email.as_deref().map(login_key),
            user.email_verified,
            user.status,
            user.enabled,
            now,
            user.generation,
            attributes,
            user.totp_pending_secret,
            user.totp_enabled,
            user.totp_preferred
        ])?;
    Ok(())
}

/// Finds a user by name, or else by verified e-mail address.
pub(crate) fn find_by_login(connection: &Connection, login: &str) -> Result<Option<User>, StoreError> {
    let by_name = find_by_username(connection, login)?;
    if by_name.is_some() { Ok(by_name) } else { find_by_verified_email(connection, login) }
}

pub(crate) fn find_by_username(connection: &Connection, username: &str) -> Result<Option<User>, StoreError> {
    find(connection, "username_key = ?1", &login_key(username))
}

pub(crate) fn find_by_verified_email(
    connection: &Connection,
    email: &str,
) -> Result<Option<User>, StoreError> {
    find(connection, "email_key = ?1 AND email_verified = 1", &login_key(email))
}

pub(crate) fn find_by_sub(connection: &Connection, sub: &str) -> Result<Option<User>, StoreError> {
    find(connection, "sub = ?1", sub)
}

/// Finds a user as an administrator names one: by name, verified address or `sub`.
pub(crate) fn find_by_any_name(connection: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    let found = find_by_login(connection, name)?;
    if found.is_some() { Ok(found) } else { find_by_sub(connection, name) }
}

/// Returns up to `limit` users for whom `wanted` is true, in the order of their keys and after the key `after`; with a
/// group, its members only.
pub(crate) fn page(
    connection: &Connection,
    group: Option<&str>,
    after: &str,
    limit: usize,
    wanted: impl Fn(&User) -> bool,
) -> Result<Vec<User>, StoreError> {
    let query = format!(
        "SELECT {COLUMNS} FROM users
         WHERE username_key > ?1 AND (?2 IS NULL OR sub IN (SELECT sub FROM memberships WHERE group_name = ?2))
         ORDER BY username_key"
    );
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(params![after, group])?;
    let mut users = Vec::new();
    while users.len() < limit
        && let Some(row) = rows.next()?
    {
        let user = from_row(row)?;
        if wanted(&user) {
            users.push(user);
        }
    }
    Ok(users)
}

pub(crate) fn count(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?)
}

fn find(connection: &Connection, condition: &str, value: &str) -> Result<Option<User>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM users WHERE {condition}");
    let mut statement = connection.prepare_cached(&query)?;
    let user = statement.query_row([value], from_row).optional()?;
    Ok(user)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    let srp = row.get::<_, Option<_>>("srp_salt")?.zip(row.get::<_, Option<_>>("srp_verifier")?);
    let attributes: String = row.get("attributes")?;
    Ok(User {
        sub: row.get("sub")?,
        username: row.get("username")?,
        credentials: Credentials {
            hash: row.get("password_hash")?,
            srp: srp.map(|(salt, verifier)| SrpVerifier { salt, verifier }),
        },
        password_expires_at: row.get("password_expires_at")?,
        email: row.get("email")?,
        email_verified: row.get("email_verified")?,
        status: row.get("status")?,
        enabled: row.get("enabled")?,
        created_at: row.get("created_at")?,
        modified_at: row.get("modified_at")?,
        generation: row.get("generation")?,
        attributes: serde_json::from_str(&attributes).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
        })?,
        totp_secret: row.get("totp_secret")?,
        totp_pending_secret: row.get("totp_pending_secret")?,
        totp_enabled: row.get("totp_enabled")?,
        totp_preferred: row.get("totp_preferred")?,
    })
}

/// Deletes a user with everything that belongs to the account.
pub(crate) fn delete(connection: &Connection, sub: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM users WHERE sub = ?1", [sub])?;
    Ok(())
}

/// Stores the verifier of the password with this hash, unless the password was replaced meanwhile: the old one must not
/// work again.
pub(crate) fn set_srp_verifier(
    connection: &Connection,
    sub: &str,
    hash: &str,
    srp: &SrpVerifier,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE users SET srp_salt = ?3, srp_verifier = ?4 WHERE sub = ?1 AND password_hash = ?2",
        params![sub, hash, srp.salt, srp.verifier],
    )?;
    Ok(())
}

/// Confirms the account and its address; `false` when another account holds that address.
pub(crate) fn confirm(connection: &Connection, mut user: User, now: i64) -> Result<bool, StoreError> {
    if let Some(email) = &user.email
        && find_by_verified_email(connection, email)?.is_some()
    {
        return Ok(false);
    }
    user.status = UserStatus::Confirmed;
    user.email_verified = user.email.is_some();
    save(connection, &user, now)?;
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
        "UPDATE users SET totp_secret = ?2, totp_last_step = ?3, totp_pending_secret = NULL WHERE sub = ?1",
        params![sub, secret, step],
    )?;
    Ok(())
}

/// Turns an authenticator app on for sign-in, as the preferred second factor.
pub(crate) fn enable_totp(connection: &Connection, sub: &str) -> Result<(), StoreError> {
    connection.execute("UPDATE users SET totp_enabled = 1, totp_preferred = 1 WHERE sub = ?1", [sub])?;
    Ok(())
}
