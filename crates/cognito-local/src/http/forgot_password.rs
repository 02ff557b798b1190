//! `/forgot-password` and `/reset-password`: a new password, by a mailed code.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize::{Notice, Refusal, found};
use super::confirm::code_problem;
use super::field::Field;
use super::page::Frame;
use super::signup::{policy_hint, policy_problem, repetition_problem};
use super::visit::{Submission, Visit};
use crate::account::CodeOutcome;

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

/// What is wrong with each field.
#[derive(Default)]
struct Problems {
    code: Option<&'static str>,
    password: Option<String>,
    repetition: Option<String>,
}

pub(super) async fn show_forgot_password(visit: Visit) -> Result<Response, Refusal> {
    let request = &visit.request;
    let username = request.login_hint.clone().unwrap_or_default();
    visit.page(StatusCode::OK, |frame| ForgotTemplate {
        frame,
        action: request.link_with("/forgot-password", &[]),
        username: Field::text("username", "Username or e-mail", &username)
            .autocomplete("username")
            .focus(true),
        sign_in: request.link_with("/login", &[]),
    })
}

/// Goes on to the same page whoever is named.
pub(super) async fn forgot_password(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    let username = form.field("username").trim();
    visit.pool.request_reset(username).await.map_err(|e| visit.failure(e))?;
    Ok(found(&visit.request.link_with("/reset-password", &[("login_hint", username)])))
}

pub(super) async fn show_reset_password(visit: Visit) -> Result<Response, Refusal> {
    let username = visit.request.login_hint.clone().unwrap_or_default();
    reset_page(&visit, StatusCode::OK, &username, "", Problems::default())
}

pub(super) async fn reset_password(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    let (username, code) = (form.field("username").trim(), form.field("code").trim());
    let password = form.field("password");
    let problems = Problems {
        code: None,
        password: policy_problem(&visit.pool.directory().password_policy, password),
        repetition: repetition_problem(&form),
    };
    if problems.password.is_some() || problems.repetition.is_some() {
        return reset_page(&visit, StatusCode::BAD_REQUEST, username, code, problems);
    }
    let outcome = visit.pool.reset_password(username, code, password).await.map_err(|e| visit.failure(e))?;
    if outcome == CodeOutcome::Accepted {
        let changes = [("login_hint", username), ("notice", Notice::PasswordReset.as_str())];
        return Ok(found(&visit.request.link_with("/login", &changes)));
    }
    let (status, problem) = code_problem(outcome).unzip();
    let problems = Problems { code: problem, ..Problems::default() };
    reset_page(&visit, status.unwrap_or(StatusCode::BAD_REQUEST), username, code, problems)
}

fn reset_page(
    visit: &Visit,
    status: StatusCode,
    username: &str,
    code: &str,
    problems: Problems,
) -> Result<Response, Refusal> {
    let request = &visit.request;
    let fields = [
        Field::text("username", "Username or e-mail", username)
            .autocomplete("username")
            .focus(username.is_empty()),
        Field::code("Code", code).problem(problems.code).focus(!username.is_empty()),
        Field::password("password", "New password")
            .autocomplete("new-password")
            .hint(policy_hint(&visit.pool.directory().password_policy))
            .problem(problems.password),
        Field::password("password_again", "New password again")
            .autocomplete("new-password")
            .problem(problems.repetition),
    ];
    visit.page(status, |frame| ResetTemplate {
        frame,
        action: request.link_with("/reset-password", &[]),
        fields,
        another_code: request.link_with("/forgot-password", &[("login_hint", username)]),
    })
}
