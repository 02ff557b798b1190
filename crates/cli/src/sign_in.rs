//! The authorization code flow of a native application: the system's browser, a loopback redirect, PKCE (RFC 8252).

use std::time::Duration;

use oauth2::RedirectUrl;
use serde::Deserialize;
use url::Url;

use crate::{
    callback::{Callback, CallbackServer},
    error::{Error, Exit},
    http,
    identity::{self, User},
    oauth::{AuthorizationRequest, Tokens, UserPoolClient},
    output,
    profile::{Grant, Profile},
};

/// How long a user may take to sign in.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The scopes of OpenID Connect; those of the API are added.
const IDENTITY_SCOPES: &str = "openid email profile";

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_METADATA_BYTES: usize = 64 * 1024; // 64 KiB

/// A sign-in that succeeded: tokens, and the user that the verified ID token names.
pub(crate) struct SignedIn {
    pub(crate) tokens: Tokens,
    pub(crate) user: User,
    pub(crate) nonce: String,
}

/// Signs in through the hosted UI. Without `open_browser`, only prints the URL.
///
/// `keep` stores the sign-in. The page in the browser is answered after it, so that the page never promises too much.
pub(crate) async fn sign_in<T>(
    profile: &Profile,
    open_browser: bool,
    prompt: Option<&'static str>,
    keep: impl AsyncFnOnce(SignedIn) -> Result<T, Error>,
) -> Result<T, Error> {
    let Grant::AuthorizationCode { redirect_uri } = &profile.grant else {
        let hint = format!("Run `{}` and then any other command.", profile.login_command());
        return Err(Error::usage("a machine's profile signs in by itself", hint));
    };
    let pool = UserPoolClient::new(profile)?;
    let scopes = scopes(profile).await?;
    let server = CallbackServer::bind(redirect_uri.as_ref()).await?;
    let redirect_uri = server.redirect_uri();
    let request = pool.authorization_request(redirect_uri.clone(), &scopes, prompt);
    invite(&request.url, open_browser);
    let timed_out = |_| {
        let what = format!("nobody signed in within {}", output::span(LIMIT));
        Error::new(Exit::NotSignedIn, what, format!("Run `{}` again.", profile.login_command()))
    };
    let callback = server.callback(request.state.secret());
    let (callback, page) = tokio::time::timeout(LIMIT, callback).await.map_err(timed_out)?;
    let outcome = match redeem(&pool, profile, request, redirect_uri, callback).await {
        Ok(signed_in) => keep(signed_in).await,
        Err(error) => Err(error),
    };
    page.answer(outcome.is_ok()).await;
    outcome
}

/// Returns the profile's scopes, or those that the API's metadata document names (RFC 9728, sections 2 and 3.1).
async fn scopes(profile: &Profile) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Metadata {
        scopes_supported: Vec<String>,
    }
    if let Some(scopes) = &profile.scopes {
        return Ok(scopes.clone());
    }
    let api = format!("the API at {}", http::origin(&profile.api_url));
    let mut url = profile.api_url.clone();
    url.set_path(&format!("/.well-known/oauth-protected-resource{}", url.path().trim_end_matches('/')));
    let client = http::client(&url)?;
    let request = client.get(url).timeout(METADATA_TIMEOUT);
    let response = http::send(&client, request, profile.verbose)
        .await
        .and_then(|response| response.error_for_status().map_err(reqwest::Error::without_url));
    let bytes = match response {
        Ok(response) => http::bytes(response, MAX_METADATA_BYTES).await,
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| http::unreachable(&api, error))?.unwrap_or_default();
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|_| http::invalid_response(&api))?;
    Ok(format!("{IDENTITY_SCOPES} {}", metadata.scopes_supported.join(" ")).trim_end().to_owned())
}

async fn redeem(
    pool: &UserPoolClient<'_>,
    profile: &Profile,
    request: AuthorizationRequest,
    redirect_uri: RedirectUrl,
    callback: Callback,
) -> Result<SignedIn, Error> {
    let code = match callback {
        Callback::Code(code) => code,
        Callback::Rejected { error, description } => {
            return Err(pool.sign_in_rejected(&error, description.as_deref()));
        }
    };
    let tokens = pool.exchange(code, redirect_uri, request.verifier).await?;
    let id_token = tokens.id_token.as_ref().ok_or_else(|| http::invalid_response(&pool.name()))?;
    let user = identity::verify_new(profile, id_token, &tokens.access_token, &request.nonce).await?;
    Ok(SignedIn { tokens, user, nonce: request.nonce })
}

/// Opens the browser. The URL is always printed: a browser may open on another screen, or not at all.
fn invite(url: &Url, open_browser: bool) {
    let host = http::origin(url);
    if !open_browser {
        return output::note(&format!(
            "To sign in at {host}, open this URL in a browser on this machine:\n\n  {url}\n"
        ));
    }
    output::note(&format!("Opening {host} in your browser. If nothing happens, open this URL:\n\n  {url}\n"));
    if webbrowser::open(url.as_str()).is_err() {
        output::note("Cannot open a browser.");
    }
}
