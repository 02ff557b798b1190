//! Creating an account, confirming it, and setting a new password.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::password::PasswordError;
use crate::pool::LocalPool;
use crate::secret::{random_six_digits, secrets_match, token_digest};
use crate::store::mail::{self, Purpose};
use crate::store::users::{self, User};
use crate::store::{StoreError, grants, settings, throttle};
use crate::token::random_id;

/// Why something about an account failed through no fault of the visitor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// What a visitor gives to sign up, checked but for what only the store knows.
pub(crate) struct NewAccount {
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) password: String,
}

pub(crate) enum SignUp {
    Created,
    /// A name is chosen and must be unique, so this cannot be hidden; Cognito says it as well.
    UsernameTaken,
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeOutcome {
    Accepted,
    /// Wrong, expired, used, or of a user who does not exist or needs none: nothing tells which.
    Wrong,
    /// Too many wrong ones.
    Locked,
    /// The code is right, but another account holds the address.
    EmailTaken,
}

impl LocalPool {
    /// Creates an unconfirmed account and mails its code.
    ///
    /// An address that another account holds is accepted here and refused at confirmation: then only its owner, who
    /// gets the mail, learns of it.
    pub(crate) async fn sign_up(&self, account: NewAccount) -> Result<SignUp, AccountError> {
        let password_hash = self.passwords().hash(&account.password).await?;
        let now = self.clock().unix_seconds();
        let user = User {
            sub: random_id(),
            username: account.username,
            password_hash,
            email: Some(account.email),
            email_verified: false,
            confirmed: false,
            generation: 0,
            attributes: BTreeMap::new(),
            totp_secret: None,
        };
        let created = self.store().write(move |tx| {
            if users::find_by_username(tx, &user.username)?.is_some() {
                return Ok(SignUp::UsernameTaken);
            }
            users::insert(tx, &user)?;
            mail::send_code(tx, &user, Purpose::Confirm, &random_six_digits()?, now)?;
            Ok(SignUp::Created)
        });
        Ok(created.await?)
    }

    /// Mails a new code to confirm an account, if there is one that needs it; nothing tells.
    pub(crate) async fn resend_confirmation(&self, username: &str) -> Result<(), StoreError> {
        let username = username.to_owned();
        let now = self.clock().unix_seconds();
        self.store()
            .write(move |tx| {
                let user = users::find_by_username(tx, &username)?.filter(|user| !user.confirmed);
                mail_code(tx, user.as_ref(), Purpose::Confirm, now)
            })
            .await
    }

    /// Confirms an account with the code that was mailed.
    pub(crate) async fn confirm(&self, username: &str, code: &str) -> Result<CodeOutcome, StoreError> {
        let (username, code) = (username.to_owned(), code.to_owned());
        let now_ms = self.clock().unix_millis();
        self.store()
            .write(move |tx| {
                let user = users::find_by_username(tx, &username)?.filter(|user| !user.confirmed);
                let attempt = Attempt { login: &username, code: &code, purpose: Purpose::Confirm, now_ms };
                match attempt.judge(tx, user.as_ref())? {
                    Judgement::Right(user) if users::confirm(tx, user)? => Ok(CodeOutcome::Accepted),
                    Judgement::Right(_) => Ok(CodeOutcome::EmailTaken),
                    Judgement::Refused(outcome) => Ok(outcome),
                }
            })
            .await
    }

    /// Mails a code to set a new password, if there is an account to mail it to; nothing tells.
    pub(crate) async fn request_reset(&self, login: &str) -> Result<(), StoreError> {
        let login = login.to_owned();
        let now = self.clock().unix_seconds();
        self.store()
            .write(move |tx| {
                let user = users::find_by_login(tx, &login)?.filter(can_reset);
                mail_code(tx, user.as_ref(), Purpose::Reset, now)
            })
            .await
    }

    /// Sets a new password with the code that was mailed, and ends all that the old one gave.
    pub(crate) async fn reset_password(
        &self,
        login: &str,
        code: &str,
        password: &str,
    ) -> Result<CodeOutcome, AccountError> {
        // Before the code is looked at, so that the time tells nothing about it.
        let password_hash = self.passwords().hash(password).await?;
        let (login, code) = (login.to_owned(), code.to_owned());
        let now_ms = self.clock().unix_millis();
        let outcome = self.store().write(move |tx| {
            let user = users::find_by_login(tx, &login)?.filter(can_reset);
            let attempt = Attempt { login: &login, code: &code, purpose: Purpose::Reset, now_ms };
            match attempt.judge(tx, user.as_ref())? {
                Judgement::Right(user) => {
                    users::set_password(tx, &user.sub, &password_hash)?;
                    grants::revoke_of_user(tx, &user.sub)?;
                    Ok(CodeOutcome::Accepted)
                }
                Judgement::Refused(outcome) => Ok(outcome),
            }
        });
        Ok(outcome.await?)
    }
}

/// Cognito resets the password only of an account with a verified address.
fn can_reset(user: &User) -> bool {
    user.confirmed && user.email_verified
}

fn mail_code(tx: &Connection, user: Option<&User>, purpose: Purpose, now: i64) -> Result<(), StoreError> {
    match user {
        Some(user) => mail::send_code(tx, user, purpose, &random_six_digits()?, now),
        None => settings::write_decoy(tx),
    }
}

/// One try at a mailed code.
struct Attempt<'a> {
    login: &'a str,
    code: &'a str,
    purpose: Purpose,
    now_ms: i64,
}

enum Judgement<'a> {
    Right(&'a User),
    Refused(CodeOutcome),
}

impl Attempt<'_> {
    /// Looks, compares and counts in one transaction, so that parallel guesses count like others.
    fn judge<'a>(&self, tx: &Connection, user: Option<&'a User>) -> Result<Judgement<'a>, StoreError> {
        let subject = self.throttle_subject();
        if throttle::is_locked(tx, &subject, self.now_ms)? {
            return Ok(Judgement::Refused(CodeOutcome::Locked));
        }
        let sub = user.map_or("", |user| user.sub.as_str());
        let expected = mail::code(tx, sub, self.purpose, self.now_ms / 1000)?;
        let right = expected.is_some_and(|expected| secrets_match(expected.as_bytes(), self.code.as_bytes()));
        match user.filter(|_| right) {
            Some(user) => {
                throttle::clear(tx, &subject)?;
                mail::delete_code(tx, &user.sub, self.purpose)?;
                Ok(Judgement::Right(user))
            }
            None => {
                throttle::record_failure(tx, &subject, self.now_ms)?;
                Ok(Judgement::Refused(CodeOutcome::Wrong))
            }
        }
    }

    /// By what was typed, as for passwords.
    fn throttle_subject(&self) -> Vec<u8> {
        token_digest(&format!("{}:{}", self.purpose.as_str(), users::login_key(self.login)))
    }
}
