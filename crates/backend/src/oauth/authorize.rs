//! The authorization request of a client, and what Cognito gets of it.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{redirect, redirect_to, sign_in};
use crate::{
    App, Config,
    auth::checked_scopes,
    config::McpSignIn,
    extract::Query,
    problem::{FieldError, Problem},
};

pub(super) const PATH: &str = "/oauth/authorize";

/// The longest `state` of a client: it travels inside Cognito's.
const MAX_STATE_BYTES: usize = 1024; // 1 KiB

/// The query, as a client sends it. Parameters that this server does not know are ignored (RFC 6749, section 3.1).
#[derive(Debug, Deserialize)]
pub(super) struct AuthorizeQuery {
    client_id: String,
    redirect_uri: String,
    response_type: Option<String>,
    state: Option<String>,
    scope: Option<String>,
    resource: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// A request that Cognito will understand: with a scope that exists, and this resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AuthorizationRequest {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) scope: String,
    code_challenge: String,
}

/// Why a request goes no further.
pub(super) enum Rejected {
    /// The client or its URI is unknown: the user sees the error, and no URI is followed.
    Shown(Problem),
    /// The client learns of the error at its own URI.
    Sent(String),
}

/// Redirects to Cognito, whose own list of callback URLs decides where the sign-in may end.
pub(super) async fn redirect(
    State(app): State<App>,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, Problem> {
    let request = match query.check(app.config(), sign_in(&app)?) {
        Ok(request) => request,
        Err(rejected) => return rejected.into_response(),
    };
    let location = request.at_cognito(&app, &request.redirect_uri, request.state.as_deref())?;
    redirect_to(StatusCode::FOUND, &location)
}

impl Rejected {
    pub(super) fn into_response(self) -> Result<Response, Problem> {
        match self {
            Self::Shown(problem) => Ok(problem.into_response()),
            Self::Sent(location) => redirect_to(StatusCode::FOUND, &location),
        }
    }
}

impl AuthorizeQuery {
    /// Checks the request and completes it.
    pub(super) fn check(
        self,
        config: &Config,
        sign_in: &McpSignIn,
    ) -> Result<AuthorizationRequest, Rejected> {
        let shown =
            |name, detail: &str| Rejected::Shown(Problem::invalid(vec![FieldError::new(name, detail)]));
        if self.client_id != sign_in.client_id {
            return Err(shown("client_id", "must be the `client_id` of the registration"));
        }
        if !redirect::is_allowed(&self.redirect_uri, &sign_in.redirect_uris) {
            let detail = "must be http on localhost, or one that the operator allows (MCP_REDIRECT_URIS)";
            return Err(shown("redirect_uri", detail));
        }
        if self.state.as_ref().is_some_and(|state| state.len() > MAX_STATE_BYTES) {
            return Err(shown("state", "must have at most 1024 bytes"));
        }
        if self.response_type.as_deref() != Some("code") {
            return Err(self.reject(config, "unsupported_response_type", "response_type must be code"));
        }
        // Without PKCE a stolen code is enough (RFC 9700, section 2.1.1).
        let is_s256 = self.code_challenge_method.as_deref() == Some("S256");
        let challenge = self.code_challenge.as_deref().filter(|challenge| is_s256 && is_sha256(challenge));
        let Some(code_challenge) = challenge.map(str::to_owned) else {
            return Err(self.reject(
                config,
                "invalid_request",
                "code_challenge with the method S256 is required",
            ));
        };
        if !self.resource.as_deref().is_none_or(|resource| is_this_server(config, resource)) {
            return Err(self.reject(
                config,
                "invalid_target",
                "resource must be the URL of the MCP endpoint",
            ));
        }
        let Some(scope) = granted_scope(config, self.scope.as_deref()) else {
            return Err(self.reject(config, "invalid_scope", "scope names one that does not exist"));
        };
        Ok(AuthorizationRequest { redirect_uri: self.redirect_uri, state: self.state, scope, code_challenge })
    }

    fn reject(&self, config: &Config, error: &str, description: &str) -> Rejected {
        let state = self.state.as_deref().map(|state| ("state", state));
        let parameters = [("error", error), ("error_description", description), ("iss", config.resource())];
        match redirect::with_query(&self.redirect_uri, parameters.into_iter().chain(state)) {
            Some(location) => Rejected::Sent(location),
            None => Rejected::Shown(Problem::invalid(vec![FieldError::new("redirect_uri", "must be a URL")])),
        }
    }
}

impl AuthorizationRequest {
    /// The URL at Cognito. `resource` is always the identifier that is registered there, however the client wrote it.
    pub(super) fn at_cognito(
        &self,
        app: &App,
        redirect_uri: &str,
        state: Option<&str>,
    ) -> Result<String, Problem> {
        let (resource, sign_in) = (app.config().mcp_resource(), sign_in(app)?);
        let parameters = [
            ("response_type", "code"),
            ("client_id", &sign_in.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &self.scope),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ];
        let parameters = parameters.into_iter().chain(state.map(|state| ("state", state)));
        let location = redirect::with_query(&sign_in.endpoint("/oauth2/authorize"), parameters);
        location.ok_or_else(|| Problem::internal("COGNITO_DOMAIN is not a base URL"))
    }
}

/// Scopes of OpenID Connect. Clients ask for them by default, but they say nothing about what a client may do here.
const OIDC_SCOPES: [&str; 6] = ["openid", "profile", "email", "phone", "address", "offline_access"];

/// The scopes of this server that were asked for, or all if there are none: clients ask for no scope, or for those of OpenID
/// Connect, for some of which Cognito would end the sign-in with an error. `None` if another scope was asked for.
fn granted_scope(config: &Config, asked: Option<&str>) -> Option<String> {
    let known: Vec<_> = checked_scopes(config).map(|(scope, _)| scope).collect();
    if known.is_empty() {
        // A pool whose scopes are not checked has none of its own.
        return Some("openid".to_owned());
    }
    let asked = asked.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    let asked: Vec<_> = asked.filter(|scope| !OIDC_SCOPES.contains(scope)).collect();
    let granted = if asked.is_empty() { &known } else { &asked };
    granted.iter().all(|scope| known.contains(scope)).then(|| granted.join(" "))
}

/// Clients write the resource in several ways: the endpoint or its origin, with or without a slash.
fn is_this_server(config: &Config, resource: &str) -> bool {
    let resource = resource.strip_suffix('/').unwrap_or(resource);
    resource == config.resource() || resource == config.mcp_resource()
}

/// SHA-256 is 32 bytes, which base64url writes in 43 characters (RFC 7636, section 4.2).
fn is_sha256(challenge: &str) -> bool {
    challenge.len() == 43
        && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
