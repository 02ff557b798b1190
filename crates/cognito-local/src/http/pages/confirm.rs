//! `/confirm`: confirming a new account with a mailed code.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize_request::{AuthorizeError, Notice, found};
use super::field::Field;
use super::page::Frame;
use super::sign_in_page::{SignInPage, Submission};
use crate::accounts::Accounts;
use crate::attempt::CodeOutcome;

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmTemplate {
    frame: Frame,
    action: String,
    notice: Option<Notice>,
    username: Field,
    code: Field,
    sign_in: String,
}

pub(super) async fn show_confirm(page: SignInPage) -> Result<Response, AuthorizeError> {
    let username = page.request.login_hint.clone().unwrap_or_default();
    confirm_page(&page, StatusCode::OK, &username, "", None)
}

pub(super) async fn confirm(
    State(accounts): State<Accounts>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    let username = form.field("username").trim();
    if form.get("action") == Some("resend") {
        accounts.resend_confirmation(username).await.map_err(|e| page.failure(e))?;
        let changes = [("login_hint", username), ("notice", Notice::CodeSent.as_str())];
        return Ok(found(&page.request.link_with("/confirm", &changes)));
    }
    let code = form.field("code").trim();
    let outcome = accounts.confirm(username, code).await.map_err(|e| page.failure(e))?;
    match code_problem(outcome) {
        Some((status, problem)) => confirm_page(&page, status, username, code, Some(problem)),
        None => {
            let changes = [("login_hint", username), ("notice", Notice::Confirmed.as_str())];
            Ok(found(&page.request.link_with("/login", &changes)))
        }
    }
}

/// Returns the status and the message for a code that was not accepted.
pub(super) fn code_problem(outcome: CodeOutcome) -> Option<(StatusCode, &'static str)> {
    match outcome {
        CodeOutcome::Accepted => None,
        CodeOutcome::Wrong => {
            Some((StatusCode::BAD_REQUEST, "Invalid verification code provided, please try again."))
        }
        CodeOutcome::Expired => {
            Some((StatusCode::BAD_REQUEST, "Invalid code provided, please request a code again."))
        }
        CodeOutcome::Locked => {
            Some((StatusCode::TOO_MANY_REQUESTS, "Attempt limit exceeded, please try after some time."))
        }
        CodeOutcome::EmailTaken => {
            Some((StatusCode::BAD_REQUEST, "An account with the given email already exists."))
        }
    }
}

fn confirm_page(
    page: &SignInPage,
    status: StatusCode,
    username: &str,
    code: &str,
    problem: Option<&'static str>,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    page.render(status, |frame| ConfirmTemplate {
        frame,
        action: request.link_with("/confirm", &[]),
        notice: request.notice.filter(|_| problem.is_none()),
        username: Field::text("username", "Username", username)
            .autocomplete("username")
            .focus(username.is_empty()),
        code: Field::code("Code", code).problem(problem).focus(!username.is_empty()),
        sign_in: request.link_with("/login", &[]),
    })
}
