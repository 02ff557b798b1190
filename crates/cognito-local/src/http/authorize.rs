//! `GET /oauth2/authorize`, and the request that all pages of a sign-in carry along in their query.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::browser::Browser;
use super::page::ErrorPage;
use super::params::Params;
use crate::config::OAuthFlow;
use crate::directory::Client;
use crate::grant::CodeRequest;
use crate::pool::LocalPool;
use crate::redirect::Destination;
use crate::store::sessions::Session;

/// Sends the browser back with a code when it is signed in, and otherwise to the sign-in page.
pub(super) async fn authorize(
    State(pool): State<LocalPool>,
    browser: Browser,
    request: AuthorizeRequest,
) -> Result<Response, Refusal> {
    let session = browser.session(&pool).await.map_err(|e| request.failure(e))?;
    match (request.prompt, session) {
        (Prompt::Unspecified | Prompt::None, Some(session)) => request.send_code(&pool, &session).await,
        (Prompt::None, None) => Err(request.refusal("login_required", "nobody is signed in")),
        _ => Ok(found(&request.link("/login"))),
    }
}

/// A valid request for a code.
pub(crate) struct AuthorizeRequest {
    pub(crate) client: Arc<Client>,
    destination: Destination,
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    resource: Option<String>,
    pub(crate) prompt: Prompt,
    pub(crate) login_hint: Option<String>,
    pub(crate) notice: Option<Notice>,
    query: String,
}

/// OpenID Connect Core 1.0 §3.1.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Unspecified,
    None,
    Login,
    SelectAccount,
}

/// What a page of a sign-in tells of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Confirmed,
    PasswordReset,
    CodeSent,
    AppSetUp,
}

impl Notice {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::PasswordReset => "password_reset",
            Self::CodeSent => "code_sent",
            Self::AppSetUp => "app_set_up",
        }
    }

    /// What the visitor reads.
    pub(crate) const fn text(self) -> &'static str {
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
            // Nobody is asked for consent in this pool, nor in Cognito's; to sign in again is the nearest to it.
            (_, "login" | "consent") => Some(Self::Login),
            (Self::Login, "select_account") => Some(Self::Login),
            (_, "select_account") => Some(Self::SelectAccount),
            _ => None,
        })
    }
}

/// Why a request is not answered with a code.
pub(crate) enum Refusal {
    /// The client or its URL is not known, so that nobody can be told but the person in front of the browser.
    Page(ErrorPage),
    /// The client is told, in the query of its own URL.
    Redirect(String),
}

impl From<ErrorPage> for Refusal {
    fn from(page: ErrorPage) -> Self {
        Self::Page(page)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => page.into_response(),
            Self::Redirect(location) => found(&location),
        }
    }
}

impl AuthorizeRequest {
    fn parse(pool: &LocalPool, query: &str) -> Result<Self, Refusal> {
        let page = |detail: String| {
            Refusal::Page(ErrorPage::bad_request(pool, "This sign-in link does not work", detail))
        };
        let params =
            Params::parse(query.as_bytes()).map_err(|error| page(format!("In its query, {error}.")))?;
        let id = params.get("client_id").ok_or_else(|| page("Its query lacks client_id.".to_owned()))?;
        let client = pool
            .directory()
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
        request.checked(&params)
    }

    /// From here on, the client can be told what is wrong.
    fn checked(mut self, params: &Params) -> Result<Self, Refusal> {
        self.check_response_type(params.get("response_type"))?;
        self.check_state()?;
        self.check_pkce(params.get("code_challenge_method"))?;
        self.check_resource()?;
        self.check_provider(params.get("identity_provider").or(params.get("idp_identifier")))?;
        self.scope = self.granted_scope(params.get("scope"))?;
        self.prompt = Prompt::parse(params.get("prompt").unwrap_or_default()).ok_or_else(|| {
            self.refusal(
                "invalid_request",
                "prompt must be none, or some of login, select_account and consent",
            )
        })?;
        Ok(self)
    }

    fn check_response_type(&self, response_type: Option<&str>) -> Result<(), Refusal> {
        match response_type {
            Some("code") if self.client.allows(OAuthFlow::Code) => Ok(()),
            Some("code" | "token") => {
                Err(self.refusal("unauthorized_client", "the client may not use this response_type"))
            }
            _ => Err(self.refusal("invalid_request", "response_type must be code")),
        }
    }

    /// "You can't set the value of a state parameter to a URL-encoded JSON string" (Cognito Developer Guide,
    /// "Authorize endpoint"): refused here too, so that it is found before it meets Cognito.
    fn check_state(&self) -> Result<(), Refusal> {
        let json = |state: &String| serde_json::from_str::<serde_json::Map<_, _>>(state).is_ok();
        if self.state.as_ref().is_some_and(json) {
            return Err(self.refusal("invalid_request", "state must not be JSON: encode it to Base64"));
        }
        Ok(())
    }

    /// RFC 7636. Cognito knows S256 alone; a public client must use it (RFC 9700 §2.1.1).
    fn check_pkce(&self, method: Option<&str>) -> Result<(), Refusal> {
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
        Err(self.refusal("invalid_request", problem))
    }

    /// RFC 8707 §2, and where Cognito allows it to point: https, http on localhost, or a scheme of one's own.
    fn check_resource(&self) -> Result<(), Refusal> {
        let Some(resource) = &self.resource else { return Ok(()) };
        let good = Url::parse(resource).is_ok_and(|url| {
            url.fragment().is_none()
                && (url.scheme() != "http"
                    || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")))
        });
        if good {
            Ok(())
        } else {
            Err(self.refusal("invalid_target", "resource must be an absolute https URL"))
        }
    }

    fn check_provider(&self, provider: Option<&str>) -> Result<(), Refusal> {
        match provider {
            None | Some("COGNITO") => Ok(()),
            Some(_) => Err(self.refusal("invalid_request", "this pool has no identity provider but COGNITO")),
        }
    }

    fn granted_scope(&self, asked: Option<&str>) -> Result<String, Refusal> {
        let allowed = self.client.scopes();
        let Some(asked) = asked else { return Ok(allowed.join(" ")) };
        let mut scopes: Vec<&str> = Vec::new();
        for scope in asked.split(' ').filter(|scope| !scope.is_empty()) {
            if !allowed.iter().any(|allowed| allowed == scope) {
                return Err(self.refusal("invalid_scope", "a scope is not allowed for this client"));
            }
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if scopes.is_empty() {
            return Err(self.refusal("invalid_scope", "scope is empty"));
        }
        let about_user = scopes.iter().any(|scope| matches!(*scope, "email" | "phone" | "profile"));
        if about_user && !scopes.contains(&"openid") {
            return Err(self.refusal("invalid_scope", "email, phone and profile need openid"));
        }
        Ok(scopes.join(" "))
    }

    /// Redirects to the client's own URL with an error.
    pub(crate) fn refusal(&self, error: &str, description: &str) -> Refusal {
        Refusal::Redirect(self.redirect_with(&[("error", error), ("error_description", description)]))
    }

    pub(crate) fn failure(&self, cause: impl std::error::Error + 'static) -> Refusal {
        tracing::error!(error = &cause as &dyn std::error::Error, "a sign-in failed");
        self.refusal("server_error", "the pool failed; its log says why")
    }

    /// Redirects to the client's own URL with a code.
    pub(crate) async fn send_code(&self, pool: &LocalPool, session: &Session) -> Result<Response, Refusal> {
        let request = CodeRequest {
            client: &self.client,
            redirect_uri: self.destination.as_str(),
            scope: &self.scope,
            resource: self.resource.as_deref(),
            nonce: self.nonce.as_deref(),
            code_challenge: self.code_challenge.as_deref(),
        };
        let code = pool.issue_code(request, session).await.map_err(|e| self.failure(e))?;
        Ok(found(&self.redirect_with(&[("code", &code)])))
    }

    fn redirect_with(&self, parameters: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        self.destination.with_query(parameters.iter().copied().chain(state))
    }

    /// Another page of the same sign-in.
    pub(crate) fn link(&self, path: &str) -> String {
        format!("{path}?{}", self.query)
    }

    /// Another page of the same sign-in, with some parameters changed. A notice is for one page only.
    pub(crate) fn link_with(&self, path: &str, changes: &[(&str, &str)]) -> String {
        let kept = url::form_urlencoded::parse(self.query.as_bytes())
            .filter(|(name, _)| name != "notice" && !changes.iter().any(|(changed, _)| changed == name));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .extend_pairs(changes)
            .finish();
        format!("{path}?{query}")
    }

    /// Where the forms of a sign-in may lead, as a source of a Content-Security-Policy: browsers follow a form's
    /// redirects with it.
    pub(crate) fn form_target(&self) -> String {
        self.destination.csp_source()
    }
}

fn is_s256_challenge(challenge: &str) -> bool {
    // SHA-256 is 32 bytes, which base64url writes in 43 characters.
    challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// 302, as Cognito redirects, after forms too.
pub(crate) fn found(location: &str) -> Response {
    (StatusCode::FOUND, [(LOCATION, location)]).into_response()
}

impl FromRequestParts<LocalPool> for AuthorizeRequest {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, pool: &LocalPool) -> Result<Self, Refusal> {
        Self::parse(pool, parts.uri.query().unwrap_or_default())
    }
}
