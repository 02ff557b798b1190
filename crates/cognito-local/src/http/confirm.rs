//! `/confirm`: the code that proves the address of a new account.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize::{Notice, Refusal, found};
use super::field::Field;
use super::page::Frame;
use super::visit::{Submission, Visit};
use crate::account::CodeOutcome;

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

pub(super) async fn show_confirm(visit: Visit) -> Result<Response, Refusal> {
    let username = visit.request.login_hint.clone().unwrap_or_default();
    confirm_page(&visit, StatusCode::OK, &username, "", None)
}

pub(super) async fn confirm(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    let username = form.field("username").trim();
    if form.get("action") == Some("resend") {
        visit.pool.resend_confirmation(username).await.map_err(|e| visit.failure(e))?;
        let changes = [("login_hint", username), ("notice", Notice::CodeSent.as_str())];
        return Ok(found(&visit.request.link_with("/confirm", &changes)));
    }
    let code = form.field("code").trim();
    let outcome = visit.pool.confirm(username, code).await.map_err(|e| visit.failure(e))?;
    match code_problem(outcome) {
        Some((status, problem)) => confirm_page(&visit, status, username, code, Some(problem)),
        None => {
            let changes = [("login_hint", username), ("notice", Notice::Confirmed.as_str())];
            Ok(found(&visit.request.link_with("/login", &changes)))
        }
    }
}

/// What to say of a code that was not accepted.
pub(super) fn code_problem(outcome: CodeOutcome) -> Option<(StatusCode, &'static str)> {
    match outcome {
        CodeOutcome::Accepted => None,
        CodeOutcome::Wrong => {
            Some((StatusCode::BAD_REQUEST, "Invalid verification code provided, please try again."))
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
    visit: &Visit,
    status: StatusCode,
    username: &str,
    code: &str,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let request = &visit.request;
    visit.page(status, |frame| ConfirmTemplate {
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
