//! Failed attempts, and the waiting time that follows from them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::StoreError;

/// The failure that starts the first wait (Cognito Developer Guide, "User pool authentication flow": lockout).
const FREE_FAILURES: i64 = 5;
/// The longest wait, and how long failures are remembered: 15 minutes.
const LONGEST_WAIT_MS: i64 = 15 * 60 * 1000;
/// How many subjects are remembered, so that invented names cannot fill the disk. When there are more, those with the
/// earliest end of their wait are deleted: nobody can erase their own count by failing under many other names.
const MOST_SUBJECTS: i64 = 10_000;

/// Whether an attempt on `subject` may be made at `now_ms`.
pub(crate) fn is_locked(connection: &Connection, subject: &[u8], now_ms: i64) -> Result<bool, StoreError> {
    let locked_until: Option<i64> = connection
        .prepare_cached("SELECT locked_until_ms FROM failures WHERE subject = ?1")?
        .query_row([subject], |row| row.get(0))
        .optional()?;
    Ok(locked_until.is_some_and(|until| until > now_ms))
}

/// Counts a failed attempt. The n-th one locks the subject for 2^(n-5) seconds.
pub(crate) fn record_failure(connection: &Connection, subject: &[u8], now_ms: i64) -> Result<(), StoreError> {
    delete_old(connection, now_ms)?;
    let before: i64 = connection
        .query_row("SELECT count FROM failures WHERE subject = ?1", [subject], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let count = before + 1;
    connection.execute(
        "INSERT INTO failures (subject, count, locked_until_ms, last_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (subject) DO UPDATE SET count = ?2, locked_until_ms = ?3, last_ms = ?4",
        params![subject, count, now_ms + wait_ms(count), now_ms],
    )?;
    Ok(())
}

/// Deletes the failures of `subject` after a success.
pub(crate) fn clear(connection: &Connection, subject: &[u8]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM failures WHERE subject = ?1", [subject])?;
    Ok(())
}

fn wait_ms(count: i64) -> i64 {
    match u32::try_from(count - FREE_FAILURES) {
        Err(_) => 0,
        Ok(doublings) => LONGEST_WAIT_MS.min(1000 * 2_i64.pow(doublings.min(20))),
    }
}

fn delete_old(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    connection.execute(
        "DELETE FROM failures WHERE locked_until_ms <= ?1 AND last_ms <= ?2",
        params![now_ms, now_ms - LONGEST_WAIT_MS],
    )?;
    connection.execute(
        "DELETE FROM failures WHERE subject IN
         (SELECT subject FROM failures ORDER BY locked_until_ms DESC LIMIT -1 OFFSET ?1)",
        [MOST_SUBJECTS],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_starts_at_the_fifth_failure_and_doubles_up_to_15_minutes() {
        let waits: Vec<i64> = (1..=8).map(wait_ms).collect();
        assert_eq!(waits, [0, 0, 0, 0, 1000, 2000, 4000, 8000]);
        assert_eq!(wait_ms(1000), 15 * 60 * 1000);
    }
}
