//! Attempts at a code that a user types.

use rusqlite::Connection;

use crate::store::{StoreError, throttle};

/// The result of an attempt at a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeOutcome {
    Accepted,
    /// Wrong, used, or for a user who does not exist or needs no code. Callers cannot distinguish these.
    Wrong,
    /// Right, but too late.
    Expired,
    /// Too many wrong codes.
    Locked,
    /// The code is right, but the address belongs to another account.
    EmailTaken,
}

/// Checks a code, and counts a wrong one, in the caller's transaction: parallel guesses are counted like serial ones.
pub(crate) fn check_code(
    tx: &Connection,
    throttle_subject: &[u8],
    now_ms: i64,
    is_right: impl FnOnce() -> Result<bool, StoreError>,
) -> Result<CodeOutcome, StoreError> {
    if throttle::is_locked(tx, throttle_subject, now_ms)? {
        return Ok(CodeOutcome::Locked);
    }
    if is_right()? {
        throttle::clear(tx, throttle_subject)?;
        return Ok(CodeOutcome::Accepted);
    }
    throttle::record_failure(tx, throttle_subject, now_ms)?;
    Ok(CodeOutcome::Wrong)
}
