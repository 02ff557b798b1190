//! The user pool's OAuth 2.0 endpoints.

use std::time::Duration;

use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
        BasicTokenIntrospectionResponse, BasicTokenType,
    },
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use crate::{
    error::{Error, Exit},
    http, output,
    profile::Profile,
    session::{Session, Token},
};

/// How long the token endpoint may take. Two attempts fit into Cognito's longest grace period (60 s).
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest lifetime of an access token of Cognito (API reference, `AccessTokenValidity`).
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

type OAuthClient = Client<
    BasicErrorResponse,
    TokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;
type TokenResponse = StandardTokenResponse<IdTokenField, BasicTokenType>;
type TokenError = RequestTokenError<reqwest::Error, BasicErrorResponse>;

/// OpenID Connect Core 1.0, section 3.1.3.3.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdTokenField {
    id_token: Option<Token>,
}

impl ExtraTokenFields for IdTokenField {}

/// The client of a profile's user pool.
pub(crate) struct UserPoolClient<'a> {
    http: reqwest::Client,
    oauth: OAuthClient,
    profile: &'a Profile,
}

/// An authorization request, and the values that protect its response.
pub(crate) struct AuthorizationRequest {
    pub(crate) url: Url,
    redirect_uri: RedirectUrl,
    /// Against forged callbacks (RFC 6749, section 10.12).
    pub(crate) state: CsrfToken,
    /// Against ID tokens of another sign-in (OpenID Connect Core 1.0, section 15.5.2).
    pub(crate) nonce: String,
    /// Against stolen codes (RFC 7636).
    verifier: PkceCodeVerifier,
}

impl<'a> UserPoolClient<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Result<Self, Error> {
        let oauth = Client::new(ClientId::new(profile.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(http::join(&profile.domain, "oauth2/authorize")))
            .set_token_uri(TokenUrl::from_url(http::join(&profile.domain, "oauth2/token")));
        Ok(Self { http: http::client(&profile.domain)?.clone(), oauth, profile })
    }

    /// Starts the authorization code flow with PKCE, `state` and `nonce`.
    pub(crate) fn authorization_request(
        &self,
        redirect_uri: RedirectUrl,
        scopes: &str,
        prompt: Option<&'static str>,
    ) -> AuthorizationRequest {
        let nonce = CsrfToken::new_random_len(32).into_secret();
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let oauth = self.oauth.clone().set_redirect_uri(redirect_uri.clone());
        let mut request = oauth
            .authorize_url(|| CsrfToken::new_random_len(32))
            .set_pkce_challenge(challenge)
            .add_extra_param("nonce", nonce.clone())
            .add_scopes(scopes.split(' ').map(|scope| Scope::new(scope.to_owned())));
        if let Some(prompt) = prompt {
            request = request.add_extra_param("prompt", prompt);
        }
        let (url, state) = request.url();
        AuthorizationRequest { url, redirect_uri, state, nonce, verifier }
    }

    /// Exchanges a code for tokens (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(crate) async fn exchange(
        &self,
        code: String,
        request: AuthorizationRequest,
    ) -> Result<Session, Error> {
        let oauth = self.oauth.clone().set_redirect_uri(request.redirect_uri);
        let exchange = oauth.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(request.verifier);
        self.session(exchange.request_async(self)).await.map_err(|error| match &error {
            RequestTokenError::ServerResponse(response) => {
                self.sign_in_rejected(response.error().as_ref(), response.error_description())
            }
            _ => self.failed(error),
        })
    }

    /// Refreshes the tokens (RFC 6749, section 6). Returns nothing if the refresh token is expired, revoked, or used twice:
    /// the sign-in has ended.
    ///
    /// If the connection breaks, or a gateway responds instead of the pool, the pool may have rotated the token. One more
    /// attempt with the old token, at once, falls into the grace period that rotation has for this case.
    pub(crate) async fn refresh(&self, old: &Session) -> Result<Option<Session>, Error> {
        let Some(token) = &old.refresh_token else { return Ok(None) };
        let token = RefreshToken::new(token.expose().to_owned());
        let request = || self.session(self.oauth.exchange_refresh_token(&token).request_async(self));
        let mut renewed = request().await;
        if matches!(&renewed, Err(RequestTokenError::Request(error)) if may_have_rotated(error)) {
            renewed = request().await;
        }
        match renewed {
            Ok(new) => Ok(Some(Session {
                // Without rotation, the old refresh token stays in use.
                refresh_token: new.refresh_token.or_else(|| old.refresh_token.clone()),
                id_token: new.id_token.or_else(|| old.id_token.clone()),
                identity: old.identity.clone(),
                ..new
            })),
            Err(RequestTokenError::ServerResponse(response))
                if *response.error() == BasicErrorResponseType::InvalidGrant =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Requests an access token for a machine client (RFC 6749, section 4.4), with its secret in the header (section
    /// 2.3.1).
    pub(crate) async fn client_credentials(&self, secret: &ClientSecret) -> Result<Session, Error> {
        let oauth = self.oauth.clone().set_client_secret(secret.clone());
        // Without scopes, Cognito grants all scopes of the client.
        let scopes = self.profile.scopes.iter().flat_map(|scopes| scopes.split(' '));
        let request =
            oauth.exchange_client_credentials().add_scopes(scopes.map(|scope| Scope::new(scope.to_owned())));
        self.session(request.request_async(self)).await.map_err(|error| self.failed(error))
    }

    /// Revokes a refresh token (RFC 7009, section 2.1), and with it all tokens that were issued from it. An unknown token
    /// is not an error.
    ///
    /// `oauth2` revokes over https only, which would exclude pools on this machine.
    pub(crate) async fn revoke(&self, refresh_token: &Token) -> Result<(), Error> {
        let form = [("token", refresh_token.expose()), ("client_id", &self.profile.client_id)];
        let url = http::join(&self.profile.domain, "oauth2/revoke");
        let response = self.send(self.http.post(url).form(&form)).await;
        let response = response.map_err(|error| http::unreachable(&self.name(), error))?;
        if response.status().is_success() { Ok(()) } else { Err(http::invalid_response(&self.name())) }
    }

    /// Sends a request. A server error and 429 do not say whether the request is valid, so they count as failures to reach
    /// the pool.
    async fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        let response = http::send(request.timeout(TIMEOUT), self.profile.verbose).await?;
        match response.status() {
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                response.error_for_status().map_err(reqwest::Error::without_url)
            }
            _ => Ok(response),
        }
    }

    async fn call_endpoint(&self, request: HttpRequest) -> reqwest::Result<HttpResponse> {
        let (parts, body) = request.into_parts();
        let request = self.http.request(parts.method, parts.uri.to_string()).headers(parts.headers);
        let response = self.send(request.body(body)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        // An empty body is reported as an invalid response.
        let body = http::bytes(response).await?.unwrap_or_default();
        let mut response = HttpResponse::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }

    async fn session(
        &self,
        response: impl Future<Output = Result<TokenResponse, TokenError>>,
    ) -> Result<Session, TokenError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let response = response.await?;
        let lifetime = response.expires_in().unwrap_or_default().min(MAX_LIFETIME);
        // RFC 6749, section 7.1: a client must not use a token of a type that it does not know.
        if *response.token_type() != BasicTokenType::Bearer || lifetime.is_zero() {
            return Err(RequestTokenError::Other("no bearer token with a lifetime".to_owned()));
        }
        Ok(Session {
            issuer: self.profile.issuer(),
            client_id: self.profile.client_id.clone(),
            access_token: response.access_token().secret().into(),
            expires_at: now + i64::try_from(lifetime.as_secs()).unwrap_or(0),
            refresh_token: response.refresh_token().map(|token| token.secret().into()),
            id_token: response.extra_fields().id_token.clone(),
            identity: None,
        })
    }

    /// Returns the error of a sign-in that the pool or the user rejected (RFC 6749, sections 4.1.2.1 and 5.2).
    pub(crate) fn sign_in_rejected(&self, error: &str, description: Option<&String>) -> Error {
        let hint = format!("Run `{}` to try again.", self.profile.login_command());
        Error::new(Exit::NotSignedIn, rejection("the sign-in", error, description), hint)
    }

    fn failed(&self, error: TokenError) -> Error {
        match error {
            RequestTokenError::Request(error) => http::unreachable(&self.name(), error),
            RequestTokenError::ServerResponse(response) => {
                let what = rejection("the client", response.error().as_ref(), response.error_description());
                Error::new(Exit::Rejected, what, "Check the profile with `items config`.")
            }
            // The response may contain tokens, so it is not quoted.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                http::invalid_response(&self.name())
            }
        }
    }

    fn name(&self) -> String {
        format!("the user pool at {}", http::origin(&self.profile.domain))
    }
}

impl<'c> AsyncHttpClient<'c> for UserPoolClient<'_> {
    type Error = reqwest::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = reqwest::Result<HttpResponse>> + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.call_endpoint(request))
    }
}

/// Whether the pool may have processed the request, although there is no usable response.
fn may_have_rotated(failure: &reqwest::Error) -> bool {
    !failure.is_connect() && failure.status() != Some(StatusCode::TOO_MANY_REQUESTS)
}

fn rejection(what: &str, error: &str, description: Option<&String>) -> String {
    let description = description.map(|text| format!(" ({})", output::plain(text))).unwrap_or_default();
    format!("the user pool rejected {what}: {}{description}", output::plain(error))
}
