//! Mailed codes. The pool sends no mail: the mailbox shows what it would have sent.

use rusqlite::Connection;

use crate::models::{Mail, MailPurpose, User};
use crate::secret::random_digits;
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

/// Mails a new code to `user`, in the caller's transaction. Without a user or an address it writes as much, so that the time does not
/// reveal whether an account exists.
pub(crate) fn send_code(
    tx: &Connection,
    user: Option<&User>,
    purpose: MailPurpose,
    now: i64,
) -> Result<(), StoreError> {
    match user.filter(|user| user.email.is_some()) {
        Some(user) => mail::send_code(tx, user, purpose, &random_digits(digits(purpose))?, now),
        None => settings::write_decoy(tx),
    }
}

/// Mails the temporary password of a new account, if the account has an address.
pub(crate) fn send_invitation(
    tx: &Connection,
    user: &User,
    temporary_password: &str,
    now: i64,
) -> Result<(), StoreError> {
    if user.email.is_none() {
        return Ok(());
    }
    mail::insert(tx, user, MailPurpose::Invitation, temporary_password, now)
}

/// How many digits a code has, as Cognito mails them.
const fn digits(purpose: MailPurpose) -> usize {
    if matches!(purpose, MailPurpose::SignIn) { 8 } else { 6 }
}

/// Returns an address as Cognito shows it to whoever asked for a code: `a***@e***`.
pub(crate) fn masked_address(address: &str) -> String {
    let first = |text: &str| text.chars().next().map_or_else(String::new, String::from);
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, "e"));
    format!("{}***@{}***", first(local), first(domain))
}
