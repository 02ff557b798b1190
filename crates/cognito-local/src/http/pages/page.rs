//! Pages, and error pages.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};

use crate::urls::PoolUrls;

/// A page as a response.
pub(super) struct Page<T> {
    pub(super) status: StatusCode,
    pub(super) template: T,
    /// The target of its forms outside this pool, as a source of a Content-Security-Policy.
    pub(super) form_target: String,
}

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let html = match self.template.render() {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(%error, "cannot render a page");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let mut response = (self.status, Html(html)).into_response();
        if let Ok(policy) = HeaderValue::try_from(content_security_policy(&self.form_target)) {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

/// Allows no scripts, and styles only from this pool.
fn content_security_policy(form_target: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {form_target}; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

/// The data that all pages need.
pub(super) struct Frame {
    pub(super) pool_id: String,
    /// Authenticates a form.
    pub(super) csrf_token: String,
    pub(super) client_name: String,
}

impl Frame {
    /// Returns the frame of a page without a form.
    pub(super) fn without_form(pool_id: &str) -> Self {
        Self { pool_id: pool_id.to_owned(), csrf_token: String::new(), client_name: String::new() }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorTemplate {
    frame: Frame,
    heading: &'static str,
    detail: String,
}

/// A page that explains an error.
pub(super) struct ErrorPage {
    status: StatusCode,
    template: ErrorTemplate,
}

impl ErrorPage {
    pub(super) fn bad_request(pool_id: &str, heading: &'static str, detail: String) -> Self {
        Self::new(pool_id, StatusCode::BAD_REQUEST, heading, detail)
    }

    fn new(pool_id: &str, status: StatusCode, heading: &'static str, detail: String) -> Self {
        Self { status, template: ErrorTemplate { frame: Frame::without_form(pool_id), heading, detail } }
    }

    /// The form does not come from a page of this pool, or the browser rejects cookies.
    pub(super) fn invalid_csrf_token(pool_id: &str) -> Self {
        let detail = "Go back, reload the page and try again. The browser must accept cookies of this pool.";
        Self::new(pool_id, StatusCode::FORBIDDEN, "This form is no longer valid", detail.to_owned())
    }

    /// The cause is logged and not shown to the user.
    pub(super) fn failure(pool_id: &str, cause: impl std::error::Error + 'static) -> Self {
        tracing::error!(error = &cause as &dyn std::error::Error, "page failed");
        let detail = "Internal error. See the log of the pool.".to_owned();
        Self::new(pool_id, StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", detail)
    }

    pub(super) fn busy(pool_id: &str) -> Self {
        let detail = "Too many sign-ins at the same time. Try again in a moment.".to_owned();
        Self::new(pool_id, StatusCode::SERVICE_UNAVAILABLE, "The pool is busy", detail)
    }
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let Self { status, template } = self;
        Page { status, template, form_target: String::new() }.into_response()
    }
}

pub(super) async fn not_found(State(urls): State<Arc<PoolUrls>>) -> Response {
    let detail = format!(
        "The OpenID configuration of the pool is at {}/.well-known/openid-configuration.",
        urls.issuer
    );
    ErrorPage::new(&urls.pool_id, StatusCode::NOT_FOUND, "Page not found", detail).into_response()
}

pub(super) async fn method_not_allowed(State(urls): State<Arc<PoolUrls>>) -> Response {
    let detail = "This address does not support the HTTP method.".to_owned();
    ErrorPage::new(&urls.pool_id, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
        .into_response()
}
