//! `/login`: name and password.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};

use super::authorize::{AuthorizeRequest, Refusal};
use super::browser::Browser;
use super::page::{ErrorPage, Page};
use super::params::{Form, ParamsError};
use crate::password::PasswordError;
use crate::pool::LocalPool;
use crate::sign_in::{SignIn, SignInError};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginTemplate {
    pool_id: String,
    client_name: String,
    action: String,
    mark: String,
    username: String,
    problem: Option<&'static str>,
}

pub(super) async fn show_login(
    State(pool): State<LocalPool>,
    browser: Browser,
    request: AuthorizeRequest,
) -> Result<Response, Refusal> {
    let username = request.login_hint.clone().unwrap_or_default();
    login_page(&pool, &browser, &request, StatusCode::OK, username, None)
}

pub(super) async fn sign_in(
    State(pool): State<LocalPool>,
    browser: Browser,
    request: AuthorizeRequest,
    form: Result<Form, ParamsError>,
) -> Result<Response, Refusal> {
    let Form(form) =
        form.map_err(|e| ErrorPage::bad_request(&pool, "This form is not valid", e.to_string()))?;
    if !browser.sent_form(&pool, form.field("mark")) {
        return Err(ErrorPage::foreign_form(&pool).into());
    }
    let username = form.field("username");
    let refuse =
        |status, problem| login_page(&pool, &browser, &request, status, username.to_owned(), Some(problem));
    match pool.verify_password(username, form.field("password")).await {
        Ok(SignIn::Verified(user)) => {
            let (token, session) = pool.start_session(&user.sub).await.map_err(|e| request.failure(e))?;
            let mut response = request.send_code(&pool, &session).await?;
            response.headers_mut().append(SET_COOKIE, browser.session_cookie(&token));
            Ok(response)
        }
        Ok(SignIn::Refused) => refuse(StatusCode::BAD_REQUEST, "Incorrect username or password."),
        Ok(SignIn::Locked) => refuse(
            StatusCode::TOO_MANY_REQUESTS,
            "Password attempts exceeded. Wait a moment, then try again.",
        ),
        Err(SignInError::Password(PasswordError::Busy)) => Err(ErrorPage::busy(&pool).into()),
        Err(error) => Err(request.failure(error)),
    }
}

fn login_page(
    pool: &LocalPool,
    browser: &Browser,
    request: &AuthorizeRequest,
    status: StatusCode,
    username: String,
    problem: Option<&'static str>,
) -> Result<Response, Refusal> {
    let mark = browser.form_mark(pool).map_err(|e| ErrorPage::failure(pool, e))?;
    let template = LoginTemplate {
        pool_id: pool.pool_id().to_owned(),
        client_name: request.client.name.clone(),
        action: request.link("/login"),
        mark: mark.mark,
        username,
        problem,
    };
    Ok(Page { status, template, form_target: request.form_target(), set_cookie: mark.set_cookie }
        .into_response())
}
