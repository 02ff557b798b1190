//! The user pool's OAuth 2.0 endpoints, as a client uses them.
//!
//! Three form posts and one URL: less than a general OAuth library would ask to be configured.

mod callback;
mod login;
mod pkce;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

pub(crate) use self::login::{SignedIn, sign_in};
use crate::{
    clock::Skew,
    error::Error,
    http::{self, join},
    output,
    profile::{Grant, Profile},
    session::Token,
};

/// How long the token endpoint may take. Two attempts fit into Cognito's longest grace period (60 s) with room to spare.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Larger than any answer with three tokens of 16 KiB.
const MAX_ANSWER_BYTES: usize = 128 * 1024; // 128 KiB

/// The longest lifetime that an access token of Cognito can have (API reference, `AccessTokenValidity`).
const MAX_LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// A profile's user pool.
pub(crate) struct UserPoolClient<'a> {
    http: Client,
    profile: &'a Profile,
}

/// What the token endpoint gives (RFC 6749 §5.1, OpenID Connect Core 1.0 §3.1.3.3).
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access_token: Token,
    /// Absent on a refresh without rotation, when the old one stays in use.
    pub(crate) refresh_token: Option<Token>,
    pub(crate) id_token: Option<Token>,
    pub(crate) expires_in: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Token,
    token_type: String,
    expires_in: i64,
    refresh_token: Option<Token>,
    id_token: Option<Token>,
}

/// RFC 6749 §5.2.
#[derive(Default, Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    error: String,
    error_description: Option<String>,
}

/// Why a refresh gave no tokens.
#[derive(Debug)]
pub(crate) enum RefreshError {
    /// The refresh token is expired, revoked, or used twice: the sign-in is over.
    InvalidGrant,
    /// Nothing is known about the refresh token, which may still be good.
    Other(Error),
}

impl<'a> UserPoolClient<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Result<Self, Error> {
        Ok(Self { http: http::client(&profile.domain)?, profile })
    }

    /// Exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub(crate) async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Tokens, Error> {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.profile.client_id),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        match self.request_tokens(&form).await? {
            Ok(tokens) => Ok(tokens),
            Err(refusal) => Err(Error::SignInRefused {
                description: refusal.description(),
                error: refusal.error,
                login: self.profile.login_command(),
            }),
        }
    }

    /// Refreshes (RFC 6749 §6).
    ///
    /// If the connection breaks, or a gateway answers in the pool's place, the pool may have rotated the token without our
    /// knowing the new one. One more attempt with the old one, at once, falls into the grace period that rotation has for
    /// this case.
    pub(crate) async fn refresh(&self, refresh_token: &Token) -> Result<Tokens, RefreshError> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.profile.client_id),
            ("refresh_token", refresh_token.expose()),
        ];
        let mut answer = self.request_tokens(&form).await;
        if matches!(&answer, Err(Error::Unreachable { source, .. }) if may_have_rotated(source)) {
            answer = self.request_tokens(&form).await;
        }
        match answer.map_err(RefreshError::Other)? {
            Ok(tokens) => Ok(tokens),
            Err(refusal) if refusal.error == "invalid_grant" => Err(RefreshError::InvalidGrant),
            Err(refusal) => Err(RefreshError::Other(refusal.into_client_refused())),
        }
    }

    /// Gets an access token for the machine itself (RFC 6749 §4.4), with its secret in the header (§2.3.1).
    pub(crate) async fn client_credentials(&self, secret: &SecretString) -> Result<Tokens, Error> {
        let form = [("grant_type", "client_credentials"), ("scope", &self.profile.scopes)];
        let request = self.post("token", &form)?;
        let request = request.basic_auth(&self.profile.client_id, Some(secret.expose_secret()));
        self.tokens(self.send(request).await?).await?.map_err(ErrorAnswer::into_client_refused)
    }

    /// Revokes a refresh token (RFC 7009 §2.1), and with it all that was issued from it.
    ///
    /// One that is unknown or revoked already is answered with 200, too.
    pub(crate) async fn revoke(&self, refresh_token: &Token) -> Result<(), Error> {
        let form = [("token", refresh_token.expose()), ("client_id", &self.profile.client_id)];
        let answer = self.send(self.post("revoke", &form)?).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(self.refusal(answer).await?.into_client_refused())
    }

    fn endpoint(&self, name: &str) -> Result<Url, Error> {
        join(&self.profile.domain, ["oauth2", name])
    }

    fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<RequestBuilder, Error> {
        Ok(self.http.post(self.endpoint(endpoint)?).form(form).timeout(TIMEOUT))
    }

    async fn request_tokens(&self, form: &[(&str, &str)]) -> Result<Result<Tokens, ErrorAnswer>, Error> {
        let answer = self.send(self.post("token", form)?).await?;
        self.tokens(answer).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = http::send(&self.http, request, self.profile.verbose).await;
        let answer = answer.map_err(|source| self.unreachable(source))?;
        if let Some(skew) = Skew::of_answer(answer.headers()) {
            output::warn_once(&format!("{skew}: set it right, or sign-ins and certificates will fail"));
        }
        Ok(answer)
    }

    async fn tokens(&self, answer: Response) -> Result<Result<Tokens, ErrorAnswer>, Error> {
        if !answer.status().is_success() {
            return self.refusal(answer).await.map(Err);
        }
        let bytes = self.bytes(answer).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes).map_err(|_| self.not_understood())?;
        // RFC 6749 §7.1: a token of a type that is not understood must not be used.
        if !answer.token_type.eq_ignore_ascii_case("bearer") || answer.expires_in <= 0 {
            return Err(self.not_understood());
        }
        Ok(Ok(Tokens {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            id_token: answer.id_token,
            expires_in: answer.expires_in.min(MAX_LIFETIME_SECONDS),
        }))
    }

    /// An error that the endpoint explains; one of its own making, such as 503, says nothing about the request.
    async fn refusal(&self, answer: Response) -> Result<ErrorAnswer, Error> {
        let status = answer.status();
        let failure = answer.error_for_status_ref().err();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(match failure {
                Some(source) => self.unreachable(source.without_url()),
                None => self.not_understood(),
            });
        }
        let bytes = self.bytes(answer).await?;
        let refusal: ErrorAnswer = serde_json::from_slice(&bytes).unwrap_or_default();
        if refusal.error.is_empty() { Err(self.not_understood()) } else { Ok(refusal) }
    }

    async fn bytes(&self, answer: Response) -> Result<Vec<u8>, Error> {
        let bytes = http::bytes(answer, MAX_ANSWER_BYTES).await.map_err(|source| self.unreachable(source))?;
        bytes.ok_or_else(|| self.not_understood())
    }

    fn unreachable(&self, source: reqwest::Error) -> Error {
        Error::Unreachable {
            what: format!("the user pool at {}", http::origin(&self.profile.domain)),
            source,
        }
    }

    fn not_understood(&self) -> Error {
        Error::Protocol { what: format!("the user pool at {}", http::origin(&self.profile.domain)) }
    }

    fn redirect_uri(&self) -> Option<&Url> {
        match &self.profile.grant {
            Grant::AuthorizationCode { redirect_uri } => redirect_uri.as_ref(),
            Grant::ClientCredentials { .. } => None,
        }
    }
}

/// Whether the pool may have carried out the request for which there was no good answer.
fn may_have_rotated(failure: &reqwest::Error) -> bool {
    !failure.is_connect() && failure.status() != Some(StatusCode::TOO_MANY_REQUESTS)
}

impl ErrorAnswer {
    fn description(&self) -> String {
        self.error_description.as_deref().map(|text| format!(": {}", output::plain(text))).unwrap_or_default()
    }

    fn into_client_refused(self) -> Error {
        Error::ClientRefused { description: self.description(), error: output::plain(&self.error) }
    }
}

impl From<Error> for RefreshError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}
