//! Pages: how they are sent, and the ones that say what went wrong.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use crate::pool::LocalPool;

/// A page to be sent.
pub(crate) struct Page<T> {
    pub(crate) status: StatusCode,
    pub(crate) template: T,
    /// Where its forms may lead besides this pool, as a source of a Content-Security-Policy.
    pub(crate) form_target: String,
    pub(crate) set_cookie: Option<HeaderValue>,
}

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let html = match self.template.render() {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let mut response = (self.status, Html(html)).into_response();
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::try_from(content_security_policy(&self.form_target)) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(cookie) = self.set_cookie {
            headers.append(SET_COOKIE, cookie);
        }
        response
    }
}

/// No script at all, and styles from this pool alone.
fn content_security_policy(form_target: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {form_target}; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

/// What all pages need.
pub(crate) struct Frame {
    pub(crate) pool_id: String,
    /// Proves that a form is of this pool; see [`Browser`](super::browser::Browser).
    pub(crate) mark: String,
    pub(crate) client_name: String,
}

impl Frame {
    /// For a page without forms.
    pub(crate) fn of_page(pool: &LocalPool) -> Self {
        Self::of_form(pool, String::new(), String::new())
    }

    pub(crate) fn of_form(pool: &LocalPool, mark: String, client_name: String) -> Self {
        Self { pool_id: pool.pool_id().to_owned(), mark, client_name }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorTemplate {
    frame: Frame,
    heading: &'static str,
    detail: String,
}

/// A page that says what went wrong, and how to mend it.
pub(crate) struct ErrorPage {
    status: StatusCode,
    template: ErrorTemplate,
}

impl ErrorPage {
    pub(crate) fn bad_request(pool: &LocalPool, heading: &'static str, detail: String) -> Self {
        Self::new(pool, StatusCode::BAD_REQUEST, heading, detail)
    }

    fn new(pool: &LocalPool, status: StatusCode, heading: &'static str, detail: String) -> Self {
        Self { status, template: ErrorTemplate { frame: Frame::of_page(pool), heading, detail } }
    }

    /// The form did not come from a page of this pool, or the browser keeps no cookies.
    pub(crate) fn foreign_form(pool: &LocalPool) -> Self {
        let detail = "Go back, reload the page and try again. The browser must accept cookies of this pool.";
        Self::new(pool, StatusCode::FORBIDDEN, "This form is not valid any more", detail.to_owned())
    }

    /// The cause goes to the log, not to the visitor.
    pub(crate) fn failure(pool: &LocalPool, cause: impl std::error::Error + 'static) -> Self {
        tracing::error!(error = &cause as &dyn std::error::Error, "a page failed");
        let detail = "The pool failed; its log says why.".to_owned();
        Self::new(pool, StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", detail)
    }

    pub(crate) fn busy(pool: &LocalPool) -> Self {
        let detail = "Too many people sign in at once. Try again in a moment.".to_owned();
        Self::new(pool, StatusCode::SERVICE_UNAVAILABLE, "One moment", detail)
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let Self { status, template } = self;
        Page { status, template, form_target: String::new(), set_cookie: None }.into_response()
    }
}

pub(super) async fn not_found(State(pool): State<LocalPool>) -> Response {
    let detail = format!("The pool's description is at {}/.well-known/openid-configuration.", pool.issuer());
    ErrorPage::new(&pool, StatusCode::NOT_FOUND, "There is no such page", detail).into_response()
}

pub(super) async fn method_not_allowed(State(pool): State<LocalPool>) -> Response {
    let detail = "The address exists, but not for this HTTP method.".to_owned();
    ErrorPage::new(&pool, StatusCode::METHOD_NOT_ALLOWED, "That does not work here", detail).into_response()
}
