//! The extractors of the pages of a sign-in.

use askama::Template;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;

use super::authorize_request::{AuthorizeError, AuthorizeRequest, found};
use super::browser::{Browser, PoolCookie};
use super::page::{ErrorPage, Frame, Page};
use crate::error::ServiceError;
use crate::http::params::{Form, Params};
use crate::http::state::AppState;
use crate::mfa::Step;
use crate::models::{Session, User};
use crate::password::PasswordError;
use crate::sign_in::{SignIns, SignedIn};
use crate::tokens::Tokens;

/// A request for one of the pages of a sign-in: the browser, and the authorization request that the sign-in is for.
pub(super) struct SignInPage {
    pub(super) browser: Browser,
    pub(super) request: AuthorizeRequest,
    pool_id: String,
}

impl SignInPage {
    /// Renders a page with a form.
    pub(super) fn render<T: Template>(
        &self,
        status: StatusCode,
        template: impl FnOnce(Frame) -> T,
    ) -> Result<Response, AuthorizeError> {
        let token = self.browser.csrf_token();
        let (csrf_token, cookies) = token.map_err(|e| ErrorPage::failure(&self.pool_id, e))?;
        let client_name = self.request.client.name.clone();
        let frame = Frame { pool_id: self.pool_id.clone(), csrf_token, client_name };
        let page = Page { status, template: template(frame), form_target: self.request.form_target() };
        Ok((cookies, page).into_response())
    }

    /// Returns the user who is signed in in this browser.
    pub(super) async fn signed_in(
        &self,
        sign_ins: &SignIns,
    ) -> Result<Option<(Session, User)>, AuthorizeError> {
        let Some(token) = self.browser.cookie(PoolCookie::Session) else { return Ok(None) };
        let Some(session) = sign_ins.session(&token).await.map_err(|e| self.failure(e))? else {
            return Ok(None);
        };
        let user = sign_ins.user(&session).await.map_err(|e| self.failure(e))?;
        Ok(user.map(|user| (session, user)))
    }

    /// Redirects to the page for the next step.
    pub(super) fn challenge(&self, token: String, step: Step) -> Response {
        let path = match step {
            Step::SetPassword => "/new-password",
            Step::EnterCode => "/mfa",
            Step::SetUpApp => "/mfa/setup",
        };
        let cookie = self.browser.cookie_with(PoolCookie::Challenge, token);
        (CookieJar::new().add(cookie), found(&self.request.link(path))).into_response()
    }

    /// Redirects to the application with a code, and sets the cookie of the sign-in.
    pub(super) async fn finish(
        &self,
        tokens: &Tokens,
        SignedIn { token, session }: SignedIn,
    ) -> Result<Response, AuthorizeError> {
        let response = self.request.send_code(tokens, &session).await?;
        let cookies = CookieJar::new()
            .add(self.browser.cookie_with(PoolCookie::Session, token))
            .add(self.browser.removal_of(PoolCookie::Challenge));
        Ok((cookies, response).into_response())
    }

    pub(super) fn failure(&self, error: impl Into<ServiceError>) -> AuthorizeError {
        match error.into() {
            ServiceError::Password(PasswordError::Busy) => ErrorPage::busy(&self.pool_id).into(),
            error => self.request.failure(error),
        }
    }

    pub(super) fn bad_request(&self, heading: &'static str, detail: &str) -> AuthorizeError {
        ErrorPage::bad_request(&self.pool_id, heading, detail.to_owned()).into()
    }
}

impl FromRequestParts<AppState> for SignInPage {
    type Rejection = AuthorizeError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AuthorizeError> {
        let request = AuthorizeRequest::from_request_parts(parts, state).await?;
        let browser = Browser::new(state, &parts.headers);
        Ok(Self { browser, request, pool_id: state.urls.pool_id.clone() })
    }
}

/// A form that a page of this pool sent. Rejects forms without a valid CSRF token.
pub(super) struct Submission(pub(super) Params);

impl FromRequest<AppState> for Submission {
    type Rejection = ErrorPage;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ErrorPage> {
        let pool_id = &state.urls.pool_id;
        let browser = Browser::new(state, request.headers());
        let Form(params) = Form::from_request(request, state)
            .await
            .map_err(|error| ErrorPage::bad_request(pool_id, "This form is not valid", error.to_string()))?;
        if browser.sent_form(params.field("csrf_token")) {
            Ok(Self(params))
        } else {
            Err(ErrorPage::invalid_csrf_token(pool_id))
        }
    }
}
