//! Access tokens that are valid when they are used: one refresh at a time, and the new refresh token on the disk before the new
//! access token is used.

use std::time::{Duration, Instant};

use crate::{
    crash,
    error::{Error, Exit},
    oauth::{RefreshError, Tokens, UserPoolClient},
    output,
    profile::{Grant, Profile, TokenStore},
    session::{Identity, Session, Token, unix_seconds},
    sign_in::SignedIn,
    store::{Location, Lock, SessionStore},
};

/// How long another process may hold the lock: longer than its two attempts at the token endpoint can take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// One profile's tokens.
pub(crate) struct AccessTokens<'a> {
    profile: &'a Profile,
    store: SessionStore,
}

/// What makes a stored access token usable.
#[derive(Clone, Copy)]
enum Need<'a> {
    /// It does not expire soon.
    Fresh,
    /// It is fresh, and not the one that the API rejected.
    Other(&'a Token),
}

/// The outcome of signing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignedOut {
    /// The refresh token is revoked, and the tokens are removed.
    Revoked,
    /// There was nothing to revoke.
    NothingToRevoke,
}

impl<'a> AccessTokens<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Result<Self, Error> {
        Ok(Self { profile, store: SessionStore::new(profile)? })
    }

    /// Returns a session whose access token lasts at least a minute, refreshed if necessary.
    pub(crate) async fn current(&self) -> Result<Session, Error> {
        self.session(Need::Fresh).await
    }

    /// Returns a session with another access token than this one, which the API rejected.
    pub(crate) async fn another_than(&self, rejected: &Token) -> Result<Session, Error> {
        self.session(Need::Other(rejected)).await
    }

    /// Stores a new sign-in in place of the old one, whose refresh token is then revoked.
    pub(crate) async fn start(&self, signed_in: SignedIn) -> Result<Location, Error> {
        let identity = Identity { sub: signed_in.user.sub, nonce: signed_in.nonce };
        let session = self.session_of(signed_in.tokens, Some(identity), unix_seconds());
        let lock = self.lock().await?;
        let before = self.store.load().ok().flatten().and_then(|session| session.refresh_token);
        let location = self.store.start(&lock, &session)?;
        self.report(location);
        if let Some(before) = before {
            // It is already replaced here; one attempt to end it at the pool, too, is enough.
            let _ = UserPoolClient::new(self.profile)?.revoke(&before).await;
        }
        Ok(location)
    }

    /// Revokes the refresh token and removes all tokens, even if the revocation fails.
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
        self.store.forget(&lock)?;
        revoked.map_err(|error| {
            let what = "signed out on this machine, but cannot revoke the refresh token";
            Error::new(Exit::Unavailable, what, "It is valid until it expires.").with_source(error)
        })
    }

    /// Returns the stored session if it is usable, else renews it when it is this process's turn.
    async fn session(&self, need: Need<'_>) -> Result<Session, Error> {
        match self.store.load()? {
            Some(session) if need.is_met_by(&session) => Ok(session),
            None if !self.is_machine() => Err(self.not_signed_in()),
            _ => self.renew(&self.lock().await?, need).await,
        }
    }

    async fn lock(&self) -> Result<Lock, Error> {
        let started = Instant::now();
        loop {
            if let Some(lock) = self.store.try_lock()? {
                return Ok(lock);
            }
            if started.elapsed() > LOCK_TIMEOUT {
                let what = format!("another `items` has held the lock for {}", output::span(LOCK_TIMEOUT));
                return Err(Error::new(Exit::Local, what, "Try again."));
            }
            // Processes that were started together must not retry together.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(10..40))).await;
        }
    }

    /// Renews the session, unless another process did so before this one got the lock.
    async fn renew(&self, lock: &Lock, need: Need<'_>) -> Result<Session, Error> {
        let session = self.store.load()?;
        match session {
            Some(session) if need.is_met_by(&session) => Ok(session),
            old if self.is_machine() => self.request_token(lock, old).await,
            Some(old) => self.refresh(lock, old, need).await,
            None => Err(self.not_signed_in()),
        }
    }

    async fn refresh(&self, lock: &Lock, old: Session, need: Need<'_>) -> Result<Session, Error> {
        let Some(refresh_token) = &old.refresh_token else { return Err(self.ended(lock)) };
        let now = unix_seconds();
        crash::point("before-refresh");
        let tokens = match UserPoolClient::new(self.profile)?.refresh(refresh_token).await {
            Ok(tokens) => tokens,
            Err(RefreshError::InvalidGrant) => return Err(self.ended(lock)),
            // The last minute of the old token is better than nothing.
            Err(RefreshError::Other(_)) if need.is_almost_met_by(&old) => return Ok(old),
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

    /// A machine's access token is used until it expires: Cognito limits these requests and AWS charges for each.
    async fn request_token(&self, lock: &Lock, old: Option<Session>) -> Result<Session, Error> {
        let Grant::ClientCredentials { secret: Some(secret) } = &self.profile.grant else {
            return Err(self.not_signed_in());
        };
        let now = unix_seconds();
        let tokens = UserPoolClient::new(self.profile)?.client_credentials(secret).await?;
        let session = self.session_of(tokens, None, now);
        let location = self.store.save(lock, &session)?;
        if old.is_none() {
            self.report(location);
        }
        Ok(session)
    }

    fn session_of(&self, tokens: Tokens, identity: Option<Identity>, now: i64) -> Session {
        Session {
            issuer: self.profile.issuer(),
            client_id: self.profile.client_id.clone(),
            access_token: tokens.access_token,
            expires_at: now + tokens.expires_in,
            refresh_token: tokens.refresh_token,
            id_token: tokens.id_token,
            identity,
        }
    }

    /// Removes the tokens of a sign-in that the pool has ended.
    fn ended(&self, lock: &Lock) -> Error {
        let hint = format!("Run `{}`.", self.profile.login_command());
        match self.store.forget(lock) {
            Ok(()) => Error::new(Exit::NotSignedIn, "the sign-in has ended", hint),
            Err(error) => error,
        }
    }

    fn report(&self, location: Location) {
        if location == Location::File && self.profile.token_store != TokenStore::File {
            output::note("No keyring is available: the tokens are stored in a file that only you can read.");
        }
    }

    fn is_machine(&self) -> bool {
        matches!(self.profile.grant, Grant::ClientCredentials { .. })
    }

    fn not_signed_in(&self) -> Error {
        Error::new(Exit::NotSignedIn, "not signed in", format!("Run `{}`.", self.profile.login_command()))
    }
}

impl Need<'_> {
    fn is_met_by(self, session: &Session) -> bool {
        session.is_fresh() && self.accepts(session)
    }

    fn is_almost_met_by(self, session: &Session) -> bool {
        !session.has_expired() && self.accepts(session)
    }

    fn accepts(self, session: &Session) -> bool {
        match self {
            Self::Fresh => true,
            Self::Other(rejected) => session.access_token != *rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{profile::tests::unreachable_profile, session::tests::session};

    fn stored(expires_in: i64, profile: &Profile) -> Session {
        Session { issuer: profile.issuer(), client_id: profile.client_id.clone(), ..session(expires_in) }
    }

    /// It read the session before another process renewed it, and got the lock after that.
    #[tokio::test]
    async fn process_that_waited_for_the_lock_uses_the_new_session() {
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
        let error = tokens.renew(&lock, Need::Fresh).await.err().unwrap();
        assert!(error.is_unavailable(), "{error}");
    }

    #[test]
    fn another_token_is_needed_only_if_the_rejected_one_is_still_stored() {
        let profile = unreachable_profile();
        let (session, other) = (stored(3600, &profile), Token::from("another"));
        assert!(Need::Other(&other).is_met_by(&session));
        assert!(!Need::Other(&session.access_token).is_met_by(&session));
        assert!(!Need::Other(&other).is_met_by(&stored(30, &profile)));
    }
}
