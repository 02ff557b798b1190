//! `/login`: name and password, or the account that the browser remembers.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize::{Notice, Prompt, Refusal, found};
use super::field::Field;
use super::page::Frame;
use super::visit::{Submission, Visit};
use crate::config::Mfa;
use crate::sign_in::SignIn;
use crate::store::users::User;

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

pub(super) async fn show_login(visit: Visit) -> Result<Response, Refusal> {
    if visit.request.prompt != Prompt::Login
        && let Some((_, user)) = visit.signed_in().await?
    {
        return account_page(&visit, &user);
    }
    let username = visit.request.login_hint.clone().unwrap_or_default();
    login_page(&visit, StatusCode::OK, &username, None)
}

pub(super) async fn sign_in(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    if form.get("action") == Some("continue") {
        return go_on(&visit).await;
    }
    let username = form.field("username").trim();
    let refuse = |status, problem| login_page(&visit, status, username, Some(problem));
    match visit.pool.verify_password(username, form.field("password")).await {
        Ok(SignIn::Verified(user)) => visit.after_password(&user).await,
        Ok(SignIn::Refused) => refuse(StatusCode::BAD_REQUEST, "Incorrect username or password."),
        Ok(SignIn::Locked) => refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "Password attempts exceeded. Wait a moment, then try again.",
        ),
        Err(error) => Err(visit.failure(error)),
    }
}

/// Goes on as the account that the browser remembers.
async fn go_on(visit: &Visit) -> Result<Response, Refusal> {
    match visit.signed_in().await? {
        Some((session, _)) => visit.request.send_code(&visit.pool, &session).await,
        None => Ok(found(&visit.request.link("/login"))),
    }
}

fn login_page(
    visit: &Visit,
    status: StatusCode,
    username: &str,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let request = &visit.request;
    let forgotten = request.link_with("/forgot-password", &[("login_hint", username)]);
    let described_by = problem.map(|_| "problem");
    visit.page(status, |frame| LoginTemplate {
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
        sign_up: visit.pool.directory().self_sign_up.then(|| request.link_with("/signup", &[])),
    })
}

fn account_page(visit: &Visit, user: &User) -> Result<Response, Refusal> {
    let request = &visit.request;
    let app_set_up = user.totp_secret.is_some();
    let offers_app = !app_set_up && visit.pool.directory().mfa != Mfa::Off;
    visit.page(StatusCode::OK, |frame| AccountTemplate {
        frame,
        action: request.link_with("/login", &[]),
        notice: request.notice,
        username: user.username.clone(),
        another: request.link_with("/login", &[("prompt", "login")]),
        app_set_up,
        set_up_app: offers_app.then(|| request.link_with("/mfa/setup", &[])),
    })
}
