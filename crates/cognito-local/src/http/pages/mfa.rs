//! `/mfa` and `/mfa/setup`: codes of an authenticator app.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize_request::{AuthorizeError, Notice, found};
use super::browser::PoolCookie;
use super::confirm::code_problem;
use super::field::Field;
use super::page::Frame;
use super::qr_code::QrCodePath;
use super::sign_in_page::{SignInPage, Submission};
use crate::attempt::CodeOutcome;
use crate::mfa::SecondFactor;
use crate::models::{User, UserStatus};
use crate::sign_in::{ChallengeOutcome, SignIns};
use crate::tokens::Tokens;

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
    picture: Option<QrCodePath>,
    address: Option<String>,
    secret: String,
    code: Field,
    back: (&'static str, String),
}

pub(super) async fn show_challenge(
    State(sign_ins): State<SignIns>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    match challenged(&page, &sign_ins).await? {
        Some((_, user)) if user.totp_secret.is_some() => challenge_page(&page, StatusCode::OK, &user, None),
        _ => Ok(to_login(&page)),
    }
}

pub(super) async fn answer(
    State(sign_ins): State<SignIns>,
    State(tokens): State<Tokens>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    let Some((challenge, user)) = challenged(&page, &sign_ins).await? else { return Ok(to_login(&page)) };
    let code = form.field("code").trim();
    match sign_ins.answer_challenge(&challenge, code, None).await.map_err(|e| page.failure(e))? {
        ChallengeOutcome::SignedIn(signed_in) => page.finish(&tokens, signed_in).await,
        ChallengeOutcome::Rejected(outcome) => {
            let (status, problem) = app_code_problem(outcome);
            challenge_page(&page, status, &user, Some(problem))
        }
    }
}

pub(super) async fn show_setup(
    State(sign_ins): State<SignIns>,
    State(second_factor): State<SecondFactor>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    match Setup::find(&page, &sign_ins, &second_factor).await? {
        Some(setup) => setup_page(&page, &second_factor, StatusCode::OK, &setup, None),
        None => Ok(to_login(&page)),
    }
}

pub(super) async fn set_up(
    State(sign_ins): State<SignIns>,
    State(second_factor): State<SecondFactor>,
    State(tokens): State<Tokens>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    let Some(setup) = Setup::find(&page, &sign_ins, &second_factor).await? else {
        return Ok(to_login(&page));
    };
    let code = form.field("code").trim();
    let enrolment = second_factor.enrolment(&setup.user, &setup.secret);
    let outcome = if setup.in_challenge {
        let answered = sign_ins.answer_challenge(&setup.secret, code, Some(enrolment)).await;
        match answered.map_err(|e| page.failure(e))? {
            ChallengeOutcome::SignedIn(signed_in) => return page.finish(&tokens, signed_in).await,
            ChallengeOutcome::Rejected(outcome) => outcome,
        }
    } else {
        second_factor.set_up(&setup.user.sub, enrolment, code).await.map_err(|e| page.failure(e))?
    };
    if outcome == CodeOutcome::Accepted {
        return Ok(found(&page.request.link_with("/login", &[("notice", Notice::AppSetUp.as_str())])));
    }
    let (status, problem) = app_code_problem(outcome);
    setup_page(&page, &second_factor, status, &setup, Some(problem))
}

/// The set-up of an app.
struct Setup {
    /// Whether the pool requires it to complete a sign-in. Otherwise the user is signed in already.
    in_challenge: bool,
    /// The cookie of the browser from which the secret of the app is derived.
    secret: String,
    user: User,
}

impl Setup {
    /// Returns `None` when nobody signs in here, or the user has an app already.
    async fn find(
        page: &SignInPage,
        sign_ins: &SignIns,
        second_factor: &SecondFactor,
    ) -> Result<Option<Self>, AuthorizeError> {
        if second_factor.is_off() {
            return Ok(None);
        }
        let setup = match challenged(page, sign_ins).await? {
            Some((secret, user)) => Some(Self { in_challenge: true, secret, user }),
            None => page
                .browser
                .cookie(PoolCookie::Session)
                .zip(page.signed_in(sign_ins).await?)
                .map(|(secret, (_, user))| Self { in_challenge: false, secret, user }),
        };
        let waits =
            |user: &User| user.status != UserStatus::ForceChangePassword && user.totp_secret.is_none();
        Ok(setup.filter(|setup| waits(&setup.user)))
    }
}

/// Returns the secret and the user of the challenge that this browser has to answer.
pub(super) async fn challenged(
    page: &SignInPage,
    sign_ins: &SignIns,
) -> Result<Option<(String, User)>, AuthorizeError> {
    let Some(secret) = page.browser.cookie(PoolCookie::Challenge) else { return Ok(None) };
    let user = sign_ins.challenged_user(&secret).await.map_err(|e| page.failure(e))?;
    Ok(user.map(|user| (secret, user)))
}

pub(super) fn to_login(page: &SignInPage) -> Response {
    found(&page.request.link_with("/login", &[]))
}

fn app_code_problem(outcome: CodeOutcome) -> (StatusCode, &'static str) {
    match code_problem(outcome) {
        Some((status @ StatusCode::TOO_MANY_REQUESTS, problem)) => (status, problem),
        _ => (StatusCode::BAD_REQUEST, "This is not the current code of the app. Wait for the next one."),
    }
}

fn challenge_page(
    page: &SignInPage,
    status: StatusCode,
    user: &User,
    problem: Option<&'static str>,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    page.render(status, |frame| ChallengeTemplate {
        frame,
        action: request.link_with("/mfa", &[]),
        username: user.username.clone(),
        code: Field::code("Code", "").problem(problem).focus(true),
        another: request.link_with("/login", &[("prompt", "login")]),
    })
}

fn setup_page(
    page: &SignInPage,
    second_factor: &SecondFactor,
    status: StatusCode,
    setup: &Setup,
    problem: Option<&'static str>,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let enrolment = second_factor.enrolment(&setup.user, &setup.secret);
    let address = enrolment.address();
    page.render(status, |frame| SetupTemplate {
        frame,
        action: request.link_with("/mfa/setup", &[]),
        username: setup.user.username.clone(),
        picture: address.as_deref().and_then(QrCodePath::new),
        address,
        secret: enrolment.secret_text(),
        code: Field::code("Enter the code that the app shows", "").problem(problem).focus(problem.is_some()),
        back: match setup.in_challenge {
            true => ("Use another account", request.link_with("/login", &[("prompt", "login")])),
            false => ("Not now", request.link_with("/login", &[])),
        },
    })
}
