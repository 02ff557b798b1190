//! The users that the configuration names.

use rusqlite::Connection;

use crate::config::UserConfig;
use crate::models::{Credentials, User};
use crate::password::{PasswordError, Passwords};
use crate::secret::random_id;
use crate::store::{Store, StoreError, groups, users};

/// Why a configured user cannot be created.
pub(crate) enum ConfiguredUserError {
    EmailTaken { username: String },
    Store(StoreError),
    Password(PasswordError),
}

impl From<StoreError> for ConfiguredUserError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Creates the configured users that the pool does not have, and sets the groups of all configured users.
pub(crate) async fn create_missing(
    store: &Store,
    passwords: &Passwords,
    configured: &[UserConfig],
    now: i64,
) -> Result<(), ConfiguredUserError> {
    for config in configured {
        let username = config.username.clone();
        let existing = store.read(move |db| users::find_by_username(db, &username)).await?;
        let credentials = match existing {
            Some(_) => None,
            None => {
                let protected = passwords.protect(&config.username, &config.password).await;
                Some(protected.map_err(ConfiguredUserError::Password)?)
            }
        };
        let user = config.clone();
        if !store.write(move |tx| create_or_update(tx, user, credentials, now)).await? {
            return Err(ConfiguredUserError::EmailTaken { username: config.username.clone() });
        }
    }
    Ok(())
}

/// Returns `false` when the address of a new user belongs to another user.
fn create_or_update(
    tx: &Connection,
    config: UserConfig,
    credentials: Option<Credentials>,
    now: i64,
) -> Result<bool, StoreError> {
    if let Some(user) = users::find_by_username(tx, &config.username)? {
        groups::replace_of_user(tx, &user.sub, &config.groups)?;
        return Ok(true);
    }
    if let Some(email) = &config.email
        && users::find_by_login(tx, email)?.is_some()
    {
        return Ok(false);
    }
    let credentials = credentials.ok_or(StoreError::Damaged("user"))?;
    let user = User {
        email_verified: config.email.is_some(),
        email: config.email,
        attributes: config.attributes,
        ..User::new(random_id(), config.username, credentials, now)
    };
    users::insert(tx, &user)?;
    groups::replace_of_user(tx, &user.sub, &config.groups)?;
    Ok(true)
}
