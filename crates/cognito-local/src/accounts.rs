//! Creating an account, confirming it, and setting a new password.

mod administration;
mod configured;
mod own;

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::attempt::{CodeOutcome, check_code};
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::mail::send_code;
use crate::models::{MailPurpose, User, UserStatus};
use crate::password::Passwords;
use crate::secret::{random_id, secrets_match, token_digest};
use crate::store::{Store, StoreError, grants, mail, users};

pub(crate) use administration::{Invitation, NewUser};
pub(crate) use configured::{ConfiguredUserError, create_missing};
pub(crate) use own::AppPreference;

/// The accounts of the pool's users.
#[derive(Clone)]
pub(crate) struct Accounts {
    store: Store,
    passwords: Passwords,
    clock: Clock,
}

/// The data of a new account, already validated.
pub(crate) struct NewAccount {
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) password: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

pub(crate) enum SignUp {
    Created(Box<User>),
    /// Usernames are unique, so this cannot be hidden; Cognito reports it too.
    UsernameTaken,
}

impl Accounts {
    pub(crate) fn new(store: Store, passwords: Passwords, clock: Clock) -> Self {
        Self { store, passwords, clock }
    }

    /// Creates an unconfirmed account and mails its code.
    ///
    /// An address that belongs to another account is accepted here and rejected at confirmation, so that only the owner
    /// of the mailbox learns of it.
    pub(crate) async fn sign_up(&self, account: NewAccount) -> Result<SignUp, ServiceError> {
        let credentials = self.passwords.protect(&account.username, &account.password).await?;
        let now = self.clock.unix_seconds();
        let user = User {
            email: account.email,
            attributes: account.attributes,
            status: UserStatus::Unconfirmed,
            ..User::new(random_id(), account.username, credentials, now)
        };
        let created = self.store.write(move |tx| {
            if users::find_by_username(tx, &user.username)?.is_some() {
                return Ok(SignUp::UsernameTaken);
            }
            users::insert(tx, &user)?;
            send_code(tx, Some(&user), MailPurpose::Confirm, now)?;
            Ok(SignUp::Created(Box::new(user)))
        });
        Ok(created.await?)
    }

    /// Finds a user by name, or else by verified address.
    pub(crate) async fn find(&self, login: &str) -> Result<Option<User>, StoreError> {
        let login = login.to_owned();
        self.store.read(move |db| users::find_by_login(db, &login)).await
    }

    /// Mails a new confirmation code, if there is an account that needs one. The result does not reveal which.
    pub(crate) async fn resend_confirmation(&self, username: &str) -> Result<(), StoreError> {
        let username = username.to_owned();
        let now = self.clock.unix_seconds();
        self.store
            .write(move |tx| {
                let user = users::find_by_username(tx, &username)?.filter(|user| !user.is_confirmed());
                send_code(tx, user.as_ref(), MailPurpose::Confirm, now)
            })
            .await
    }

    /// Confirms an account with its mailed code.
    pub(crate) async fn confirm(&self, username: &str, code: &str) -> Result<CodeOutcome, StoreError> {
        let (username, code) = (username.to_owned(), code.to_owned());
        let now_ms = self.clock.unix_millis();
        self.store
            .write(move |tx| {
                let user = users::find_by_username(tx, &username)?.filter(|user| !user.is_confirmed());
                let attempt =
                    MailedCode { login: &username, code: &code, purpose: MailPurpose::Confirm, now_ms };
                let outcome = attempt.check(tx, user.as_ref())?;
                let Some(user) = user.filter(|_| outcome == CodeOutcome::Accepted) else {
                    return Ok(outcome);
                };
                let confirmed = users::confirm(tx, user, now_ms / 1000)?;
                Ok(if confirmed { CodeOutcome::Accepted } else { CodeOutcome::EmailTaken })
            })
            .await
    }

    /// Mails a code to set a new password, if there is an account with a verified address. The result does not reveal
    /// which.
    pub(crate) async fn request_reset(&self, login: &str) -> Result<(), StoreError> {
        let login = login.to_owned();
        let now = self.clock.unix_seconds();
        self.store
            .write(move |tx| {
                let user = users::find_by_login(tx, &login)?.filter(can_reset);
                send_code(tx, user.as_ref(), MailPurpose::Reset, now)
            })
            .await
    }

    /// Sets a new password with a mailed code, and revokes the sessions and tokens of the old one.
    pub(crate) async fn reset_password(
        &self,
        login: &str,
        code: &str,
        password: &str,
    ) -> Result<CodeOutcome, ServiceError> {
        let (login, code) = (login.to_owned(), code.to_owned());
        let key = login.clone();
        let user = self.store.read(move |db| users::find_by_login(db, &key)).await?;
        // Hashed before the code is checked, so that the time does not depend on the code.
        let username = user.map_or_else(|| login.clone(), |user| user.username);
        let credentials = self.passwords.protect(&username, password).await?;
        let now_ms = self.clock.unix_millis();
        let outcome = self.store.write(move |tx| {
            let user = users::find_by_login(tx, &login)?.filter(can_reset);
            let attempt = MailedCode { login: &login, code: &code, purpose: MailPurpose::Reset, now_ms };
            let outcome = attempt.check(tx, user.as_ref())?;
            if let (CodeOutcome::Accepted, Some(mut user)) = (outcome, user) {
                user.set_password(credentials, UserStatus::Confirmed);
                users::save(tx, &user, now_ms / 1000)?;
                grants::revoke_of_user(tx, &user.sub)?;
            }
            Ok(outcome)
        });
        Ok(outcome.await?)
    }
}

/// Cognito resets a password only for an account with a verified address.
fn can_reset(user: &User) -> bool {
    matches!(user.status, UserStatus::Confirmed | UserStatus::ResetRequired)
        && user.enabled
        && user.email_verified
}

/// An attempt at a mailed code.
pub(crate) struct MailedCode<'a> {
    pub(crate) login: &'a str,
    pub(crate) code: &'a str,
    pub(crate) purpose: MailPurpose,
    pub(crate) now_ms: i64,
}

impl MailedCode<'_> {
    /// Checks the code and deletes it when it is right. Without a user every code is wrong.
    pub(crate) fn check(&self, tx: &Connection, user: Option<&User>) -> Result<CodeOutcome, StoreError> {
        let sub = user.map_or("", |user| user.sub.as_str());
        let mut expired = false;
        let outcome = check_code(tx, &self.throttle_subject(), self.now_ms, || {
            let Some((expected, expires_at)) = mail::code(tx, sub, self.purpose)? else { return Ok(false) };
            expired = expires_at <= self.now_ms / 1000;
            Ok(secrets_match(expected.as_bytes(), self.code.as_bytes()))
        })?;
        if outcome == CodeOutcome::Accepted {
            mail::delete_code(tx, sub, self.purpose)?;
        }
        Ok(if outcome == CodeOutcome::Accepted && expired { CodeOutcome::Expired } else { outcome })
    }

    /// The throttle counts by the typed login, as for passwords.
    fn throttle_subject(&self) -> Vec<u8> {
        token_digest(&format!("{}:{}", self.purpose.as_str(), users::login_key(self.login)))
    }
}
