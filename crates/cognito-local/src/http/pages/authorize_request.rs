//! The authorization request that all pages of a sign-in carry.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::page::ErrorPage;
use crate::config::OAuthFlow;
use crate::directory::Client;
use crate::http::params::Params;
use crate::http::state::AppState;
use crate::models::Session;
use crate::redirect::Destination;
use crate::tokens::{CodeRequest, Tokens};

/// A valid authorization request. All pages of a sign-in carry it in their query.
pub(super) struct AuthorizeRequest {
    pub(super) client: Arc<Client>,
    destination: Destination,
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    resource: Option<String>,
    pub(super) prompt: Prompt,
    pub(super) login_hint: Option<String>,
    pub(super) notice: Option<Notice>,
    query: String,
}

/// The `prompt` parameter (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    Unspecified,
    None,
    Login,
    SelectAccount,
}

/// A message on one page of a sign-in about the previous page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Confirmed,
    PasswordReset,
    CodeSent,
    AppSetUp,
}

impl Notice {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::PasswordReset => "password_reset",
            Self::CodeSent => "code_sent",
            Self::AppSetUp => "app_set_up",
        }
    }

    /// Returns the message for the user.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Confirmed => "Your account is confirmed. You can sign in now.",
            Self::PasswordReset => "Your new password is set. Sign in with it.",
            Self::CodeSent => "If the account is waiting for a code, a new one is in the mailbox.",
            Self::AppSetUp => "Your authenticator app is set up. Signing in asks for its code from now on.",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Confirmed, Self::PasswordReset, Self::CodeSent, Self::AppSetUp];
        all.into_iter().find(|notice| notice.as_str() == text)
    }
}

impl Prompt {
    fn parse(prompt: &str) -> Option<Self> {
        let mut words = prompt.split(' ').filter(|word| !word.is_empty());
        words.try_fold(Self::Unspecified, |so_far, word| match (so_far, word) {
            (Self::Unspecified, "none") => Some(Self::None),
            (Self::None, _) => None,
            // Like Cognito, the pool has no consent page; signing in again is the closest to it.
            (_, "login" | "consent") => Some(Self::Login),
            (Self::Login, "select_account") => Some(Self::Login),
            (_, "select_account") => Some(Self::SelectAccount),
            _ => None,
        })
    }
}

/// An authorization request that is rejected.
pub(super) enum AuthorizeError {
    /// The client or its URL is unknown, so the error is shown to the user.
    Page(ErrorPage),
    /// The error is sent to the client, in the query of its URL.
    Redirect(String),
}

impl From<ErrorPage> for AuthorizeError {
    fn from(page: ErrorPage) -> Self {
        Self::Page(page)
    }
}

impl IntoResponse for AuthorizeError {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => page.into_response(),
            Self::Redirect(location) => found(&location),
        }
    }
}

impl AuthorizeRequest {
    fn parse(state: &AppState, query: &str) -> Result<Self, AuthorizeError> {
        let page = |detail: String| {
            AuthorizeError::Page(ErrorPage::bad_request(
                &state.urls.pool_id,
                "This sign-in link does not work",
                detail,
            ))
        };
        let params =
            Params::parse(query.as_bytes()).map_err(|error| page(format!("In its query, {error}.")))?;
        let id = params.get("client_id").ok_or_else(|| page("Its query lacks client_id.".to_owned()))?;
        let client = state
            .directory
            .client(id)
            .ok_or_else(|| page("Its client_id is not that of a client of this pool.".to_owned()))?;
        let redirect_uri =
            params.get("redirect_uri").ok_or_else(|| page("Its query lacks redirect_uri.".to_owned()))?;
        let destination = client.callback(redirect_uri).ok_or_else(|| {
            page(format!("Its redirect_uri is not a callback URL of client {}.", client.id))
        })?;
        let request = Self {
            client: Arc::clone(client),
            destination,
            scope: String::new(),
            state: params.owned("state"),
            nonce: params.owned("nonce"),
            code_challenge: params.owned("code_challenge"),
            resource: params.owned("resource"),
            prompt: Prompt::Unspecified,
            login_hint: params.owned("login_hint"),
            notice: params.get("notice").and_then(Notice::parse),
            query: query.to_owned(),
        };
        request.checked(state, &params)
    }

    /// Checks what remains. These errors are sent to the client.
    fn checked(mut self, state: &AppState, params: &Params) -> Result<Self, AuthorizeError> {
        self.check_response_type(params.get("response_type"))?;
        self.check_state()?;
        self.check_pkce(params.get("code_challenge_method"))?;
        self.check_resource(state)?;
        self.check_provider(params.get("identity_provider").or(params.get("idp_identifier")))?;
        self.scope = self.granted_scope(params.get("scope"))?;
        self.prompt = Prompt::parse(params.get("prompt").unwrap_or_default()).ok_or_else(|| {
            self.reject(
                "invalid_request",
                "prompt must be none, or some of login, select_account and consent",
            )
        })?;
        Ok(self)
    }

    fn check_response_type(&self, response_type: Option<&str>) -> Result<(), AuthorizeError> {
        match response_type {
            Some("code") if self.client.allows(OAuthFlow::Code) => Ok(()),
            Some("code" | "token") => {
                Err(self.reject("unauthorized_client", "the client must not use this response_type"))
            }
            _ => Err(self.reject("invalid_request", "response_type must be code")),
        }
    }

    /// "You can't set the value of a state parameter to a URL-encoded JSON string" (Cognito Developer Guide,
    /// "Authorize endpoint").
    fn check_state(&self) -> Result<(), AuthorizeError> {
        let json = |state: &String| serde_json::from_str::<serde_json::Map<_, _>>(state).is_ok();
        if self.state.as_ref().is_some_and(json) {
            return Err(self.reject("invalid_request", "state must not be JSON: encode it to Base64"));
        }
        Ok(())
    }

    /// RFC 7636. Cognito supports only S256; a public client must use it (RFC 9700, section 2.1.1).
    fn check_pkce(&self, method: Option<&str>) -> Result<(), AuthorizeError> {
        let problem = match (&self.code_challenge, method) {
            (None, None) if self.client.is_public() => {
                "code_challenge is missing: a public client must use PKCE"
            }
            (None, None) => return Ok(()),
            (None, Some(_)) => "code_challenge is missing",
            (Some(challenge), Some("S256")) if is_s256_challenge(challenge) => return Ok(()),
            (Some(_), Some("S256")) => "code_challenge must be 43 characters of base64url",
            (Some(_), _) => "code_challenge_method must be S256",
        };
        Err(self.reject("invalid_request", problem))
    }

    /// RFC 8707, section 2. Like Cognito, this allows https, http on localhost, and custom schemes.
    fn check_resource(&self, state: &AppState) -> Result<(), AuthorizeError> {
        let Some(resource) = &self.resource else { return Ok(()) };
        let good = Url::parse(resource).is_ok_and(|url| {
            url.fragment().is_none()
                && (url.scheme() != "http"
                    || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")))
        });
        if !good {
            return Err(self.reject("invalid_target", "resource must be an absolute https URL"));
        }
        if !state.directory.has_resource(resource) {
            return Err(self.reject("invalid_grant", "resource is not the identifier of a resource server"));
        }
        Ok(())
    }

    fn check_provider(&self, provider: Option<&str>) -> Result<(), AuthorizeError> {
        match provider {
            None | Some("COGNITO") => Ok(()),
            Some(_) => {
                Err(self.reject("invalid_request", "the only identity provider of this pool is COGNITO"))
            }
        }
    }

    fn granted_scope(&self, asked: Option<&str>) -> Result<String, AuthorizeError> {
        let allowed = self.client.scopes();
        let Some(asked) = asked else { return Ok(allowed.join(" ")) };
        let mut scopes: Vec<&str> = Vec::new();
        for scope in asked.split(' ').filter(|scope| !scope.is_empty()) {
            if !allowed.iter().any(|allowed| allowed == scope) {
                return Err(self.reject("invalid_scope", "a scope is not allowed for this client"));
            }
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if scopes.is_empty() {
            return Err(self.reject("invalid_scope", "scope is empty"));
        }
        let about_user = scopes.iter().any(|scope| matches!(*scope, "email" | "phone" | "profile"));
        if about_user && !scopes.contains(&"openid") {
            return Err(self.reject("invalid_scope", "email, phone and profile need openid"));
        }
        Ok(scopes.join(" "))
    }

    /// Redirects to the client's own URL with an error.
    pub(super) fn reject(&self, error: &str, description: &str) -> AuthorizeError {
        AuthorizeError::Redirect(self.redirect_with(&[("error", error), ("error_description", description)]))
    }

    pub(super) fn failure(&self, cause: impl std::error::Error + 'static) -> AuthorizeError {
        tracing::error!(error = &cause as &dyn std::error::Error, "sign-in failed");
        self.reject("server_error", "internal error; see the log of the pool")
    }

    /// Redirects to the client's own URL with a code.
    pub(super) async fn send_code(
        &self,
        tokens: &Tokens,
        session: &Session,
    ) -> Result<Response, AuthorizeError> {
        let request = CodeRequest {
            client: &self.client,
            redirect_uri: self.destination.as_str(),
            scope: &self.scope,
            resource: self.resource.as_deref(),
            nonce: self.nonce.as_deref(),
            code_challenge: self.code_challenge.as_deref(),
        };
        let code = tokens.issue_code(request, session).await.map_err(|e| self.failure(e))?;
        Ok(found(&self.redirect_with(&[("code", &code)])))
    }

    fn redirect_with(&self, parameters: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        self.destination.with_query(parameters.iter().copied().chain(state))
    }

    /// Returns the link to another page of the same sign-in.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{path}?{}", self.query)
    }

    /// Returns the link to another page of the same sign-in, with some parameters changed. A notice is for one page only.
    pub(super) fn link_with(&self, path: &str, changes: &[(&str, &str)]) -> String {
        let kept = url::form_urlencoded::parse(self.query.as_bytes())
            .filter(|(name, _)| name != "notice" && !changes.iter().any(|(changed, _)| changed == name));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .extend_pairs(changes)
            .finish();
        format!("{path}?{query}")
    }

    /// Returns the source for `form-action` in the Content-Security-Policy: browsers apply it to the redirects of a
    /// form too.
    pub(super) fn form_target(&self) -> String {
        self.destination.csp_source()
    }
}

fn is_s256_challenge(challenge: &str) -> bool {
    // SHA-256 is 32 bytes, which base64url writes in 43 characters.
    challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Redirects with 302, as Cognito does, also after forms.
pub(super) fn found(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}

impl FromRequestParts<AppState> for AuthorizeRequest {
    type Rejection = AuthorizeError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AuthorizeError> {
        Self::parse(state, parts.uri.query().unwrap_or_default())
    }
}
