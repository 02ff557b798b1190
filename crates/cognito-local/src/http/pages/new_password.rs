//! `/new-password`: replacing a temporary password at the first sign-in.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize_request::AuthorizeError;
use super::field::Field;
use super::mfa::{challenged, to_login};
use super::page::Frame;
use super::sign_in_page::{SignInPage, Submission};
use super::signup::{policy_hint, policy_problem, repetition_problem};
use crate::directory::Directory;
use crate::models::{User, UserStatus};
use crate::sign_in::{PasswordOutcome, SignIns};
use crate::tokens::Tokens;

#[derive(Template)]
#[template(path = "new_password.html")]
struct NewPasswordTemplate {
    frame: Frame,
    action: String,
    username: String,
    fields: [Field; 2],
    another: String,
}

pub(super) async fn show_new_password(
    State(sign_ins): State<SignIns>,
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    match waiting(&page, &sign_ins).await? {
        Some((_, user)) => new_password_page(&page, &directory, StatusCode::OK, &user, [None, None]),
        None => Ok(to_login(&page)),
    }
}

pub(super) async fn set_new_password(
    State(sign_ins): State<SignIns>,
    State(directory): State<Arc<Directory>>,
    State(tokens): State<Tokens>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    let Some((challenge, user)) = waiting(&page, &sign_ins).await? else { return Ok(to_login(&page)) };
    let password = form.field("password");
    let problems = [policy_problem(&directory.password_policy, password), repetition_problem(&form)];
    if problems.iter().any(Option::is_some) {
        return new_password_page(&page, &directory, StatusCode::BAD_REQUEST, &user, problems);
    }
    let outcome = sign_ins.set_first_password(&challenge, &user, password).await;
    match outcome.map_err(|e| page.failure(e))? {
        PasswordOutcome::Challenge { token, step } => Ok(page.challenge(token, step)),
        PasswordOutcome::SignedIn(signed_in) => page.finish(&tokens, signed_in).await,
        PasswordOutcome::Rejected | PasswordOutcome::Locked | PasswordOutcome::Obstructed { .. } => {
            Ok(to_login(&page))
        }
    }
}

/// Returns the user of this browser whose temporary password has to be replaced.
async fn waiting(page: &SignInPage, sign_ins: &SignIns) -> Result<Option<(String, User)>, AuthorizeError> {
    let challenged = challenged(page, sign_ins).await?;
    Ok(challenged.filter(|(_, user)| user.status == UserStatus::ForceChangePassword))
}

fn new_password_page(
    page: &SignInPage,
    directory: &Directory,
    status: StatusCode,
    user: &User,
    [password_problem, repetition_problem]: [Option<String>; 2],
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let fields = [
        Field::password("password", "New password")
            .autocomplete("new-password")
            .hint(policy_hint(&directory.password_policy))
            .focus(true)
            .problem(password_problem),
        Field::password("password_again", "New password again")
            .autocomplete("new-password")
            .problem(repetition_problem),
    ];
    page.render(status, |frame| NewPasswordTemplate {
        frame,
        action: request.link_with("/new-password", &[]),
        username: user.username.clone(),
        fields,
        another: request.link_with("/login", &[("prompt", "login")]),
    })
}
