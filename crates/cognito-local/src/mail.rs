//! Mailed codes. The pool sends no mail: the mailbox shows what it would have sent.

use rusqlite::Connection;

use crate::models::{Mail, MailPurpose, User};
use crate::secret::random_six_digits;
use crate::store::{Store, StoreError, mail, settings};

/// The mails of the pool.
#[derive(Clone)]
pub(crate) struct Mailbox {
    store: Store,
}

impl Mailbox {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Returns the latest mails, newest first.
    pub(crate) async fn latest(&self) -> Result<Vec<Mail>, StoreError> {
        self.store.read(mail::newest).await
    }
}

/// Mails a new code to `user`, in the caller's transaction. Without a user it writes as much, so that the time does not
/// reveal whether an account exists.
pub(crate) fn send_code(
    tx: &Connection,
    user: Option<&User>,
    purpose: MailPurpose,
    now: i64,
) -> Result<(), StoreError> {
    match user {
        Some(user) => mail::send_code(tx, user, purpose, &random_six_digits()?, now),
        None => settings::write_decoy(tx),
    }
}
