//! The authorization code flow of a native application: the system's browser, a loopback redirect, PKCE (RFC 8252).

use std::time::Duration;

use url::Url;

use crate::{
    access::AccessTokens,
    api,
    callback::{Callback, CallbackServer},
    error::{Error, Exit},
    http,
    identity::{self, User},
    oauth::{AuthorizationRequest, UserPoolClient},
    output,
    profile::{Grant, Profile},
    session::{Identity, Session},
    store::Location,
};

/// How long a user may take to sign in.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The scopes of OpenID Connect; those of the API are added.
const IDENTITY_SCOPES: &str = "openid email profile";

/// Signs in through the hosted UI and stores the tokens. Returns the user and where the tokens are.
///
/// Without `open_browser`, only prints the URL. The browser's request is answered last, so that its page shows the outcome.
pub(crate) async fn sign_in(
    profile: &Profile,
    tokens: &AccessTokens<'_>,
    open_browser: bool,
    prompt: Option<&'static str>,
) -> Result<(User, Location), Error> {
    let Grant::AuthorizationCode { redirect_uri } = &profile.grant else {
        let hint = format!("Run `{}` and then any other command.", profile.login_command());
        return Err(Error::usage("a machine's profile signs in by itself", hint));
    };
    let pool = UserPoolClient::new(profile)?;
    let scopes = match &profile.scopes {
        Some(scopes) => scopes.clone(),
        None => format!("{IDENTITY_SCOPES} {}", api::supported_scopes(profile).await?.join(" ")),
    };
    let server = CallbackServer::bind(redirect_uri.as_ref()).await?;
    let request = pool.authorization_request(server.redirect_uri.clone(), scopes.trim_end(), prompt);
    invite(&request.url, open_browser);
    let callback = tokio::time::timeout(LIMIT, server.callback(request.state.secret())).await;
    let (callback, page) = callback.map_err(|_| {
        let what = format!("the sign-in was not completed within {}", output::span(LIMIT));
        Error::new(Exit::NotSignedIn, what, format!("Run `{}` again.", profile.login_command()))
    })?;
    let outcome = match redeem(&pool, profile, request, callback).await {
        Ok((user, session)) => tokens.start(&session).await.map(|location| (user, location)),
        Err(error) => Err(error),
    };
    page.respond(outcome.is_ok()).await;
    outcome
}

async fn redeem(
    pool: &UserPoolClient<'_>,
    profile: &Profile,
    request: AuthorizationRequest,
    callback: Callback,
) -> Result<(User, Session), Error> {
    let code = match callback {
        Callback::Code(code) => code,
        Callback::Rejected { error, description } => {
            return Err(pool.sign_in_rejected(&error, description.as_ref()));
        }
    };
    let nonce = request.nonce.clone();
    let session = pool.exchange(code, request).await?;
    let user = identity::verify_new(profile, &session, &nonce).await?;
    let identity = Identity { sub: user.sub.clone(), nonce };
    Ok((user, Session { identity: Some(identity), ..session }))
}

/// Opens the browser. The URL is always printed: a browser may open on another screen, or not at all.
fn invite(url: &Url, open_browser: bool) {
    let host = http::origin(url);
    let what = if open_browser {
        format!("Opening {host} in your browser. If nothing happens, open this URL:")
    } else {
        format!("To sign in at {host}, open this URL in a browser on this machine:")
    };
    output::note(&format!("{what}\n\n  {url}\n"));
    if open_browser && webbrowser::open(url.as_str()).is_err() {
        output::note("Cannot open a browser.");
    }
}
