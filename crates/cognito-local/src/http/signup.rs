//! `/signup`: a new account.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize::{Refusal, found};
use super::field::Field;
use super::page::{ErrorPage, Frame};
use super::params::Params;
use super::visit::{Submission, Visit};
use crate::account::{NewAccount, SignUp};
use crate::config::PasswordPolicy;
use crate::config::validation::{is_email, username_problem};

#[derive(Template)]
#[template(path = "signup.html")]
struct SignUpTemplate {
    frame: Frame,
    action: String,
    fields: [Field; 4],
    sign_in: String,
}

/// What is wrong with each field.
#[derive(Default)]
struct Problems {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
    repetition: Option<String>,
}

pub(super) async fn show_sign_up(visit: Visit) -> Result<Response, Refusal> {
    require_self_sign_up(&visit)?;
    sign_up_page(&visit, StatusCode::OK, &Params::default(), Problems::default())
}

pub(super) async fn sign_up(visit: Visit, Submission(form): Submission) -> Result<Response, Refusal> {
    require_self_sign_up(&visit)?;
    let problems = Problems::find(&form, &visit.pool.directory().password_policy);
    if problems.any() {
        return sign_up_page(&visit, StatusCode::BAD_REQUEST, &form, problems);
    }
    let username = form.field("username").trim();
    let account = NewAccount {
        username: username.to_owned(),
        email: form.field("email").trim().to_owned(),
        password: form.field("password").to_owned(),
    };
    match visit.pool.sign_up(account).await.map_err(|e| visit.failure(e))? {
        SignUp::Created => Ok(found(&visit.request.link_with("/confirm", &[("login_hint", username)]))),
        SignUp::UsernameTaken => {
            let username = Some("User already exists".to_owned());
            let problems = Problems { username, ..Problems::default() };
            sign_up_page(&visit, StatusCode::BAD_REQUEST, &form, problems)
        }
    }
}

fn require_self_sign_up(visit: &Visit) -> Result<(), Refusal> {
    if visit.pool.directory().self_sign_up {
        return Ok(());
    }
    let detail = "In this pool, accounts are created by its administrator.".to_owned();
    Err(ErrorPage::bad_request(&visit.pool, "You cannot sign up here", detail).into())
}

impl Problems {
    fn find(form: &Params, policy: &PasswordPolicy) -> Self {
        let password = form.field("password");
        let email = form.field("email").trim();
        Self {
            username: username_problem(form.field("username").trim()).map(str::to_owned),
            email: (!is_email(email)).then(|| "Invalid email address format".to_owned()),
            password: policy_problem(policy, password),
            repetition: repetition_problem(form),
        }
    }

    fn any(&self) -> bool {
        [&self.username, &self.email, &self.password, &self.repetition].into_iter().any(Option::is_some)
    }
}

/// What the pool's policy has against a new password.
pub(super) fn policy_problem(policy: &PasswordPolicy, password: &str) -> Option<String> {
    let violations = policy.violations(password);
    (!violations.is_empty())
        .then(|| format!("Password did not conform with policy: {}", violations.join("\n")))
}

pub(super) fn repetition_problem(form: &Params) -> Option<String> {
    (form.field("password") != form.field("password_again")).then(|| "The passwords differ".to_owned())
}

/// What the pool's policy asks for, said beforehand.
pub(super) fn policy_hint(policy: &PasswordPolicy) -> String {
    let wanted: Vec<&str> = [
        (policy.require_lowercase, "a lowercase letter"),
        (policy.require_uppercase, "an uppercase letter"),
        (policy.require_numbers, "a number"),
        (policy.require_symbols, "a symbol"),
    ]
    .into_iter()
    .filter_map(|(required, text)| required.then_some(text))
    .collect();
    let least = format!("At least {} characters", policy.minimum_length);
    match wanted.split_last() {
        None => format!("{least}."),
        Some((only, [])) => format!("{least}, with {only}."),
        Some((last, others)) => format!("{least}, with {} and {last}.", others.join(", ")),
    }
}

fn sign_up_page(
    visit: &Visit,
    status: StatusCode,
    form: &Params,
    problems: Problems,
) -> Result<Response, Refusal> {
    let request = &visit.request;
    let typed = !form.field("username").is_empty();
    let fields = [
        Field::text("username", "Username", form.field("username"))
            .autocomplete("username")
            .focus(problems.username.is_some() || !typed)
            .problem(problems.username),
        Field::email(form.field("email")).problem(problems.email),
        Field::password("password", "Password")
            .autocomplete("new-password")
            .hint(policy_hint(&visit.pool.directory().password_policy))
            .problem(problems.password),
        Field::password("password_again", "Password again")
            .autocomplete("new-password")
            .problem(problems.repetition),
    ];
    visit.page(status, |frame| SignUpTemplate {
        frame,
        action: request.link_with("/signup", &[]),
        fields,
        sign_in: request.link_with("/login", &[]),
    })
}
