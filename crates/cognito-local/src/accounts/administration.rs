//! What administrators change of accounts.

use rusqlite::Connection;

use super::own::{AppPreference, require_free_address};
use super::{Accounts, can_reset};
use crate::attributes::{self, Author};
use crate::mail::{send_code, send_invitation};
use crate::models::{MailPurpose, User, UserStatus};
use crate::refusal::{Refusal, decide};
use crate::secret::random_id;
use crate::store::{StoreError, grants, mail, users};

/// How long a temporary password can be used, as by default in Cognito: 7 days.
const TEMPORARY_PASSWORD_SECONDS: i64 = 7 * 24 * 3600;

/// An account that an administrator creates.
pub(crate) struct NewUser {
    pub(crate) username: String,
    pub(crate) temporary_password: String,
    pub(crate) attributes: Vec<(String, String)>,
}

/// Whether the temporary password is mailed to the new user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invitation {
    Mailed,
    Suppressed,
}

impl Accounts {
    /// Finds a user by name, verified address or `sub`.
    pub(crate) async fn named(&self, name: &str) -> Result<User, Refusal> {
        let name = name.to_owned();
        let user = self.store.read(move |db| users::find_by_any_name(db, &name)).await?;
        user.ok_or_else(Refusal::user_not_found)
    }

    /// Creates an account with a temporary password, which the first sign-in replaces.
    pub(crate) async fn create(&self, new: NewUser, invitation: Invitation) -> Result<User, Refusal> {
        let credentials = self.passwords.protect(&new.username, &new.temporary_password).await?;
        let now = self.clock.unix_seconds();
        decide(&self.store, move |tx| {
            if users::find_by_username(tx, &new.username)?.is_some() {
                return Err(Refusal::username_exists());
            }
            let mut user = User {
                status: UserStatus::ForceChangePassword,
                password_expires_at: Some(now + TEMPORARY_PASSWORD_SECONDS),
                ..User::new(random_id(), new.username, credentials, now)
            };
            attributes::apply(&mut user, &new.attributes, Author::Administrator)?;
            if user.email_verified {
                require_free_address(tx, &user).map_err(|_| Refusal::email_exists())?;
            }
            users::insert(tx, &user)?;
            if invitation == Invitation::Mailed {
                send_invitation(tx, &user, &new.temporary_password, now)?;
            }
            Ok(user)
        })
        .await
    }

    /// Gives a user who has not signed in yet another temporary password, and mails it.
    pub(crate) async fn invite_again(&self, name: &str, password: String) -> Result<User, Refusal> {
        let user = self.named(name).await?;
        let credentials = self.passwords.protect(&user.username, &password).await?;
        self.change(&user.sub, move |tx, user, now| {
            if user.status != UserStatus::ForceChangePassword {
                return Err(Refusal::known(
                    "UnsupportedUserStateException",
                    "Resend not possible. The user has signed in already.",
                ));
            }
            user.set_password(credentials, UserStatus::ForceChangePassword);
            user.password_expires_at = Some(now + TEMPORARY_PASSWORD_SECONDS);
            send_invitation(tx, user, &password, now)?;
            Ok(user.clone())
        })
        .await
    }

    /// Sets a password, which the caller has checked.
    pub(crate) async fn set_password(
        &self,
        name: &str,
        password: &str,
        permanent: bool,
    ) -> Result<(), Refusal> {
        let user = self.named(name).await?;
        let credentials = self.passwords.protect(&user.username, password).await?;
        self.change(&user.sub, move |_, user, now| {
            if permanent {
                user.set_password(credentials, UserStatus::Confirmed);
            } else {
                user.set_password(credentials, UserStatus::ForceChangePassword);
                user.password_expires_at = Some(now + TEMPORARY_PASSWORD_SECONDS);
            }
            Ok(())
        })
        .await
    }

    /// Confirms an account without a code. Its address stays unverified.
    pub(crate) async fn confirm_by_administrator(&self, name: &str) -> Result<(), Refusal> {
        self.change_named(name, |_, user, _| {
            if user.is_confirmed() {
                let status = user.status.as_str();
                return Err(Refusal::not_authorized(format!(
                    "User cannot be confirmed. Current status is {status}"
                )));
            }
            user.status = UserStatus::Confirmed;
            Ok(())
        })
        .await
    }

    pub(crate) async fn set_attributes(
        &self,
        name: &str,
        changes: Vec<(String, String)>,
    ) -> Result<(), Refusal> {
        self.change_named(name, move |tx, user, now| {
            let changed = attributes::apply(user, &changes, Author::Administrator)?;
            if user.email_verified {
                require_free_address(tx, user)?;
            }
            if changed {
                mail::delete_codes(tx, &user.sub)?;
            }
            if changed && !user.email_verified {
                send_code(tx, Some(user), MailPurpose::Verify, now)?;
            }
            Ok(())
        })
        .await
    }

    pub(crate) async fn remove_attributes(&self, name: &str, names: Vec<String>) -> Result<(), Refusal> {
        self.change_named(name, move |tx, user, _| {
            if attributes::delete(user, &names, Author::Administrator)? {
                mail::delete_codes(tx, &user.sub)?;
            }
            Ok(())
        })
        .await
    }

    /// Mails a code without which the user cannot sign in any more.
    pub(crate) async fn require_reset(&self, name: &str) -> Result<(), Refusal> {
        self.change_named(name, |tx, user, now| {
            if user.status == UserStatus::ForceChangePassword {
                return Err(Refusal::reset_impossible());
            }
            if !can_reset(user) {
                return Err(Refusal::no_verified_address());
            }
            user.status = UserStatus::ResetRequired;
            user.generation += 1;
            Ok(send_code(tx, Some(user), MailPurpose::Reset, now)?)
        })
        .await
    }

    /// Disables an account, which revokes its tokens and sessions, or enables it again.
    pub(crate) async fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), Refusal> {
        self.change_named(name, move |tx, user, _| {
            if user.enabled && !enabled {
                user.generation += 1;
                grants::revoke_of_user(tx, &user.sub)?;
            }
            user.enabled = enabled;
            Ok(())
        })
        .await
    }

    pub(crate) async fn delete_named(&self, name: &str) -> Result<(), Refusal> {
        let user = self.named(name).await?;
        self.delete(&user.sub).await
    }

    pub(crate) async fn sign_out_named(&self, name: &str) -> Result<(), Refusal> {
        let user = self.named(name).await?;
        self.sign_out_everywhere(&user.sub).await
    }

    pub(crate) async fn prefer_app_of(&self, name: &str, preference: AppPreference) -> Result<(), Refusal> {
        let user = self.named(name).await?;
        self.prefer_app(&user.sub, preference).await
    }

    /// Returns up to `limit` users for whom `wanted` is true; see [`users::page`].
    pub(crate) async fn page(
        &self,
        group: Option<String>,
        after: String,
        limit: usize,
        wanted: impl Fn(&User) -> bool + Send + 'static,
    ) -> Result<Vec<User>, StoreError> {
        self.store.read(move |db| users::page(db, group.as_deref(), &after, limit, wanted)).await
    }

    pub(crate) async fn count(&self) -> Result<i64, StoreError> {
        self.store.read(users::count).await
    }

    async fn change_named<F>(&self, name: &str, change: F) -> Result<(), Refusal>
    where
        F: FnOnce(&Connection, &mut User, i64) -> Result<(), Refusal> + Send + 'static,
    {
        let user = self.named(name).await?;
        self.change(&user.sub, change).await
    }
}
