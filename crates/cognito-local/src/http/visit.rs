//! A browser at one of the pages of a sign-in.

use askama::Template;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::authorize::{AuthorizeRequest, Refusal, found};
use super::browser::{Browser, Cookie};
use super::page::{ErrorPage, Frame, Page};
use super::params::{Form, Params};
use crate::account::AccountError;
use crate::config::Mfa;
use crate::password::PasswordError;
use crate::pool::LocalPool;
use crate::store::sessions::Session;
use crate::store::users::{self, User};

/// Who visits, and what they sign in for.
pub(super) struct Visit {
    pub(super) pool: LocalPool,
    pub(super) browser: Browser,
    pub(super) request: AuthorizeRequest,
}

impl Visit {
    /// A page with a form.
    pub(super) fn page<T: Template>(
        &self,
        status: StatusCode,
        template: impl FnOnce(Frame) -> T,
    ) -> Result<Response, Refusal> {
        let mark = self.browser.form_mark(&self.pool).map_err(|e| ErrorPage::failure(&self.pool, e))?;
        let frame = Frame::of_form(&self.pool, mark.mark, self.request.client.name.clone());
        let form_target = self.request.form_target();
        Ok(Page { status, template: template(frame), form_target, set_cookie: mark.set_cookie }
            .into_response())
    }

    /// The user who is signed in in this browser.
    pub(super) async fn signed_in(&self) -> Result<Option<(Session, User)>, Refusal> {
        let session = self.browser.session(&self.pool).await.map_err(|e| self.request.failure(e))?;
        let Some(session) = session else { return Ok(None) };
        let sub = session.sub.clone();
        let user = self.pool.store().read(move |db| users::find_by_sub(db, &sub)).await;
        Ok(user.map_err(|e| self.request.failure(e))?.map(|user| (session, user)))
    }

    /// What follows a right password: the confirmation of the account, the second factor, or the way back.
    pub(super) async fn after_password(&self, user: &User) -> Result<Response, Refusal> {
        if !user.confirmed {
            return Ok(found(&self.request.link_with("/confirm", &[("login_hint", &user.username)])));
        }
        match (self.pool.directory().mfa, &user.totp_secret) {
            (Mfa::Optional | Mfa::Required, Some(_)) => self.challenge(user, "/mfa").await,
            (Mfa::Required, None) => self.challenge(user, "/mfa/setup").await,
            (Mfa::Off, _) | (Mfa::Optional, None) => {
                let started = self.pool.start_session(user).await;
                let (token, session) = started.map_err(|e| self.request.failure(e))?;
                self.go_back(&token, &session).await
            }
        }
    }

    async fn challenge(&self, user: &User, path: &str) -> Result<Response, Refusal> {
        let token = self.pool.start_challenge(user).await.map_err(|e| self.request.failure(e))?;
        let mut response = found(&self.request.link(path));
        response.headers_mut().append(SET_COOKIE, self.browser.set_cookie(Cookie::Challenge, &token));
        Ok(response)
    }

    /// Back to the application with a code, and the browser remembers the sign-in.
    pub(super) async fn go_back(&self, token: &str, session: &Session) -> Result<Response, Refusal> {
        let mut response = self.request.send_code(&self.pool, session).await?;
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, self.browser.set_cookie(Cookie::Session, token));
        headers.append(SET_COOKIE, self.browser.clear_cookie(Cookie::Challenge));
        Ok(response)
    }

    pub(super) fn failure(&self, error: impl Into<AccountError>) -> Refusal {
        match error.into() {
            AccountError::Password(PasswordError::Busy) => ErrorPage::busy(&self.pool).into(),
            AccountError::Password(error) => self.request.failure(error),
            AccountError::Store(error) => self.request.failure(error),
        }
    }
}

impl FromRequestParts<LocalPool> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, pool: &LocalPool) -> Result<Self, Refusal> {
        let request = AuthorizeRequest::from_request_parts(parts, pool).await?;
        Ok(Self { pool: pool.clone(), browser: Browser::new(pool, &parts.headers), request })
    }
}

/// A form that a page of this pool sent.
pub(super) struct Submission(pub(super) Params);

impl FromRequest<LocalPool> for Submission {
    type Rejection = ErrorPage;

    async fn from_request(request: Request, pool: &LocalPool) -> Result<Self, ErrorPage> {
        let browser = Browser::new(pool, request.headers());
        let Form(params) = Form::from_request(request, pool)
            .await
            .map_err(|error| ErrorPage::bad_request(pool, "This form is not valid", error.to_string()))?;
        if browser.sent_form(pool, params.field("mark")) {
            Ok(Self(params))
        } else {
            Err(ErrorPage::foreign_form(pool))
        }
    }
}
