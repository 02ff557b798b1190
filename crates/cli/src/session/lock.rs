//! One process at a time may change a sign-in.

use std::fs::{File, TryLockError};

/// Held while a sign-in is being changed. The system releases it with the process, however that ends, so that a crash
/// leaves no lock behind.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lock(#[expect(dead_code, reason = "holds the lock until it is dropped")] File);

impl Lock {
    /// The lock on this file, unless another process holds it.
    pub(super) fn try_take(file: File) -> std::io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
