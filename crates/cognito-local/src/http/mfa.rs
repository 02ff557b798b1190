//! `/mfa` and `/mfa/setup`: codes of an authenticator app.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize::{Notice, Refusal, found};
use super::browser::Cookie;
use super::confirm::code_problem;
use super::field::Field;
use super::page::Frame;
use super::visit::{Submission, Visit};
use crate::account::CodeOutcome;
use crate::config::Mfa;
use crate::store::users::User;
use crate::totp::{Answered, Enrolment, QrPicture};

#[derive(Template)]
#[template(path = "mfa.html")]
struct ChallengeTemplate {
    frame: Frame,
    action: String,
    username: String,
    code: Field,
    another: String,
}

#[derive(Template)]
#[template(path = "mfa_setup.html")]
struct SetupTemplate {
    frame: Frame,
    action: String,
    username: String,
    picture: Option<QrPicture>,
    address: Option<String>,
    secret: String,
    code: Field,
    back: (&'static str, String),
}

pub(super) async fn show_challenge(visit: Visit) -> Result<Response, Refusal> {
    match challenged(&visit).await? {
        Some((_, user)) if user.totp_secret.is_some() => challenge_page(&visit, StatusCode::OK, &user, None),
        _ => Ok(to_login(&visit)),
    }
}

pub(super) async fn answer(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    let Some((challenge, user)) = challenged(&visit).await? else { return Ok(to_login(&visit)) };
    let code = form.field("code").trim();
    match visit.pool.answer_challenge(&challenge, code, None).await.map_err(|e| visit.failure(e))? {
        Answered::SignedIn { token, session } => visit.go_back(&token, &session).await,
        Answered::Refused(outcome) => {
            let (status, problem) = app_code_problem(outcome);
            challenge_page(&visit, status, &user, Some(problem))
        }
    }
}

pub(super) async fn show_setup(visit: Visit) -> Result<Response, Refusal> {
    match enrolling(&visit).await? {
        Some(enrolling) => setup_page(&visit, StatusCode::OK, &enrolling, None),
        None => Ok(to_login(&visit)),
    }
}

pub(super) async fn set_up(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    let Some(enrolling) = enrolling(&visit).await? else { return Ok(to_login(&visit)) };
    let code = form.field("code").trim();
    let enrolment = enrolling.enrolment(&visit);
    let outcome = match &enrolling.as_who {
        Who::Challenged => {
            let answered = visit.pool.answer_challenge(&enrolling.secret, code, Some(enrolment)).await;
            match answered.map_err(|e| visit.failure(e))? {
                Answered::SignedIn { token, session } => return visit.go_back(&token, &session).await,
                Answered::Refused(outcome) => outcome,
            }
        }
        Who::SignedIn => {
            visit.pool.enrol(&enrolling.user.sub, enrolment, code).await.map_err(|e| visit.failure(e))?
        }
    };
    if outcome == CodeOutcome::Accepted {
        return Ok(found(&visit.request.link_with("/login", &[("notice", Notice::AppSetUp.as_str())])));
    }
    let (status, problem) = app_code_problem(outcome);
    setup_page(&visit, status, &enrolling, Some(problem))
}

/// Somebody who sets up an app.
struct Enrolling {
    as_who: Who,
    /// What the browser keeps, from which the app's secret is derived.
    secret: String,
    user: User,
}

enum Who {
    /// In the middle of a sign-in, in a pool that requires it.
    Challenged,
    /// Of their own accord.
    SignedIn,
}

impl Enrolling {
    fn enrolment(&self, visit: &Visit) -> Enrolment {
        Enrolment::new(&visit.pool, &self.user, &self.secret)
    }
}

/// Nobody, when the one who visits has an app already.
async fn enrolling(visit: &Visit) -> Result<Option<Enrolling>, Refusal> {
    if visit.pool.directory().mfa == Mfa::Off {
        return Ok(None);
    }
    let by_challenge = challenged(visit).await?;
    let enrolling = match by_challenge {
        Some((secret, user)) => Some(Enrolling { as_who: Who::Challenged, secret, user }),
        None => visit
            .browser
            .cookie(Cookie::Session)
            .zip(visit.signed_in().await?)
            .map(|(secret, (_, user))| Enrolling { as_who: Who::SignedIn, secret, user }),
    };
    Ok(enrolling.filter(|enrolling| enrolling.user.totp_secret.is_none()))
}

async fn challenged(visit: &Visit) -> Result<Option<(String, User)>, Refusal> {
    let Some(secret) = visit.browser.cookie(Cookie::Challenge) else { return Ok(None) };
    let user = visit.pool.challenged_user(&secret).await.map_err(|e| visit.failure(e))?;
    Ok(user.map(|user| (secret, user)))
}

fn to_login(visit: &Visit) -> Response {
    found(&visit.request.link_with("/login", &[]))
}

fn app_code_problem(outcome: CodeOutcome) -> (StatusCode, &'static str) {
    match code_problem(outcome) {
        Some((status @ StatusCode::TOO_MANY_REQUESTS, problem)) => (status, problem),
        _ => (StatusCode::BAD_REQUEST, "That is not the code the app shows now. Wait for the next one."),
    }
}

fn challenge_page(
    visit: &Visit,
    status: StatusCode,
    user: &User,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let request = &visit.request;
    visit.page(status, |frame| ChallengeTemplate {
        frame,
        action: request.link_with("/mfa", &[]),
        username: user.username.clone(),
        code: Field::code("Code", "").problem(problem).focus(true),
        another: request.link_with("/login", &[("prompt", "login")]),
    })
}

fn setup_page(
    visit: &Visit,
    status: StatusCode,
    enrolling: &Enrolling,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let request = &visit.request;
    let enrolment = enrolling.enrolment(visit);
    visit.page(status, |frame| SetupTemplate {
        frame,
        action: request.link_with("/mfa/setup", &[]),
        username: enrolling.user.username.clone(),
        picture: enrolment.qr_code(),
        address: enrolment.address(),
        secret: enrolment.secret_text(),
        code: Field::code("Enter the code that the app shows", "").problem(problem).focus(problem.is_some()),
        back: match enrolling.as_who {
            Who::SignedIn => ("Not now", request.link_with("/login", &[])),
            Who::Challenged => ("Use another account", request.link_with("/login", &[("prompt", "login")])),
        },
    })
}
