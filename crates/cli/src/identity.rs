//! Who signed in, as a verified ID token says. Nothing in an ID token is looked at before it is verified.

use cognito_auth::{IdToken, IdTokenError, Verifier, VerifyError};

use crate::{
    clock::Skew,
    error::Error,
    http,
    oauth::Tokens,
    profile::Profile,
    session::{Identity, Session, Token},
};

/// A person.
pub(crate) struct User {
    pub(crate) sub: String,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
}

/// Verifies the ID token of a sign-in that has just happened (OpenID Connect Core 1.0 §3.1.3.7): signature, issuer, client,
/// times, the nonce that was sent, and that it belongs to the access token.
pub(crate) async fn verify_new(profile: &Profile, tokens: &Tokens, nonce: &str) -> Result<User, Error> {
    let Some(raw) = &tokens.id_token else {
        return Err(Error::Protocol { what: format!("the user pool at {}", http::origin(&profile.domain)) });
    };
    let id_token = verify(profile, raw).await.map_err(|refusal| refused_when_new(profile, refusal))?;
    let belongs = id_token.check_nonce(nonce).and_then(|()| check_hash(&id_token, &tokens.access_token));
    belongs.map_err(|refusal| unrelated(profile, refusal))?;
    Ok(User::of(&id_token))
}

/// Verifies the ID token of a stored sign-in. Nothing if there is none, or if it has expired.
pub(crate) async fn verify_stored(profile: &Profile, session: &Session) -> Result<Option<User>, Error> {
    let (Some(raw), Some(identity)) = (&session.id_token, &session.identity) else { return Ok(None) };
    let id_token = match verify(profile, raw).await {
        Err(VerifyError::Expired { .. }) => return Ok(None),
        verified => verified.map_err(|refusal| refused(profile, refusal))?,
    };
    check_identity(&id_token, identity).map_err(|refusal| unrelated(profile, refusal))?;
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
}

async fn verify(profile: &Profile, raw: &Token) -> Result<IdToken, VerifyError> {
    let verifier = Verifier::builder(profile.pool.clone()).client_ids([&profile.client_id]).build();
    // Neither the skew nor the realm is set, and there is one pool and one client: nothing is left that could be wrong.
    let Ok(verifier) = verifier else { return Err(VerifyError::Signature) };
    verifier.verify_id(raw.expose()).await
}

/// The claim is optional in the code flow (OpenID Connect Core 1.0 §3.1.3.6); where it is there, it must be right.
fn check_hash(id_token: &IdToken, access_token: &Token) -> Result<(), IdTokenError> {
    match id_token.claim::<String>("at_hash") {
        Ok(None) => Ok(()),
        _ => id_token.check_access_token(access_token.expose()),
    }
}

/// A refreshed ID token names the same person; it need not repeat the nonce, but must not change it (OpenID Connect Core
/// 1.0 §12.2).
fn check_identity(id_token: &IdToken, identity: &Identity) -> Result<(), IdTokenError> {
    if id_token.sub() != identity.sub {
        return Err(IdTokenError::Nonce);
    }
    match id_token.claim::<String>("nonce") {
        Ok(None) => Ok(()),
        _ => id_token.check_nonce(&identity.nonce),
    }
}

/// A token that was issued a moment ago and is expired already, or not valid yet, tells of the clock.
fn refused_when_new(profile: &Profile, refusal: VerifyError) -> Error {
    Skew::of_fresh_token(&refusal).map_or_else(|| refused(profile, refusal), Error::WrongClock)
}

fn refused(profile: &Profile, source: VerifyError) -> Error {
    match (Skew::of_token(&source), &source) {
        (Some(skew), _) => Error::WrongClock(skew),
        (None, VerifyError::KeysUnavailable(_)) => Error::KeysUnreachable { source },
        (None, _) => Error::IdToken { source: source.into(), login: profile.login_command() },
    }
}

fn unrelated(profile: &Profile, source: IdTokenError) -> Error {
    Error::IdToken { source: source.into(), login: profile.login_command() }
}
