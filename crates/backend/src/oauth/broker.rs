//! The broker: Cognito knows this server's one callback URL, the client gets its code from here.
//!
//! What the broker must remember during a sign-in is sealed and carried by the browser. The cookie that the user's approval
//! sets is what makes a code usable: without it, the link of an attacker who approved in their own browser would send the
//! victim's code to the attacker (confused deputy).

use std::sync::Arc;

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use axum::{Extension, extract::State, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{
    authorize::AuthorizationRequest,
    cognito::Cognito,
    redirect, redirect_to,
    seal::{Purpose, Sealer},
};
use crate::{App, config::McpSignIn, extract::Query, problem::Problem};

pub(super) const CALLBACK_PATH: &str = "/oauth/callback";

/// How long a browser keeps the cookie of a sign-in.
const COOKIE_SECONDS: u32 = 10 * 60; // 10 min

/// The keys and connections of the broker.
#[derive(Clone)]
pub(super) struct Broker(Arc<Inner>);

pub(super) struct Inner {
    pub(super) sealer: Sealer,
    pub(super) cognito: Cognito,
}

impl Broker {
    /// Creates the broker, if there is a key for it.
    pub(super) fn new(sign_in: &McpSignIn) -> Option<Self> {
        let sealer = Sealer::new(sign_in.broker_key.as_ref()?)?;
        Some(Self(Arc::new(Inner { sealer, cognito: Cognito::new(sign_in) })))
    }
}

impl std::ops::Deref for Broker {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// A sign-in on its way through one browser, whose cookie must have the same secret.
#[derive(Serialize, Deserialize)]
pub(super) struct Flow {
    /// Names the cookie, so that several sign-ins can run side by side.
    id: String,
    secret: String,
    pub(super) request: AuthorizationRequest,
}

impl Flow {
    pub(super) fn start(request: AuthorizationRequest) -> Result<Self, Problem> {
        Ok(Self { id: random::<8>()?, secret: random::<16>()?, request })
    }

    /// The same sign-in with a new secret, which only the user's approval sets.
    pub(super) fn approved(self) -> Result<Self, Problem> {
        Ok(Self { secret: random::<16>()?, ..self })
    }

    /// Checks that this browser has the cookie of this sign-in.
    pub(super) fn check(&self, app: &App, headers: &HeaderMap) -> Result<(), Problem> {
        let name = self.cookie_name(app);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|value| value.split("; ")).filter_map(|pair| pair.split_once('='));
        let secret = cookies.find(|(found, _)| *found == name).map(|(_, secret)| secret);
        match secret.map(|secret| verify_slices_are_equal(secret.as_bytes(), self.secret.as_bytes())) {
            Some(Ok(())) => Ok(()),
            _ => Err(another_browser()),
        }
    }

    pub(super) fn cookie(&self, app: &App) -> Result<HeaderValue, Problem> {
        self.set_cookie(app, &self.secret, COOKIE_SECONDS)
    }

    fn removed_cookie(&self, app: &App) -> Result<HeaderValue, Problem> {
        self.set_cookie(app, "", 0)
    }

    /// `Lax`: the callback is a navigation that begins at Cognito's site.
    fn set_cookie(&self, app: &App, value: &str, seconds: u32) -> Result<HeaderValue, Problem> {
        let name = self.cookie_name(app);
        let secure = if is_https(app) { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(cookie).map_err(Problem::internal)
    }

    /// `__Host-` keeps other hosts of the same site from setting the cookie; it works over https only.
    fn cookie_name(&self, app: &App) -> String {
        let prefix = if is_https(app) { "__Host-" } else { "" };
        format!("{prefix}mcp-sign-in-{}", self.id)
    }
}

fn is_https(app: &App) -> bool {
    app.config().public_url.scheme() == "https"
}

fn random<const BYTES: usize>() -> Result<String, Problem> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| Problem::internal("no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The code for the client: Cognito's, bound to where the client got it.
#[derive(Serialize, Deserialize)]
pub(super) struct BoundCode {
    pub(super) code: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
}

/// What Cognito sends.
#[derive(Deserialize)]
pub(super) struct CallbackQuery {
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Takes Cognito's code and sends the client one of its own.
pub(super) async fn receive_code(
    State(app): State<App>,
    Extension(broker): Extension<Broker>,
    headers: HeaderMap,
    Query(query): Query<CallbackQuery>,
) -> Result<Response, Problem> {
    let flow: Flow = broker.sealer.open(Purpose::State, &query.state).ok_or_else(expired)?;
    flow.check(&app, &headers)?;
    let issuers = app.config().cognito.user_pool.issuers();
    if query.iss.is_some_and(|iss| !issuers.contains(&iss)) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "The response comes from another user pool."));
    }
    let AuthorizationRequest { redirect_uri, state, scope, .. } = &flow.request;
    let outcome = match (query.code, query.error) {
        (Some(code), None) => {
            let bound = BoundCode { code, redirect_uri: redirect_uri.clone(), scope: scope.clone() };
            let code = broker.sealer.seal(Purpose::Code, &bound);
            ("code", code.ok_or_else(|| Problem::internal("no randomness"))?)
        }
        (_, Some(error)) if error == "access_denied" => ("error", error),
        _ => ("error", "server_error".to_owned()),
    };
    let parameters = [(outcome.0, &*outcome.1), ("iss", app.config().resource())];
    let state = state.as_deref().map(|state| ("state", state));
    let location =
        redirect::with_query(redirect_uri, parameters.into_iter().chain(state)).ok_or_else(expired)?;
    let mut response = redirect_to(StatusCode::FOUND, &location)?;
    response.headers_mut().append(header::SET_COOKIE, flow.removed_cookie(&app)?);
    Ok(response)
}

pub(super) fn expired() -> Problem {
    let detail = "This sign-in has expired or was changed on the way. Start it again in the application.";
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn another_browser() -> Problem {
    let detail = "This sign-in was not approved in this browser. Start it again in the application.";
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
