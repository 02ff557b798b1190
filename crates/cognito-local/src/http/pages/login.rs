//! `/login`: username and password, or the account that is signed in in the browser.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize_request::{AuthorizeError, Notice, Prompt, found};
use super::field::Field;
use super::page::Frame;
use super::sign_in_page::{SignInPage, Submission};
use crate::directory::Directory;
use crate::mfa::SecondFactor;
use crate::models::User;
use crate::sign_in::{Obstacle, PasswordOutcome, SignIns};
use crate::tokens::Tokens;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginTemplate {
    frame: Frame,
    action: String,
    notice: Option<Notice>,
    problem: Option<&'static str>,
    username: Field,
    password: Field,
    sign_up: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountTemplate {
    frame: Frame,
    action: String,
    notice: Option<Notice>,
    username: String,
    another: String,
    app_set_up: bool,
    set_up_app: Option<String>,
}

pub(super) async fn show_login(
    State(sign_ins): State<SignIns>,
    State(second_factor): State<SecondFactor>,
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    if page.request.prompt != Prompt::Login
        && let Some((_, user)) = page.signed_in(&sign_ins).await?
    {
        return account_page(&page, &second_factor, &user);
    }
    let username = page.request.login_hint.clone().unwrap_or_default();
    login_page(&page, &directory, StatusCode::OK, &username, None)
}

pub(super) async fn sign_in(
    State(sign_ins): State<SignIns>,
    State(tokens): State<Tokens>,
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    if form.get("action") == Some("continue") {
        return continue_signed_in(&page, &sign_ins, &tokens).await;
    }
    let username = form.field("username").trim();
    let reject = |status, problem| login_page(&page, &directory, status, username, Some(problem));
    let outcome = sign_ins.with_password(username, form.field("password")).await;
    match outcome.map_err(|e| page.failure(e))? {
        PasswordOutcome::Rejected => reject(StatusCode::BAD_REQUEST, "Incorrect username or password."),
        PasswordOutcome::Locked => reject(
            StatusCode::TOO_MANY_REQUESTS,
            "Password attempts exceeded. Wait a moment, then try again.",
        ),
        PasswordOutcome::Obstructed { username, obstacle } => {
            let hint = [("login_hint", username.as_str())];
            match obstacle {
                Obstacle::Unconfirmed => Ok(found(&page.request.link_with("/confirm", &hint))),
                Obstacle::ResetRequired => Ok(found(&page.request.link_with("/forgot-password", &hint))),
                Obstacle::Disabled => reject(StatusCode::BAD_REQUEST, "User is disabled."),
                Obstacle::TemporaryPasswordExpired => reject(
                    StatusCode::BAD_REQUEST,
                    "Temporary password has expired and must be reset by an administrator.",
                ),
            }
        }
        PasswordOutcome::Challenge { token, step } => Ok(page.challenge(token, step)),
        PasswordOutcome::SignedIn(signed_in) => page.finish(&tokens, signed_in).await,
    }
}

/// Continues with the account that is signed in in the browser.
async fn continue_signed_in(
    page: &SignInPage,
    sign_ins: &SignIns,
    tokens: &Tokens,
) -> Result<Response, AuthorizeError> {
    match page.signed_in(sign_ins).await? {
        Some((session, _)) => page.request.send_code(tokens, &session).await,
        None => Ok(found(&page.request.link("/login"))),
    }
}

fn login_page(
    page: &SignInPage,
    directory: &Directory,
    status: StatusCode,
    username: &str,
    problem: Option<&'static str>,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let forgotten = request.link_with("/forgot-password", &[("login_hint", username)]);
    let described_by = problem.map(|_| "problem");
    page.render(status, |frame| LoginTemplate {
        frame,
        action: request.link_with("/login", &[]),
        notice: request.notice.filter(|_| problem.is_none()),
        problem,
        username: Field::text("username", "Username or e-mail", username)
            .autocomplete("username")
            .described_by(described_by)
            .focus(username.is_empty()),
        password: Field::password("password", "Password")
            .autocomplete("current-password")
            .aside("Forgot it?", forgotten)
            .described_by(described_by)
            .focus(!username.is_empty()),
        sign_up: directory.self_sign_up.then(|| request.link_with("/signup", &[])),
    })
}

fn account_page(
    page: &SignInPage,
    second_factor: &SecondFactor,
    user: &User,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let app_set_up = user.totp_secret.is_some();
    let offers_app = !app_set_up && !second_factor.is_off();
    page.render(StatusCode::OK, |frame| AccountTemplate {
        frame,
        action: request.link_with("/login", &[]),
        notice: request.notice,
        username: user.username.clone(),
        another: request.link_with("/login", &[("prompt", "login")]),
        app_set_up,
        set_up_app: offers_app.then(|| request.link_with("/mfa/setup", &[])),
    })
}
