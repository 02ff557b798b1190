//! `/signup`: creating an account.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::authorize_request::{AuthorizeError, found};
use super::field::Field;
use super::page::Frame;
use super::sign_in_page::{SignInPage, Submission};
use crate::accounts::{Accounts, NewAccount, SignUp};
use crate::config::PasswordPolicy;
use crate::config::validation::{is_email, username_problem};
use crate::directory::Directory;
use crate::http::params::Params;

#[derive(Template)]
#[template(path = "signup.html")]
struct SignUpTemplate {
    frame: Frame,
    action: String,
    fields: [Field; 4],
    sign_in: String,
}

/// The problem of each field.
#[derive(Default)]
struct Problems {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
    repetition: Option<String>,
}

pub(super) async fn show_sign_up(
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
) -> Result<Response, AuthorizeError> {
    require_self_sign_up(&page, &directory)?;
    sign_up_page(&page, &directory.password_policy, StatusCode::OK, &Params::default(), Problems::default())
}

pub(super) async fn sign_up(
    State(accounts): State<Accounts>,
    State(directory): State<Arc<Directory>>,
    page: SignInPage,
    Submission(form): Submission,
) -> Result<Response, AuthorizeError> {
    require_self_sign_up(&page, &directory)?;
    let policy = &directory.password_policy;
    let problems = Problems::find(&form, policy);
    if problems.any() {
        return sign_up_page(&page, policy, StatusCode::BAD_REQUEST, &form, problems);
    }
    let username = form.field("username").trim();
    let account = NewAccount {
        username: username.to_owned(),
        email: Some(form.field("email").trim().to_owned()),
        password: form.field("password").to_owned(),
        attributes: BTreeMap::new(),
    };
    match accounts.sign_up(account).await.map_err(|e| page.failure(e))? {
        SignUp::Created(_) => Ok(found(&page.request.link_with("/confirm", &[("login_hint", username)]))),
        SignUp::UsernameTaken => {
            let username = Some("User already exists".to_owned());
            let problems = Problems { username, ..Problems::default() };
            sign_up_page(&page, policy, StatusCode::BAD_REQUEST, &form, problems)
        }
    }
}

fn require_self_sign_up(page: &SignInPage, directory: &Directory) -> Result<(), AuthorizeError> {
    if directory.self_sign_up {
        return Ok(());
    }
    Err(page.bad_request("You cannot sign up here", "In this pool, the administrator creates the accounts."))
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

/// Returns how a new password violates the policy.
pub(super) fn policy_problem(policy: &PasswordPolicy, password: &str) -> Option<String> {
    let violations = policy.violations(password);
    (!violations.is_empty())
        .then(|| format!("Password did not conform with policy: {}", violations.join("\n")))
}

pub(super) fn repetition_problem(form: &Params) -> Option<String> {
    (form.field("password") != form.field("password_again")).then(|| "The passwords do not match".to_owned())
}

/// Describes the policy for the hint of a password field.
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
    page: &SignInPage,
    policy: &PasswordPolicy,
    status: StatusCode,
    form: &Params,
    problems: Problems,
) -> Result<Response, AuthorizeError> {
    let request = &page.request;
    let typed = !form.field("username").is_empty();
    let fields = [
        Field::text("username", "Username", form.field("username"))
            .autocomplete("username")
            .focus(problems.username.is_some() || !typed)
            .problem(problems.username),
        Field::email(form.field("email")).problem(problems.email),
        Field::password("password", "Password")
            .autocomplete("new-password")
            .hint(policy_hint(policy))
            .problem(problems.password),
        Field::password("password_again", "Password again")
            .autocomplete("new-password")
            .problem(problems.repetition),
    ];
    page.render(status, |frame| SignUpTemplate {
        frame,
        action: request.link_with("/signup", &[]),
        fields,
        sign_in: request.link_with("/login", &[]),
    })
}
