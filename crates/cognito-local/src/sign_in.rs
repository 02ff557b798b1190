//! Signing in with a password.

use crate::account::AccountError;
use crate::pool::LocalPool;
use crate::secret::{random_token, token_digest};
use crate::store::sessions::{self, Session};
use crate::store::users::{self, User};
use crate::store::{StoreError, throttle};

/// How long a browser stays signed in (Cognito's cookie of managed login).
pub(crate) const SESSION_SECONDS: i64 = 3600;

pub(crate) enum SignIn {
    /// The password is right.
    Verified(Box<User>),
    /// Wrong password, or no such user: nothing tells which.
    Refused,
    /// Too many failures: nobody is let in, whatever the password.
    Locked,
}

impl LocalPool {
    /// Checks a name, or a verified e-mail address, and a password.
    pub(crate) async fn verify_password(&self, login: &str, password: &str) -> Result<SignIn, AccountError> {
        let key = users::login_key(login);
        let turn = self.passwords().turn().await?;
        let now_ms = self.clock().unix_millis();
        // By what was typed, not by whose it is: that a name and an address lock together would tell that they belong
        // together.
        let subject = token_digest(&key);
        let sought = subject.clone();
        let (user, locked) = self
            .store()
            .read(move |db| Ok((users::find_by_login(db, &key)?, throttle::is_locked(db, &sought, now_ms)?)))
            .await?;
        if locked {
            return Ok(SignIn::Locked);
        }
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let (turn, right) = turn.verify(password, hash).await?;
        let now_ms = self.clock().unix_millis();
        self.store()
            .write(move |tx| match right {
                true => throttle::clear(tx, &subject),
                false => throttle::record_failure(tx, &subject, now_ms),
            })
            .await?;
        drop(turn);
        Ok(match user {
            Some(user) if right => SignIn::Verified(Box::new(user)),
            _ => SignIn::Refused,
        })
    }

    /// Remembers a sign-in, and returns the secret that the browser keeps.
    pub(crate) async fn start_session(&self, user: &User) -> Result<(String, Session), StoreError> {
        let token = random_token()?;
        let digest = token_digest(&token);
        let now = self.clock().unix_seconds();
        let (sub, generation) = (user.sub.clone(), user.generation);
        let session = self
            .store()
            .write(move |tx| {
                let session = Session { sub, generation, auth_time: now };
                sessions::insert(tx, &digest, &session, now + SESSION_SECONDS)?;
                Ok(session)
            })
            .await?;
        Ok((token, session))
    }

    /// Forgets a sign-in.
    pub(crate) async fn end_session(&self, token: &str) -> Result<(), StoreError> {
        let digest = token_digest(token);
        self.store().write(move |tx| sessions::delete(tx, &digest)).await
    }

    pub(crate) async fn session(&self, token: &str) -> Result<Option<Session>, StoreError> {
        let digest = token_digest(token);
        let now = self.clock().unix_seconds();
        self.store().read(move |db| sessions::find(db, &digest, now)).await
    }
}
