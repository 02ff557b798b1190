//! Changing a password, and resetting a forgotten one.

use serde_json::{Value, json};

use super::account::{invented_delivery, signed_in};
use super::challenge::{client, require_secret_hash};
use super::input::Input;
use crate::http::state::AppState;
use crate::models::{User, UserStatus};
use crate::refusal::{Refusal, mailed_code};
use crate::sign_in::Verification;

pub(super) async fn forgot_password(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    let username = input.required("Username")?;
    require_secret_hash(&client, username, input.text("SecretHash")?)?;
    let user = pool.accounts.find(username).await?;
    if !client.hides_existence {
        require_resettable(user.as_ref())?;
    }
    pool.accounts.request_reset(username).await?;
    Ok(json!({ "CodeDeliveryDetails": invented_delivery(user.as_ref(), username) }))
}

/// Says why the password of a user cannot be reset, to a client that may know it.
fn require_resettable(user: Option<&User>) -> Result<(), Refusal> {
    let user = user.ok_or_else(Refusal::user_of_client_not_found)?;
    if !user.enabled {
        return Err(Refusal::user_disabled());
    }
    if user.status == UserStatus::ForceChangePassword {
        return Err(Refusal::reset_impossible());
    }
    if user.email_verified { Ok(()) } else { Err(Refusal::no_verified_address()) }
}

pub(super) async fn confirm_forgot_password(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    let username = input.required("Username")?;
    require_secret_hash(&client, username, input.text("SecretHash")?)?;
    let (code, password) = (input.required("ConfirmationCode")?, input.required("Password")?);
    require_policy(pool, password, "Password does not conform to policy")?;
    if !client.hides_existence && pool.accounts.find(username).await?.is_none() {
        return Err(Refusal::user_of_client_not_found());
    }
    mailed_code(pool.accounts.reset_password(username, code, password).await?)?;
    Ok(json!({}))
}

pub(super) async fn change_password(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    let (previous, proposed) = (input.required("PreviousPassword")?, input.required("ProposedPassword")?);
    match pool.sign_ins.verify_password(&user.username, previous).await? {
        Verification::Right(_) => {}
        Verification::Wrong => return Err(Refusal::incorrect_password()),
        Verification::Locked => return Err(Refusal::attempts_exceeded()),
    }
    require_policy(pool, proposed, "Password does not conform to policy")?;
    pool.accounts.change_password(&user, proposed).await?;
    Ok(json!({}))
}

/// Checks the policy of the pool. Cognito reports one violation at a time, with one of two introductions.
pub(super) fn require_policy(pool: &AppState, password: &str, introduction: &str) -> Result<(), Refusal> {
    match pool.directory.password_policy.violations(password).first() {
        Some(rule) => Err(Refusal::known("InvalidPasswordException", format!("{introduction}: {rule}"))),
        None => Ok(()),
    }
}
