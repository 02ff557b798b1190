//! The authorization code flow of a native application: the system's browser, a loopback redirect, PKCE (RFC 8252).

use std::time::Duration;

use url::Url;

use super::{
    Tokens, UserPoolClient,
    callback::{Callback, CallbackServer},
    pkce,
};
use crate::{
    arguments::Login,
    error::Error,
    http::{self, join},
    identity::{self, User},
    output,
};

/// How long a person may take to sign in.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// A sign-in that succeeded: tokens, and the person that the verified ID token names.
pub(crate) struct SignedIn {
    pub(crate) tokens: Tokens,
    pub(crate) user: User,
    pub(crate) nonce: String,
}

/// Signs in through the hosted UI.
///
/// The page in the browser is answered only when the outcome is known, which `keep` is a part of, so that it never says
/// more than is true.
pub(crate) async fn sign_in<T>(
    pool: &UserPoolClient<'_>,
    options: &Login,
    keep: impl AsyncFnOnce(SignedIn) -> Result<T, Error>,
) -> Result<T, Error> {
    let server = CallbackServer::bind(pool.redirect_uri()).await?;
    let request = AuthorizationRequest::new(server.redirect_uri())?;
    invite(&request.url(pool, options)?, options.no_browser);
    let timed_out =
        |_| Error::SignInTimedOut { minutes: LIMIT.as_secs() / 60, login: pool.profile.login_command() };
    let (callback, page) =
        tokio::time::timeout(LIMIT, server.callback(&request.state)).await.map_err(timed_out)?;
    let outcome = match request.redeem(pool, callback).await {
        Ok(signed_in) => keep(signed_in).await,
        Err(error) => Err(error),
    };
    page.answer(outcome.is_ok()).await;
    outcome
}

/// What ties the answer to the question.
struct AuthorizationRequest {
    redirect_uri: String,
    /// Against forged callbacks (RFC 6749 §10.12).
    state: String,
    /// Against ID tokens of another sign-in (OpenID Connect Core 1.0 §15.5.2).
    nonce: String,
    /// Against stolen codes (RFC 7636).
    verifier: String,
}

impl AuthorizationRequest {
    fn new(redirect_uri: &str) -> Result<Self, Error> {
        Ok(Self {
            redirect_uri: redirect_uri.to_owned(),
            state: pkce::random()?,
            nonce: pkce::random()?,
            verifier: pkce::random()?,
        })
    }

    fn url(&self, pool: &UserPoolClient<'_>, options: &Login) -> Result<Url, Error> {
        let profile = pool.profile;
        let mut url = join(&profile.domain, ["oauth2", "authorize"])?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &profile.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &profile.scopes)
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &pkce::challenge(&self.verifier))
            .append_pair("code_challenge_method", "S256");
        if options.reauthenticate {
            url.query_pairs_mut().append_pair("prompt", "login");
        }
        Ok(url)
    }

    async fn redeem(self, pool: &UserPoolClient<'_>, callback: Callback) -> Result<SignedIn, Error> {
        let code = match callback {
            Callback::Code(code) => code,
            Callback::Refused { error, description } => {
                let login = pool.profile.login_command();
                return Err(Error::SignInRefused { error, description, login });
            }
        };
        let tokens = pool.exchange(&code, &self.redirect_uri, &self.verifier).await?;
        let user = identity::verify_new(pool.profile, &tokens, &self.nonce).await?;
        Ok(SignedIn { tokens, user, nonce: self.nonce })
    }
}

/// Opens the browser. The URL is printed in any case: a browser may open on another screen, or not at all.
fn invite(url: &Url, no_browser: bool) {
    let host = http::origin(url);
    if no_browser {
        output::note(&format!("To sign in at {host}, open this in a browser on this machine:\n\n  {url}\n"));
        return;
    }
    output::note(&format!(
        "Opening {host} in your browser. If nothing happens, open this there:\n\n  {url}\n"
    ));
    if webbrowser::open(url.as_str()).is_err() {
        output::note("No browser could be opened.");
    }
}
