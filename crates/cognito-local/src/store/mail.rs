//! Mailed codes, and the mailbox that shows them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;
use super::users::User;

/// Most mails kept; beyond it, the oldest go.
const MOST_MAILS: i64 = 200;

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To confirm a new account.
    Confirm,
    /// To set a new password.
    Reset,
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Reset => "reset",
        }
    }

    /// How long a code holds (Cognito Developer Guide, "Quotas": validity of codes).
    const fn lifetime_seconds(self) -> i64 {
        match self {
            Self::Confirm => 24 * 3600,
            Self::Reset => 3600,
        }
    }
}

impl ToSql for Purpose {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Purpose {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "confirm" => Ok(Self::Confirm),
            "reset" => Ok(Self::Reset),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

pub(crate) struct Mail {
    pub(crate) recipient: String,
    pub(crate) username: String,
    pub(crate) purpose: Purpose,
    pub(crate) code: String,
    pub(crate) sent_at: i64,
}

/// Mails a new code, which replaces the one before.
pub(crate) fn send_code(
    connection: &Connection,
    user: &User,
    purpose: Purpose,
    code: &str,
    now: i64,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO mail_codes (sub, purpose, code, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sub, purpose) DO UPDATE SET code = excluded.code, expires_at = excluded.expires_at",
        params![user.sub, purpose, code, now + purpose.lifetime_seconds()],
    )?;
    connection.execute(
        "INSERT INTO mails (recipient, username, purpose, code, sent_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![user.email, user.username, purpose, code, now],
    )?;
    connection.execute("DELETE FROM mails WHERE id <= (SELECT max(id) FROM mails) - ?1", [MOST_MAILS])?;
    Ok(())
}

/// The code that is in force.
pub(crate) fn code(
    connection: &Connection,
    sub: &str,
    purpose: Purpose,
    now: i64,
) -> Result<Option<String>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT code FROM mail_codes WHERE sub = ?1 AND purpose = ?2 AND expires_at > ?3")?;
    Ok(statement.query_row(params![sub, purpose, now], |row| row.get(0)).optional()?)
}

pub(crate) fn delete_code(connection: &Connection, sub: &str, purpose: Purpose) -> Result<(), StoreError> {
    connection.execute("DELETE FROM mail_codes WHERE sub = ?1 AND purpose = ?2", params![sub, purpose])?;
    Ok(())
}

/// The newest mails first.
pub(crate) fn newest(connection: &Connection) -> Result<Vec<Mail>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT recipient, username, purpose, code, sent_at FROM mails ORDER BY id DESC LIMIT 50",
    )?;
    let mails = statement.query_map([], |row| {
        Ok(Mail {
            recipient: row.get(0)?,
            username: row.get(1)?,
            purpose: row.get(2)?,
            code: row.get(3)?,
            sent_at: row.get(4)?,
        })
    })?;
    Ok(mails.collect::<Result<_, _>>()?)
}
