//! Authentication flows of the AWS API: sign-ins in steps, each of which ends with a challenge or with tokens.

mod email_otp;
mod mfa_setup;
mod password_verifier;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use rusqlite::Connection;

use crate::attributes::{self, Author};
use crate::clock::Clock;
use crate::config::FirstFactor;
use crate::directory::{Client, Directory};
use crate::mfa::{SecondFactor, Step, check_app_code};
use crate::models::{Credentials, User, UserStatus};
use crate::password::Passwords;
use crate::refusal::{Refusal, app_code, decide};
use crate::sign_in::{Obstacle, SignIns, Verification, obstacle};
use crate::store::{Store, StoreError, users};
use crate::tokens::{Granted, TokenResponse, Tokens, grant_by_api};
use session::{Loaded, Pending, load, open};

pub(crate) use password_verifier::PasswordProof;

/// The sign-ins of the pool's users through the AWS API.
#[derive(Clone)]
pub(crate) struct AuthFlows {
    pub(crate) store: Store,
    pub(crate) passwords: Passwords,
    pub(crate) sign_ins: SignIns,
    pub(crate) second_factor: SecondFactor,
    pub(crate) tokens: Tokens,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Clock,
    pub(crate) pool_name: Arc<str>,
    /// Derives the answers for users who do not exist.
    pub(crate) decoy_key: hmac::Key,
}

/// What a step of a sign-in leads to.
pub(crate) enum Progress {
    Challenge { challenge: Challenge, session: String },
    Tokens(TokenResponse),
}

/// What the client has to answer next.
pub(crate) enum Challenge {
    PasswordVerifier { user_id: String, salt: String, server_public: String, secret_block: String },
    NewPasswordRequired(Box<User>),
    SoftwareTokenMfa(Box<User>),
    MfaSetup(Box<User>),
    EmailOtp { username: String, destination: String },
    Select(Vec<&'static str>),
}

/// The outcome of a transaction.
enum Decision {
    Challenge { challenge: Challenge, session: String },
    Granted(Box<Granted>),
}

/// A new password for an account that has a temporary one.
pub(crate) struct NewPassword {
    pub(crate) password: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl AuthFlows {
    /// Signs in with a password in clear text.
    pub(crate) async fn with_password(
        &self,
        client: &Arc<Client>,
        login: &str,
        password: &str,
    ) -> Result<Progress, Refusal> {
        let user = match self.sign_ins.verify_password(login, password).await? {
            Verification::Right(user) => user,
            Verification::Wrong => return Err(self.rejection(client, login).await?),
            Verification::Locked => return Err(Refusal::password_attempts()),
        };
        let (flows, owner, login) = (self.clone(), Arc::clone(client), login.to_owned());
        let now = self.clock.unix_seconds();
        let decision = decide(&self.store, move |tx| {
            let user = unchanged(tx, &user.sub, user.generation)?.ok_or_else(Refusal::incorrect_password)?;
            flows.proceed(tx, &owner, user, &login, now)
        });
        self.conclude(client, decision.await?).await
    }

    /// A client that may know which users exist is told that this one does not.
    async fn rejection(&self, client: &Client, login: &str) -> Result<Refusal, StoreError> {
        let login = login.to_owned();
        let exists = client.hides_existence
            || self.store.read(move |db| users::find_by_login(db, &login)).await?.is_some();
        Ok(if exists { Refusal::incorrect_password() } else { Refusal::user_not_found() })
    }

    /// Lets the user choose how to begin.
    pub(crate) async fn choose(&self, client: &Client, login: &str) -> Result<Progress, Refusal> {
        let (flows, login, now) = (self.clone(), login.to_owned(), self.clock.unix_seconds());
        let (client_id, seconds) = (client.id.clone(), client.auth_session_seconds);
        let hides_existence = client.hides_existence;
        let (available, session) = decide(&self.store, move |tx| {
            let user = users::find_by_login(tx, &login)?;
            if user.is_none() && !hides_existence {
                return Err(Refusal::user_not_found());
            }
            let session =
                session::new(&client_id, &login, user.as_ref(), &Pending::SelectChallenge, now + seconds)?;
            Ok((flows.first_factors(user.as_ref()), open(tx, session, now)?))
        })
        .await?;
        Ok(Progress::Challenge { challenge: Challenge::Select(available), session })
    }

    /// Uses up the session of a choice, and returns the login that it was for.
    pub(crate) async fn take_choice(&self, client: &Client, session: &str) -> Result<String, Refusal> {
        let (client_id, session, now) = (client.id.clone(), session.to_owned(), self.clock.unix_seconds());
        decide(&self.store, move |tx| {
            let loaded = load(tx, &client_id, &session, now)?;
            match loaded.pending {
                Pending::SelectChallenge => {}
                _ => return Err(Refusal::session_invalid()),
            }
            loaded.mark_used(tx)?;
            Ok(loaded.session.login)
        })
        .await
    }

    /// The first factors that a user can choose from. The answer for an unknown user is the same as for most others.
    fn first_factors(&self, user: Option<&User>) -> Vec<&'static str> {
        let mut factors = Vec::new();
        if self.passwords.stores_verifiers() {
            factors.push("PASSWORD_SRP");
        }
        factors.push("PASSWORD");
        if user.is_none_or(|user| self.can_mail_code(user))
            && self.directory.first_factors.contains(&FirstFactor::EmailOtp)
        {
            factors.push("EMAIL_OTP");
        }
        factors
    }

    /// Sets the new password of an account that has a temporary one. The caller has checked the policy.
    pub(crate) async fn answer_new_password(
        &self,
        client: &Arc<Client>,
        session: &str,
        login: &str,
        answer: NewPassword,
    ) -> Result<Progress, Refusal> {
        let credentials = self.protect(login, &answer.password).await?;
        let changes: Vec<_> = answer.attributes.into_iter().collect();
        self.answer(client, session, login, move |flows, tx, client, loaded, now| {
            let Pending::NewPasswordRequired = loaded.pending else { return Err(Refusal::session_invalid()) };
            let mut user = loaded.user(tx)?;
            attributes::require_unset(&user, &changes)?;
            attributes::apply(&mut user, &changes, Author::User)?;
            loaded.mark_used(tx)?;
            user.set_password(credentials, UserStatus::Confirmed);
            users::save(tx, &user, now)?;
            flows.proceed(tx, client, user, &loaded.session.login, now)
        })
        .await
    }

    async fn protect(&self, login: &str, password: &str) -> Result<Credentials, Refusal> {
        let key = login.to_owned();
        let user = self.store.read(move |db| users::find_by_login(db, &key)).await?;
        let username = user.map_or_else(|| login.to_owned(), |user| user.username);
        Ok(self.passwords.protect(&username, password).await?)
    }

    /// Completes a sign-in with a code of the user's authenticator app. After a wrong code the session stays usable.
    pub(crate) async fn answer_app_code(
        &self,
        client: &Arc<Client>,
        session: &str,
        login: &str,
        code: &str,
    ) -> Result<Progress, Refusal> {
        let (code, now_ms) = (code.to_owned(), self.clock.unix_millis());
        self.answer(client, session, login, move |_, tx, client, loaded, now| {
            let Pending::SoftwareTokenMfa = loaded.pending else { return Err(Refusal::session_invalid()) };
            let user = loaded.user(tx)?;
            app_code(check_app_code(tx, &user, &code, None, now_ms)?)?;
            loaded.mark_used(tx)?;
            Ok(Decision::Granted(Box::new(grant_by_api(tx, client, user, now)?)))
        })
        .await
    }

    /// Runs an answer to a challenge in one transaction, after the checks that all answers have in common.
    async fn answer<F>(
        &self,
        client: &Arc<Client>,
        session: &str,
        login: &str,
        answer: F,
    ) -> Result<Progress, Refusal>
    where
        F: FnOnce(&Self, &Connection, &Client, &Loaded, i64) -> Result<Decision, Refusal> + Send + 'static,
    {
        let (flows, owner) = (self.clone(), Arc::clone(client));
        let (session, login) = (session.to_owned(), login.to_owned());
        let now = self.clock.unix_seconds();
        let decision = decide(&self.store, move |tx| {
            let loaded = load(tx, &owner.id, &session, now)?;
            loaded.require_login(tx, &login)?;
            answer(&flows, tx, &owner, &loaded, now)
        });
        self.conclude(client, decision.await?).await
    }

    /// Decides what follows the first factor: what is wrong with the account, another challenge, or tokens.
    fn proceed(
        &self,
        tx: &Connection,
        client: &Client,
        user: User,
        login: &str,
        now: i64,
    ) -> Result<Decision, Refusal> {
        if let Some(obstacle) = obstacle(&user, now) {
            return Err(refusal(obstacle));
        }
        let pending = match self.second_factor.next_step(&user) {
            Some(Step::SetPassword) => Pending::NewPasswordRequired,
            Some(Step::EnterCode) => Pending::SoftwareTokenMfa,
            Some(Step::SetUpApp) => Pending::MfaSetup { secret: None, verified: false },
            None => return Ok(Decision::Granted(Box::new(grant_by_api(tx, client, user, now)?))),
        };
        let expires_at = now + client.auth_session_seconds;
        let session = session::new(&client.id, login, Some(&user), &pending, expires_at)?;
        let session = open(tx, session, now)?;
        let user = Box::new(user);
        let challenge = match pending {
            Pending::NewPasswordRequired => Challenge::NewPasswordRequired(user),
            Pending::MfaSetup { .. } => Challenge::MfaSetup(user),
            _ => Challenge::SoftwareTokenMfa(user),
        };
        Ok(Decision::Challenge { challenge, session })
    }

    async fn conclude(&self, client: &Client, decision: Decision) -> Result<Progress, Refusal> {
        match decision {
            Decision::Challenge { challenge, session } => Ok(Progress::Challenge { challenge, session }),
            Decision::Granted(granted) => {
                let tokens = self.tokens.sign(client, *granted, self.clock.unix_seconds()).await?;
                Ok(Progress::Tokens(tokens))
            }
        }
    }
}

/// Returns a user whose password has not changed since `generation`.
fn unchanged(tx: &Connection, sub: &str, generation: i64) -> Result<Option<User>, StoreError> {
    Ok(users::find_by_sub(tx, sub)?.filter(|user| user.generation == generation))
}

fn refusal(obstacle: Obstacle) -> Refusal {
    match obstacle {
        Obstacle::Disabled => Refusal::user_disabled(),
        Obstacle::Unconfirmed => Refusal::user_not_confirmed(),
        Obstacle::ResetRequired => Refusal::password_reset_required(),
        Obstacle::TemporaryPasswordExpired => Refusal::temporary_password_expired(),
    }
}
