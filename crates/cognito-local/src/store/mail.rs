//! Mailed codes, and the mailbox that shows them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;
use crate::models::{Mail, MailPurpose, User};

/// How many mails are kept. When there are more, the oldest are deleted.
const MOST_MAILS: i64 = 200;

impl ToSql for MailPurpose {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for MailPurpose {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        [Self::Confirm, Self::Reset, Self::Verify, Self::SignIn, Self::Invitation]
            .into_iter()
            .find(|purpose| purpose.as_str() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// Stores a new code, which replaces the previous one, and the mail that would carry it.
pub(crate) fn send_code(
    connection: &Connection,
    user: &User,
    purpose: MailPurpose,
    code: &str,
    now: i64,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO mail_codes (sub, purpose, code, expires_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sub, purpose) DO UPDATE SET code = excluded.code, expires_at = excluded.expires_at",
        params![user.sub, purpose, code, now + purpose.lifetime_seconds()],
    )?;
    insert(connection, user, purpose, code, now)
}

/// Stores a mail for the mailbox.
pub(crate) fn insert(
    connection: &Connection,
    user: &User,
    purpose: MailPurpose,
    code: &str,
    now: i64,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO mails (recipient, username, purpose, code, sent_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![user.email, user.username, purpose, code, now],
    )?;
    connection.execute("DELETE FROM mails WHERE id <= (SELECT max(id) FROM mails) - ?1", [MOST_MAILS])?;
    Ok(())
}

/// Returns the code that was mailed last, and when it expires or expired.
pub(crate) fn code(
    connection: &Connection,
    sub: &str,
    purpose: MailPurpose,
) -> Result<Option<(String, i64)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT code, expires_at FROM mail_codes WHERE sub = ?1 AND purpose = ?2")?;
    Ok(statement.query_row(params![sub, purpose], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

pub(crate) fn delete_code(
    connection: &Connection,
    sub: &str,
    purpose: MailPurpose,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM mail_codes WHERE sub = ?1 AND purpose = ?2", params![sub, purpose])?;
    Ok(())
}

/// Deletes all codes of a user, because they were mailed to an address that the user no longer has.
pub(crate) fn delete_codes(connection: &Connection, sub: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM mail_codes WHERE sub = ?1", [sub])?;
    Ok(())
}

/// Returns the latest mails, newest first.
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
