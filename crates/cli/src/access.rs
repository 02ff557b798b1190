//! Access tokens that are valid when they are used: one refresh at a time, and the new refresh token on the disk before the
//! new access token is seen by anyone.

use std::time::{Duration, Instant};

use crate::{
    clock, crash,
    error::Error,
    oauth::{RefreshError, SignedIn, Tokens, UserPoolClient},
    output,
    profile::{Grant, Profile},
    session::{Identity, Lock, Protection, Session, SessionStore, Token},
};

/// How long another process may hold the lock: longer than its two attempts at the token endpoint can take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a waiting process looks whether another has done its work.
const POLL: Duration = Duration::from_millis(25);

/// One profile's tokens.
pub(crate) struct AccessTokens<'a> {
    profile: &'a Profile,
    store: SessionStore,
}

/// What a session must be for its access token to be used.
#[derive(Clone, Copy)]
enum Need<'a> {
    /// It lasts a while.
    Fresh,
    /// It is fresh, and another than the one that the API refused.
    Other(&'a Token),
}

/// How a sign-out went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedOut {
    /// The refresh token is revoked, and everything is forgotten.
    Revoked,
    /// There was nothing to revoke.
    NothingToRevoke,
}

impl<'a> AccessTokens<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Result<Self, Error> {
        Ok(Self { profile, store: SessionStore::new(profile)? })
    }

    /// A session whose access token lasts at least a minute, refreshed if need be.
    pub(crate) async fn current(&self) -> Result<Session, Error> {
        self.session(Need::Fresh).await
    }

    /// A session with another access token than this one, which the API refused.
    pub(crate) async fn another_than(&self, refused: &Token) -> Result<Session, Error> {
        self.session(Need::Other(refused)).await
    }

    /// Keeps a new sign-in in place of the old one, whose refresh token is then revoked.
    pub(crate) async fn start(&self, signed_in: SignedIn) -> Result<Protection, Error> {
        let identity = Identity { sub: signed_in.user.sub, nonce: signed_in.nonce };
        let session = self.session_of(signed_in.tokens, Some(identity), clock::unix_seconds());
        let lock = self.lock().await?;
        let before = self.store.load().ok().flatten().and_then(|session| session.refresh_token);
        let protection = self.store.start(&lock, &session)?;
        self.tell_where(protection);
        if let Some(before) = before {
            // It is replaced here already; that it also ends at the pool is worth one attempt.
            let _ = UserPoolClient::new(self.profile)?.revoke(&before).await;
        }
        Ok(protection)
    }

    /// Revokes the refresh token and forgets everything; forgets also what could not be revoked.
    pub(crate) async fn end(&self) -> Result<SignedOut, Error> {
        let lock = self.lock().await?;
        let session = self.store.load();
        crash::point("before-revoke");
        let revoked = match session {
            Ok(Some(Session { refresh_token: Some(token), .. })) => {
                UserPoolClient::new(self.profile)?.revoke(&token).await.map(|()| SignedOut::Revoked)
            }
            Ok(_) => Ok(SignedOut::NothingToRevoke),
            Err(error) => Err(error),
        };
        crash::point("before-forget");
        self.store.forget_everything(&lock)?;
        revoked.map_err(|source| Error::NotRevoked { source: Box::new(source) })
    }

    /// Waits until the stored session will do, or until it is this process' turn to renew it. While others renew, their
    /// result is used as soon as it is there, without the lock.
    async fn session(&self, need: Need<'_>) -> Result<Session, Error> {
        let started = Instant::now();
        loop {
            match self.store.load()? {
                Some(session) if need.is_met_by(&session) => return Ok(session),
                None if !self.is_machine() => return Err(self.not_signed_in()),
                _ => {}
            }
            if let Some(lock) = self.store.try_lock()? {
                return self.renew(&lock, need).await;
            }
            pause(started).await?;
        }
    }

    async fn lock(&self) -> Result<Lock, Error> {
        let started = Instant::now();
        loop {
            if let Some(lock) = self.store.try_lock()? {
                return Ok(lock);
            }
            pause(started).await?;
        }
    }

    /// Renews the session, unless another process did so before this one got the lock.
    async fn renew(&self, lock: &Lock, need: Need<'_>) -> Result<Session, Error> {
        let session = self.store.load()?;
        match session {
            Some(session) if need.is_met_by(&session) => Ok(session),
            old if self.is_machine() => self.request_anew(lock, old).await,
            Some(old) => self.refresh(lock, old, need).await,
            None => Err(self.not_signed_in()),
        }
    }

    async fn refresh(&self, lock: &Lock, old: Session, need: Need<'_>) -> Result<Session, Error> {
        let Some(refresh_token) = &old.refresh_token else { return Err(self.ended(lock)) };
        let now = clock::unix_seconds();
        crash::point("before-refresh");
        let tokens = match UserPoolClient::new(self.profile)?.refresh(refresh_token).await {
            Ok(tokens) => tokens,
            Err(RefreshError::InvalidGrant) => return Err(self.ended(lock)),
            // The last minute of the old token is better than nothing.
            Err(RefreshError::Other(_)) if need.is_fresh_enough(&old) => return Ok(old),
            Err(RefreshError::Other(error)) => return Err(error),
        };
        crash::point("after-refresh");
        let renewed = self.session_of(tokens, old.identity, now);
        let session = Session {
            refresh_token: renewed.refresh_token.or(old.refresh_token),
            id_token: renewed.id_token.or(old.id_token),
            ..renewed
        };
        self.store.save(lock, &session)?;
        crash::point("before-use");
        Ok(session)
    }

    /// A machine's access token is kept until it expires: Cognito limits these requests and AWS charges for each.
    async fn request_anew(&self, lock: &Lock, old: Option<Session>) -> Result<Session, Error> {
        let Grant::ClientCredentials { secret: Some(secret) } = &self.profile.grant else {
            return Err(self.not_signed_in());
        };
        let now = clock::unix_seconds();
        let tokens = UserPoolClient::new(self.profile)?.client_credentials(secret).await?;
        let session = self.session_of(tokens, None, now);
        let protection = self.store.save(lock, &session)?;
        if old.is_none() {
            self.tell_where(protection);
        }
        Ok(session)
    }

    fn session_of(&self, tokens: Tokens, identity: Option<Identity>, now: i64) -> Session {
        Session {
            issuer: self.profile.issuer(),
            client_id: self.profile.client_id.clone(),
            access_token: tokens.access_token,
            received_at: now,
            expires_at: now + tokens.expires_in,
            refresh_token: tokens.refresh_token,
            id_token: tokens.id_token,
            identity,
        }
    }

    /// Forgets a sign-in that the pool has ended.
    fn ended(&self, lock: &Lock) -> Error {
        match self.store.forget(lock) {
            Ok(()) => Error::SignInEnded { login: self.profile.login_command() },
            Err(error) => error,
        }
    }

    fn tell_where(&self, protection: Protection) {
        if protection == Protection::File && self.profile.token_store != crate::profile::TokenStore::File {
            output::note("There is no keyring here: the tokens are kept in a file that only you can read.");
        }
    }

    fn is_machine(&self) -> bool {
        matches!(self.profile.grant, Grant::ClientCredentials { .. })
    }

    fn not_signed_in(&self) -> Error {
        Error::NotSignedIn { login: self.profile.login_command() }
    }
}

impl Need<'_> {
    fn is_met_by(self, session: &Session) -> bool {
        session.is_fresh() && self.accepts(session)
    }

    fn is_fresh_enough(self, session: &Session) -> bool {
        session.has_not_expired() && self.accepts(session)
    }

    fn accepts(self, session: &Session) -> bool {
        match self {
            Self::Fresh => true,
            Self::Other(refused) => session.access_token != *refused,
        }
    }
}

/// Waits a little, and not for ever. Processes that were started together do not look together.
async fn pause(started: Instant) -> Result<(), Error> {
    if started.elapsed() > LOCK_TIMEOUT {
        return Err(Error::LockTimeout { seconds: LOCK_TIMEOUT.as_secs() });
    }
    let jitter = Duration::from_millis(u64::from(std::process::id() % 25));
    tokio::time::sleep(POLL + jitter).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{profile::tests::unreachable_profile, session::tests::session};

    fn stored(expires_in: i64, profile: &Profile) -> Session {
        Session { issuer: profile.issuer(), client_id: profile.client_id.clone(), ..session(expires_in) }
    }

    /// It looked before another process had renewed the session, and got the lock after that.
    #[tokio::test]
    async fn whoever_gets_the_lock_next_uses_what_is_there_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let profile = unreachable_profile();
        let store = SessionStore::in_folder(folder.path().to_owned(), &profile);
        let tokens = AccessTokens { profile: &profile, store };
        let lock = tokens.store.try_lock().unwrap().unwrap();
        // A refresh would end a sign-in that has nothing to refresh with.
        let renewed = Session { refresh_token: None, ..stored(3600, &profile) };
        tokens.store.save(&lock, &renewed).unwrap();
        assert!(tokens.renew(&lock, Need::Fresh).await.is_ok());
        tokens.store.save(&lock, &stored(0, &profile)).unwrap();
        assert!(matches!(tokens.renew(&lock, Need::Fresh).await, Err(Error::Unreachable { .. })));
    }

    #[test]
    fn another_token_is_needed_only_if_the_refused_one_is_still_stored() {
        let profile = unreachable_profile();
        let (session, other) = (stored(3600, &profile), Token::from("another".to_owned()));
        assert!(Need::Other(&other).is_met_by(&session));
        assert!(!Need::Other(&session.access_token).is_met_by(&session));
        assert!(!Need::Other(&other).is_met_by(&stored(30, &profile)));
    }
}
