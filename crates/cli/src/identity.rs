//! The signed-in user, from a verified ID token. Nothing in an ID token is used before it is verified.

use cognito_auth::{BuildError, IdToken, Verifier, VerifyError};

use crate::{
    error::{Error, Exit},
    output,
    profile::Profile,
    session::{Identity, Session, Token},
};

/// A user.
pub(crate) struct User {
    pub(crate) sub: String,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
}

/// Why a verified ID token is not the one expected.
#[derive(Debug, thiserror::Error)]
enum Mismatch {
    #[error("it names another user than the one who signed in")]
    Subject,
    #[error("its nonce is not the one of this sign-in")]
    Nonce,
    #[error("it does not belong to the access token")]
    AccessToken,
}

/// Verifies the ID token of a new sign-in (OpenID Connect Core 1.0, section 3.1.3.7): signature, issuer, client, times, the
/// nonce that was sent, and that it belongs to the access token.
pub(crate) async fn verify_new(
    profile: &Profile,
    id_token: &Token,
    access_token: &Token,
    nonce: &str,
) -> Result<User, Error> {
    let id_token = verify(profile, id_token).await?.map_err(|error| rejected(profile, error))?;
    if id_token.check_nonce(nonce).is_err() {
        return Err(mismatch(profile, Mismatch::Nonce));
    }
    // The claim is optional in the code flow (section 3.1.3.6); if it is there, it must be right.
    let has_hash = !matches!(id_token.claim::<String>("at_hash"), Ok(None));
    if has_hash && id_token.check_access_token(access_token.expose()).is_err() {
        return Err(mismatch(profile, Mismatch::AccessToken));
    }
    Ok(User::of(&id_token))
}

/// Verifies the ID token of a stored sign-in. Returns nothing if there is none, or if it has expired.
pub(crate) async fn verify_stored(profile: &Profile, session: &Session) -> Result<Option<User>, Error> {
    let (Some(raw), Some(identity)) = (&session.id_token, &session.identity) else { return Ok(None) };
    let id_token = match verify(profile, raw).await? {
        Err(VerifyError::Expired { .. }) => return Ok(None),
        verified => verified.map_err(|error| rejected(profile, error))?,
    };
    check_identity(&id_token, identity).map_err(|error| mismatch(profile, error))?;
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

/// The outer error is the profile's fault, the inner one the token's.
async fn verify(profile: &Profile, raw: &Token) -> Result<Result<IdToken, VerifyError>, Error> {
    let verifier = Verifier::builder(profile.pool.clone()).client_ids([&profile.client_id]).build();
    let verifier = verifier.map_err(invalid_profile)?;
    Ok(verifier.verify_id(raw.expose()).await)
}

fn invalid_profile(error: BuildError) -> Error {
    Error::usage("cannot verify ID tokens with this profile", "Fix the profile.").with_source(error)
}

/// A refreshed ID token names the same user; it need not repeat the nonce, but must not change it (OpenID Connect Core 1.0,
/// section 12.2).
fn check_identity(id_token: &IdToken, identity: &Identity) -> Result<(), Mismatch> {
    if id_token.sub() != identity.sub {
        return Err(Mismatch::Subject);
    }
    match id_token.claim::<String>("nonce") {
        Ok(None) => Ok(()),
        _ => id_token.check_nonce(&identity.nonce).map_err(|_| Mismatch::Nonce),
    }
}

fn rejected(profile: &Profile, error: VerifyError) -> Error {
    match error {
        VerifyError::KeysUnavailable(_) => {
            let what = "cannot fetch the keys of the user pool";
            Error::new(Exit::Unavailable, what, "Check your network and `items config`.").with_source(error)
        }
        VerifyError::NotYetValid { ahead, .. } => {
            let what = format!("this machine's clock is {} behind the user pool's", output::span(ahead));
            Error::new(Exit::Local, what, "Set the clock and try again.")
        }
        _ => untrusted(profile).with_source(error),
    }
}

fn mismatch(profile: &Profile, error: Mismatch) -> Error {
    untrusted(profile).with_source(error)
}

fn untrusted(profile: &Profile) -> Error {
    Error::new(Exit::Local, "the ID token is not valid", format!("Run `{}`.", profile.login_command()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::unreachable_profile;

    #[test]
    fn failure_of_the_builder_is_not_reported_as_a_wrong_signature() {
        let error = Verifier::builder(unreachable_profile().pool).build().map(drop).map_err(invalid_profile);
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with("cannot verify ID tokens with this profile: "), "{message}");
    }
}
