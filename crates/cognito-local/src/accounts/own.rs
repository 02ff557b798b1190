//! What signed-in users change of their own account.

use rusqlite::Connection;

use super::{Accounts, MailedCode};
use crate::attributes::{self, Author};
use crate::mail::send_code;
use crate::mfa::{new_app_secret, register_app};
use crate::models::{MailPurpose, User, UserStatus};
use crate::refusal::{Refusal, app_setup_code, decide, mailed_code};
use crate::store::{grants, mail, users};

/// Whether an authenticator app is asked for, and preferred.
#[derive(Clone, Copy)]
pub(crate) struct AppPreference {
    pub(crate) enabled: bool,
    pub(crate) preferred: bool,
}

impl Accounts {
    /// Changes attributes, and mails a code to a new address. Returns the user with the new address.
    pub(crate) async fn update_attributes(
        &self,
        sub: &str,
        changes: Vec<(String, String)>,
    ) -> Result<Option<User>, Refusal> {
        self.change(sub, move |tx, user, now| {
            let changed = attributes::apply(user, &changes, Author::User)?;
            if changed {
                mail::delete_codes(tx, &user.sub)?;
                send_code(tx, Some(user), MailPurpose::Verify, now)?;
            }
            Ok((changed && user.email.is_some()).then(|| user.clone()))
        })
        .await
    }

    pub(crate) async fn delete_attributes(&self, sub: &str, names: Vec<String>) -> Result<(), Refusal> {
        self.change(sub, move |tx, user, _| {
            if attributes::delete(user, &names, Author::User)? {
                mail::delete_codes(tx, &user.sub)?;
            }
            Ok(())
        })
        .await
    }

    /// Mails a code to the user's address.
    pub(crate) async fn mail_verification(&self, sub: &str) -> Result<User, Refusal> {
        self.change(sub, |tx, user, now| {
            if user.email.is_none() {
                return Err(Refusal::invalid_parameter("The user does not have an email address."));
            }
            send_code(tx, Some(user), MailPurpose::Verify, now)?;
            Ok(user.clone())
        })
        .await
    }

    /// Verifies the user's address with a mailed code.
    pub(crate) async fn verify_email(&self, sub: &str, code: &str) -> Result<(), Refusal> {
        let (code, now_ms) = (code.to_owned(), self.clock.unix_millis());
        self.change(sub, move |tx, user, _| {
            let attempt =
                MailedCode { login: &user.username, code: &code, purpose: MailPurpose::Verify, now_ms };
            mailed_code(attempt.check(tx, Some(user))?)?;
            require_free_address(tx, user)?;
            user.email_verified = true;
            Ok(())
        })
        .await
    }

    /// Sets a new password, which the caller has checked. Tokens stay valid, as in Cognito.
    pub(crate) async fn change_password(&self, user: &User, password: &str) -> Result<(), Refusal> {
        let credentials = self.passwords.protect(&user.username, password).await?;
        self.change(&user.sub, move |_, user, _| {
            user.set_password(credentials, UserStatus::Confirmed);
            Ok(())
        })
        .await
    }

    /// Revokes all tokens of a user.
    pub(crate) async fn sign_out_everywhere(&self, sub: &str) -> Result<(), Refusal> {
        self.change(sub, |tx, user, _| Ok(grants::revoke_of_user(tx, &user.sub)?)).await
    }

    pub(crate) async fn delete(&self, sub: &str) -> Result<(), Refusal> {
        let sub = sub.to_owned();
        decide(&self.store, move |tx| Ok(users::delete(tx, &sub)?)).await
    }

    /// Returns a secret for an authenticator app, whose first code is awaited.
    pub(crate) async fn associate_app(&self, sub: &str) -> Result<Vec<u8>, Refusal> {
        self.change(sub, |_, user, _| {
            let secret = new_app_secret()?;
            user.totp_pending_secret = Some(secret.clone());
            Ok(secret)
        })
        .await
    }

    /// Registers an authenticator app with its first code. Sign-in asks for it once the user prefers it.
    pub(crate) async fn verify_app(&self, sub: &str, code: &str) -> Result<(), Refusal> {
        let (code, now_ms) = (code.to_owned(), self.clock.unix_millis());
        self.change(sub, move |tx, user, _| {
            let secret = user.totp_pending_secret.clone().ok_or_else(Refusal::app_not_associated)?;
            app_setup_code(register_app(tx, user, &secret, &code, now_ms)?)?;
            user.totp_pending_secret = None;
            Ok(())
        })
        .await
    }

    pub(crate) async fn prefer_app(&self, sub: &str, preference: AppPreference) -> Result<(), Refusal> {
        self.change(sub, move |_, user, _| {
            if preference.enabled && user.totp_secret.is_none() {
                return Err(Refusal::invalid_parameter(
                    "User does not have delivery config set to turn on SOFTWARE_TOKEN_MFA",
                ));
            }
            user.totp_enabled = preference.enabled;
            user.totp_preferred = preference.enabled && preference.preferred;
            Ok(())
        })
        .await
    }

    /// Changes a user in one transaction.
    pub(super) async fn change<T, F>(&self, sub: &str, change: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut User, i64) -> Result<T, Refusal> + Send + 'static,
    {
        let (sub, now) = (sub.to_owned(), self.clock.unix_seconds());
        decide(&self.store, move |tx| {
            let mut user = users::find_by_sub(tx, &sub)?.ok_or_else(Refusal::user_not_found)?;
            let outcome = change(tx, &mut user, now)?;
            users::save(tx, &user, now)?;
            Ok(outcome)
        })
        .await
    }
}

/// Only one account can have an address as its verified one.
pub(super) fn require_free_address(tx: &Connection, user: &User) -> Result<(), Refusal> {
    let Some(email) = &user.email else { return Ok(()) };
    match users::find_by_verified_email(tx, email)? {
        Some(other) if other.sub != user.sub => Err(Refusal::alias_exists()),
        _ => Ok(()),
    }
}
