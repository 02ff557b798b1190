//! The signed-in user, from a verified ID token. Nothing in an ID token is used before it is verified.

use cognito_auth::{IdToken, Verifier, VerifyError};

use crate::{
    error::{Error, Exit},
    output,
    profile::Profile,
    session::{Session, Token},
};

/// A user.
pub(crate) struct User {
    pub(crate) sub: String,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
}

/// Verifies the ID token of a new sign-in (OpenID Connect Core 1.0, section 3.1.3.7): signature, issuer, client, times, the
/// nonce that was sent, and that it belongs to the access token.
pub(crate) async fn verify_new(profile: &Profile, session: &Session, nonce: &str) -> Result<User, Error> {
    let raw = session.id_token.as_ref().ok_or_else(|| invalid(profile, "the user pool sent none"))?;
    let id_token = verify(profile, raw).await?.ok_or_else(|| invalid(profile, "it has expired"))?;
    if id_token.check_nonce(nonce).is_err() {
        return Err(invalid(profile, "its nonce is not the one of this sign-in"));
    }
    // The claim is optional in the code flow (section 3.1.3.6); if it is there, it must be right.
    let has_hash = !matches!(id_token.claim::<String>("at_hash"), Ok(None));
    if has_hash && id_token.check_access_token(session.access_token.expose()).is_err() {
        return Err(invalid(profile, "it does not belong to the access token"));
    }
    Ok(User::of(&id_token))
}

/// Verifies the ID token of a stored sign-in. Returns nothing if there is none, or if it has expired.
///
/// After a refresh, it must name the same user. It need not repeat the nonce, but must not change it (section 12.2).
pub(crate) async fn verify_stored(profile: &Profile, session: &Session) -> Result<Option<User>, Error> {
    let (Some(raw), Some(identity)) = (&session.id_token, &session.identity) else { return Ok(None) };
    let Some(id_token) = verify(profile, raw).await? else { return Ok(None) };
    if id_token.sub() != identity.sub {
        return Err(invalid(profile, "it names another user than the one who signed in"));
    }
    let has_nonce = !matches!(id_token.claim::<String>("nonce"), Ok(None));
    if has_nonce && id_token.check_nonce(&identity.nonce).is_err() {
        return Err(invalid(profile, "its nonce is not the one of this sign-in"));
    }
    Ok(Some(User::of(&id_token)))
}

impl User {
    fn of(id_token: &IdToken) -> Self {
        Self {
            sub: id_token.sub().to_owned(),
            username: id_token.username().map(str::to_owned),
            email: id_token.claim("email").ok().flatten(),
        }
    }

    /// Returns the best name to show.
    pub(crate) fn name(&self) -> String {
        output::plain(self.username.as_deref().or(self.email.as_deref()).unwrap_or(&self.sub))
    }
}

/// Returns nothing if the token has expired.
async fn verify(profile: &Profile, raw: &Token) -> Result<Option<IdToken>, Error> {
    let verifier = Verifier::builder(profile.pool.clone()).client_ids([&profile.client_id]).build();
    let verifier = verifier.map_err(|error| {
        Error::usage("cannot verify ID tokens with this profile", "Fix the profile.").with_source(error)
    })?;
    match verifier.verify_id(raw.expose()).await {
        Ok(id_token) => Ok(Some(id_token)),
        Err(VerifyError::Expired { .. }) => Ok(None),
        Err(VerifyError::NotYetValid { ahead, .. }) => {
            let what = format!("this machine's clock is {} behind the user pool's", output::span(ahead));
            Err(Error::new(Exit::Local, what, "Set the clock and try again."))
        }
        Err(error @ VerifyError::KeysUnavailable(_)) => {
            let what = "cannot fetch the keys of the user pool";
            let hint = "Check your network and `items config`.";
            Err(Error::new(Exit::Unavailable, what, hint).with_source(error))
        }
        Err(error) => Err(invalid(profile, error)),
    }
}

fn invalid(profile: &Profile, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let hint = format!("Run `{}`.", profile.login_command());
    Error::new(Exit::Local, "the ID token is not valid", hint).with_source(cause)
}
