//! Creating an account, and confirming it.

use serde_json::{Value, json};

use super::account::{delivery, invented_delivery};
use super::challenge::{client, require_secret_hash};
use super::input::Input;
use super::password::require_policy;
use crate::accounts::{NewAccount, SignUp};
use crate::attributes;
use crate::config::validation::username_problem;
use crate::http::state::AppState;
use crate::refusal::{Refusal, mailed_code};

pub(super) async fn sign_up(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    let username = input.required("Username")?;
    require_secret_hash(&client, username, input.text("SecretHash")?)?;
    if !pool.directory.self_sign_up {
        return Err(Refusal::not_authorized("SignUp is not permitted for this user pool"));
    }
    if let Some(problem) = username_problem(username) {
        return Err(Refusal::invalid_parameter(problem));
    }
    let password = input.text("Password")?.unwrap_or_default();
    require_policy(pool, password, "Password did not conform with policy")?;
    let (email, attributes) = attributes::of_new_account(&input.attributes("UserAttributes")?)?;
    let account =
        NewAccount { username: username.to_owned(), email, password: password.to_owned(), attributes };
    match pool.accounts.sign_up(account).await? {
        SignUp::UsernameTaken => Err(Refusal::username_exists()),
        SignUp::Created(user) => {
            let mut output = json!({ "UserConfirmed": false, "UserSub": user.sub });
            if let Some(email) = &user.email {
                output["CodeDeliveryDetails"] = delivery(email);
            }
            Ok(output)
        }
    }
}

pub(super) async fn confirm_sign_up(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    let username = input.required("Username")?;
    require_secret_hash(&client, username, input.text("SecretHash")?)?;
    let code = input.required("ConfirmationCode")?;
    if !client.hides_existence {
        let user = pool.accounts.find(username).await?.ok_or_else(Refusal::user_of_client_not_found)?;
        if user.is_confirmed() {
            let status = user.status.as_str();
            return Err(Refusal::not_authorized(format!(
                "User cannot be confirmed. Current status is {status}"
            )));
        }
    }
    mailed_code(pool.accounts.confirm(username, code).await?)?;
    Ok(json!({}))
}

pub(super) async fn resend_confirmation_code(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    let username = input.required("Username")?;
    require_secret_hash(&client, username, input.text("SecretHash")?)?;
    let user = pool.accounts.find(username).await?;
    if !client.hides_existence {
        let user = user.as_ref().ok_or_else(Refusal::user_of_client_not_found)?;
        if user.is_confirmed() {
            return Err(Refusal::invalid_parameter("User is already confirmed."));
        }
    }
    pool.accounts.resend_confirmation(username).await?;
    Ok(json!({ "CodeDeliveryDetails": invented_delivery(user.as_ref(), username) }))
}
