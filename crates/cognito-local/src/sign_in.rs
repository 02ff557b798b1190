//! Signing in: the password, the second factor, and the session that a browser keeps.

use crate::attempt::CodeOutcome;
use crate::clock::Clock;
use crate::error::ServiceError;
use crate::mfa::{Enrolment, SecondFactor, Step, check_app_code};
use crate::models::{Session, User, UserStatus};
use crate::password::Passwords;
use crate::secret::{random_token, token_digest};
use crate::store::{Store, StoreError, challenges, sessions, throttle, users};

/// How long a browser stays signed in, as with the cookie of Cognito's managed login.
pub(crate) const SESSION_SECONDS: i64 = 3600;
/// How long the second step of a sign-in may take: long enough to install an authenticator app.
pub(crate) const CHALLENGE_SECONDS: i64 = 10 * 60;

/// The sign-ins of the pool's users.
#[derive(Clone)]
pub(crate) struct SignIns {
    store: Store,
    passwords: Passwords,
    second_factor: SecondFactor,
    clock: Clock,
}

/// The result of a login and a password.
pub(crate) enum PasswordOutcome {
    /// Wrong password or unknown user. Callers cannot distinguish these.
    Rejected,
    /// Too many failures. Even the right password is rejected.
    Locked,
    /// The password is right, but the account cannot be used at present.
    Obstructed {
        username: String,
        obstacle: Obstacle,
    },
    /// The sign-in continues with a second factor.
    Challenge {
        token: String,
        step: Step,
    },
    SignedIn(SignedIn),
}

/// What keeps a user with the right password from signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// An administrator has disabled the account.
    Disabled,
    /// The account must be confirmed first.
    Unconfirmed,
    /// An administrator wants the password to be reset with a mailed code.
    ResetRequired,
    TemporaryPasswordExpired,
}

/// A completed sign-in, with the secret that the browser keeps.
pub(crate) struct SignedIn {
    pub(crate) token: String,
    pub(crate) session: Session,
}

/// The result of the answer to a challenge.
pub(crate) enum ChallengeOutcome {
    SignedIn(SignedIn),
    Rejected(CodeOutcome),
}

impl SignIns {
    pub(crate) fn new(store: Store, passwords: Passwords, second_factor: SecondFactor, clock: Clock) -> Self {
        Self { store, passwords, second_factor, clock }
    }

    /// Signs in with a username or a verified e-mail address, and a password.
    pub(crate) async fn with_password(
        &self,
        login: &str,
        password: &str,
    ) -> Result<PasswordOutcome, ServiceError> {
        let user = match self.verify_password(login, password).await? {
            Verification::Right(user) => user,
            Verification::Wrong => return Ok(PasswordOutcome::Rejected),
            Verification::Locked => return Ok(PasswordOutcome::Locked),
        };
        if let Some(obstacle) = obstacle(&user, self.clock.unix_seconds()) {
            return Ok(PasswordOutcome::Obstructed { username: user.username, obstacle });
        }
        self.proceed(*user).await
    }

    /// Checks a password, and counts a wrong one. A right one also gets its verifier for the Secure Remote Password
    /// protocol, if it has none yet.
    pub(crate) async fn verify_password(
        &self,
        login: &str,
        password: &str,
    ) -> Result<Verification, ServiceError> {
        let key = login.to_owned();
        let turn = self.passwords.turn().await?;
        let now_ms = self.clock.unix_millis();
        let subject = throttle_subject(login);
        let looked_up = subject.clone();
        let (user, locked) = self
            .store
            .read(move |db| {
                Ok((users::find_by_login(db, &key)?, throttle::is_locked(db, &looked_up, now_ms)?))
            })
            .await?;
        if locked {
            return Ok(Verification::Locked);
        }
        let hash = user.as_ref().map(|user| user.credentials.hash.clone());
        let (turn, right) = turn.verify(password, hash).await?;
        let right_user = user.filter(|_| right);
        let (turn, new_verifier) = match &right_user {
            Some(user) if user.credentials.srp.is_none() => {
                self.passwords.new_verifier(turn, &user.username, password).await?
            }
            _ => (turn, None),
        };
        let now_ms = self.clock.unix_millis();
        let verified = right_user.as_ref().map(|user| (user.sub.clone(), user.credentials.hash.clone()));
        self.store
            .write(move |tx| {
                let Some((sub, hash)) = verified else {
                    return throttle::record_failure(tx, &subject, now_ms);
                };
                if let Some(verifier) = new_verifier {
                    users::set_srp_verifier(tx, &sub, &hash, &verifier)?;
                }
                throttle::clear(tx, &subject)
            })
            .await?;
        drop(turn);
        Ok(right_user.map_or(Verification::Wrong, |user| Verification::Right(Box::new(user))))
    }

    async fn start_session(&self, user: User) -> Result<SignedIn, StoreError> {
        let token = random_token()?;
        let digest = token_digest(&token);
        let now = self.clock.unix_seconds();
        let session = Session { sub: user.sub, generation: user.generation, auth_time: now };
        let session = self
            .store
            .write(move |tx| {
                sessions::insert(tx, &digest, &session, now + SESSION_SECONDS)?;
                Ok(session)
            })
            .await?;
        Ok(SignedIn { token, session })
    }

    async fn start_challenge(&self, user: User) -> Result<String, StoreError> {
        let token = random_token()?;
        let (digest, now) = (token_digest(&token), self.clock.unix_seconds());
        self.store
            .write(move |tx| challenges::insert(tx, &digest, &user, now, now + CHALLENGE_SECONDS))
            .await?;
        Ok(token)
    }

    /// Returns the user whose sign-in waits for the answer to this challenge.
    pub(crate) async fn challenged_user(&self, token: &str) -> Result<Option<User>, StoreError> {
        let (digest, now) = (token_digest(token), self.clock.unix_seconds());
        self.store
            .read(move |db| match challenges::find_sub(db, &digest, now)? {
                Some(sub) => users::find_by_sub(db, &sub),
                None => Ok(None),
            })
            .await
    }

    /// Replaces the temporary password of the user whose sign-in waits at this challenge. The caller has checked the
    /// policy.
    pub(crate) async fn set_first_password(
        &self,
        challenge: &str,
        user: &User,
        password: &str,
    ) -> Result<PasswordOutcome, ServiceError> {
        let credentials = self.passwords.protect(&user.username, password).await?;
        let (digest, now) = (token_digest(challenge), self.clock.unix_seconds());
        let user = self
            .store
            .write(move |tx| {
                let Some(sub) = challenges::find_sub(tx, &digest, now)? else { return Ok(None) };
                let user = users::find_by_sub(tx, &sub)?;
                let Some(mut user) = user.filter(|user| user.status == UserStatus::ForceChangePassword)
                else {
                    return Ok(None);
                };
                challenges::delete(tx, &digest)?;
                user.set_password(credentials, UserStatus::Confirmed);
                users::save(tx, &user, now)?;
                Ok(Some(user))
            })
            .await?;
        match user {
            Some(user) => self.proceed(user).await,
            None => Ok(PasswordOutcome::Rejected),
        }
    }

    /// Continues after the right password.
    async fn proceed(&self, user: User) -> Result<PasswordOutcome, ServiceError> {
        match self.second_factor.next_step(&user) {
            Some(step) => {
                let token = self.start_challenge(user).await?;
                Ok(PasswordOutcome::Challenge { token, step })
            }
            None => Ok(PasswordOutcome::SignedIn(self.start_session(user).await?)),
        }
    }

    /// Completes a sign-in with a code of the user's app, or of the app that the user is setting up.
    pub(crate) async fn answer_challenge(
        &self,
        challenge: &str,
        code: &str,
        enrolment: Option<Enrolment>,
    ) -> Result<ChallengeOutcome, StoreError> {
        let (digest, code, token) = (token_digest(challenge), code.to_owned(), random_token()?);
        let (session_digest, now_ms) = (token_digest(&token), self.clock.unix_millis());
        self.store
            .write(move |tx| {
                let now = now_ms / 1000;
                let user = challenges::find_sub(tx, &digest, now)?.map(|sub| users::find_by_sub(tx, &sub));
                // A temporary password has to be replaced before anything else.
                let user = user.transpose()?.flatten();
                let Some(user) = user.filter(|user| user.status != UserStatus::ForceChangePassword) else {
                    return Ok(ChallengeOutcome::Rejected(CodeOutcome::Wrong));
                };
                let outcome = check_app_code(tx, &user, &code, enrolment.as_ref(), now_ms)?;
                if outcome != CodeOutcome::Accepted {
                    return Ok(ChallengeOutcome::Rejected(outcome));
                }
                challenges::delete(tx, &digest)?;
                let session = Session { sub: user.sub, generation: user.generation, auth_time: now };
                sessions::insert(tx, &session_digest, &session, now + SESSION_SECONDS)?;
                Ok(ChallengeOutcome::SignedIn(SignedIn { token, session }))
            })
            .await
    }

    /// Returns the session with this secret, if it is valid.
    pub(crate) async fn session(&self, token: &str) -> Result<Option<Session>, StoreError> {
        let digest = token_digest(token);
        let now = self.clock.unix_seconds();
        self.store.read(move |db| sessions::find(db, &digest, now)).await
    }

    /// Returns the user of a session.
    pub(crate) async fn user(&self, session: &Session) -> Result<Option<User>, StoreError> {
        let sub = session.sub.clone();
        self.store.read(move |db| users::find_by_sub(db, &sub)).await
    }

    /// Ends a session.
    pub(crate) async fn end_session(&self, token: &str) -> Result<(), StoreError> {
        let digest = token_digest(token);
        self.store.write(move |tx| sessions::delete(tx, &digest)).await
    }
}

/// The result of a login and a password, before anything else is checked.
pub(crate) enum Verification {
    Right(Box<User>),
    Wrong,
    Locked,
}

/// Returns the first obstacle, in Cognito's order.
pub(crate) fn obstacle(user: &User, now: i64) -> Option<Obstacle> {
    if !user.enabled {
        return Some(Obstacle::Disabled);
    }
    match user.status {
        UserStatus::Unconfirmed => Some(Obstacle::Unconfirmed),
        UserStatus::ResetRequired => Some(Obstacle::ResetRequired),
        UserStatus::ForceChangePassword if user.password_expires_at.is_some_and(|end| end <= now) => {
            Some(Obstacle::TemporaryPasswordExpired)
        }
        UserStatus::Confirmed | UserStatus::ForceChangePassword => None,
    }
}

/// The throttle counts by the typed login: if a name and an address were locked together, that would reveal that they
/// belong to the same user.
pub(crate) fn throttle_subject(login: &str) -> Vec<u8> {
    token_digest(&users::login_key(login))
}
