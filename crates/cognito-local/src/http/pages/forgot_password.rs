//! `/forgot-password` and `/reset-password`: setting a new password with a mailed code.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize_request::{AuthorizeError, Notice, found};
use super::confirm::code_problem;
use super::field::Field;
use super::page::Frame;
use super::sign_in_page::{SignInPage, Submission};
use super::signup::{policy_hint, policy_problem, repetition_problem};
use crate::accounts::Accounts;
use crate::attempt::CodeOutcome;
use crate::config::PasswordPolicy;
use crate::directory::Directory;

#[derive(Template)]
#[template(path = "forgot_password.html")]
struct ForgotTemplate {
    frame: Frame,
    action: String,
    username: Field,
    sign_in: String,
}

#[derive(Template)]
#[template(path = "reset_password.html")]
struct ResetTemplate {
    frame: Frame,
    action: String,
    fields: [Field; 4],
    another_code: String,
}

/// The problem of each field.
#[derive(Default)]
struct Problems {
    code: Option<&'static str>,
    password: Option<String>,
    repetition: Option<String>,
}

pub(super) async fn show_forgot_password(page: SignInPage) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let username = request.login_hint.clone().unwrap_or_default();
    page.render(StatusCode::OK, |frame| ForgotTemplate {
        frame,
        action: request.link_with("/forgot-password", &[]),
        username: Field::text("username", "Username or e-mail", &username)
            .autocomplete("username")
            .focus(true),
        sign_in: request.link_with("/login", &[]),
    })
}

/// Redirects to the same page for existing and for unknown users.
pub(super) async fn forgot_password(
    State(accounts): State<Accounts>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    let username = form.field("username").trim();
    accounts.request_reset(username).await.map_err(|e| page.failure(e))?;
    Ok(found(&page.request.link_with("/reset-password", &[("login_hint", username)])))
}

pub(super) async fn show_reset_password(
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    let username = page.request.login_hint.clone().unwrap_or_default();
    reset_page(&page, &directory.password_policy, StatusCode::OK, &username, "", Problems::default())
}

pub(super) async fn reset_password(
    State(accounts): State<Accounts>,
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    let policy = &directory.password_policy;
    let (username, code) = (form.field("username").trim(), form.field("code").trim());
    let password = form.field("password");
    let problems = Problems {
        code: None,
        password: policy_problem(policy, password),
        repetition: repetition_problem(&form),
    };
    if problems.password.is_some() || problems.repetition.is_some() {
        return reset_page(&page, policy, StatusCode::BAD_REQUEST, username, code, problems);
    }
    let outcome = accounts.reset_password(username, code, password).await.map_err(|e| page.failure(e))?;
    if outcome == CodeOutcome::Accepted {
        let changes = [("login_hint", username), ("notice", Notice::PasswordReset.as_str())];
        return Ok(found(&page.request.link_with("/login", &changes)));
    }
    let (status, problem) = code_problem(outcome).unzip();
    let problems = Problems { code: problem, ..Problems::default() };
    reset_page(&page, policy, status.unwrap_or(StatusCode::BAD_REQUEST), username, code, problems)
}

fn reset_page(
    page: &SignInPage,
    policy: &PasswordPolicy,
    status: StatusCode,
    username: &str,
    code: &str,
    problems: Problems,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let fields = [
        Field::text("username", "Username or e-mail", username)
            .autocomplete("username")
            .focus(username.is_empty()),
        Field::code("Code", code).problem(problems.code).focus(!username.is_empty()),
        Field::password("password", "New password")
            .autocomplete("new-password")
            .hint(policy_hint(policy))
            .problem(problems.password),
        Field::password("password_again", "New password again")
            .autocomplete("new-password")
            .problem(problems.repetition),
    ];
    page.render(status, |frame| ResetTemplate {
        frame,
        action: request.link_with("/reset-password", &[]),
        fields,
        another_code: request.link_with("/forgot-password", &[("login_hint", username)]),
    })
}
