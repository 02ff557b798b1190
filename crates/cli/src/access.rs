//! Access tokens that are valid when they are used.
//!
//! One process refreshes at a time, and stores the new refresh token before the new access token is used.

use crate::{
    crash,
    error::{Error, Exit},
    oauth::UserPoolClient,
    output,
    profile::{Grant, Profile, TokenStore},
    session::{Session, Token},
    store::{Location, Lock, SessionStore},
};

/// One profile's tokens.
pub(crate) struct AccessTokens<'a> {
    profile: &'a Profile,
    store: SessionStore<'a>,
}

impl<'a> AccessTokens<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Result<Self, Error> {
        Ok(Self { profile, store: SessionStore::new(profile)? })
    }

    /// Returns a session whose access token lasts at least a minute, refreshed if necessary.
    pub(crate) async fn current(&self) -> Result<Session, Error> {
        self.session(None).await
    }

    /// Returns a session with another access token than this one, which the API rejected.
    pub(crate) async fn another_than(&self, rejected: &Token) -> Result<Session, Error> {
        self.session(Some(rejected)).await
    }

    /// Stores a new sign-in in place of the old one, whose refresh token is then revoked.
    pub(crate) async fn start(&self, session: &Session) -> Result<Location, Error> {
        let lock = self.store.lock().await?;
        let before = self.store.load().ok().flatten().and_then(|session| session.refresh_token);
        let location = self.store.start(&lock, session)?;
        self.report(location);
        if let Some(before) = before {
            // The old sign-in is already replaced here; one attempt to end it at the pool, too, is enough.
            let _ = UserPoolClient::new(self.profile)?.revoke(&before).await;
        }
        Ok(location)
    }

    /// Revokes the refresh token and removes all tokens, even if the revocation fails. Returns whether there was a refresh
    /// token.
    pub(crate) async fn end(&self) -> Result<bool, Error> {
        let lock = self.store.lock().await?;
        let session = self.store.load();
        crash::point("before-revoke");
        let revoked = match session {
            Ok(Some(Session { refresh_token: Some(token), .. })) => {
                UserPoolClient::new(self.profile)?.revoke(&token).await.map(|()| true)
            }
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        };
        crash::point("before-forget");
        self.store.forget(&lock)?;
        revoked.map_err(|error| {
            let what = "signed out on this machine, but cannot revoke the refresh token";
            Error::new(Exit::Unavailable, what, "It is valid until it expires.").with_source(error)
        })
    }

    async fn session(&self, rejected: Option<&Token>) -> Result<Session, Error> {
        let is_usable = |session: &Session| session.is_fresh() && rejected != Some(&session.access_token);
        if let Some(session) = self.store.load()?.filter(is_usable) {
            return Ok(session);
        }
        let lock = self.store.lock().await?;
        // Another process may have renewed the session before this one got the lock.
        match (self.store.load()?, &self.profile.grant) {
            (Some(session), _) if is_usable(&session) => Ok(session),
            (old, Grant::ClientCredentials { .. }) => self.request_token(&lock, old.is_none()).await,
            (Some(old), Grant::AuthorizationCode { .. }) => self.refresh(&lock, old, rejected).await,
            (None, Grant::AuthorizationCode { .. }) => Err(self.sign_in_needed("not signed in")),
        }
    }

    async fn refresh(&self, lock: &Lock, old: Session, rejected: Option<&Token>) -> Result<Session, Error> {
        crash::point("before-refresh");
        let renewed = match UserPoolClient::new(self.profile)?.refresh(&old).await {
            // The old token can still be used in its last minute.
            Err(_) if old.expires_in() > 0 && rejected != Some(&old.access_token) => return Ok(old),
            renewed => renewed?,
        };
        crash::point("after-refresh");
        let Some(session) = renewed else {
            self.store.forget(lock)?;
            return Err(self.sign_in_needed("the sign-in has ended"));
        };
        self.store.save(lock, &session)?;
        crash::point("before-use");
        Ok(session)
    }

    /// A machine's access token is used until it expires: Cognito limits these requests and AWS charges for each.
    async fn request_token(&self, lock: &Lock, is_first: bool) -> Result<Session, Error> {
        let Grant::ClientCredentials { secret: Some(secret) } = &self.profile.grant else {
            return Err(self.sign_in_needed("not signed in"));
        };
        let session = UserPoolClient::new(self.profile)?.client_credentials(secret).await?;
        let location = self.store.save(lock, &session)?;
        if is_first {
            self.report(location);
        }
        Ok(session)
    }

    fn report(&self, location: Location) {
        if location == Location::File && self.profile.token_store != TokenStore::File {
            output::note("No keyring is available: the tokens are stored in a file that only you can read.");
        }
    }

    fn sign_in_needed(&self, what: &str) -> Error {
        Error::new(Exit::NotSignedIn, what, format!("Run `{}`.", self.profile.login_command()))
    }
}
