//! Administration of users.

use serde_json::{Value, json};

use super::account::{add_mfa, attribute_list};
use super::input::{Input, violation};
use super::paging::PageRequest;
use super::password::require_policy;
use super::pool::require_pool;
use super::software_token::app_preference;
use crate::accounts::{Invitation, NewUser};
use crate::config::validation::username_problem;
use crate::http::state::AppState;
use crate::models::User;
use crate::refusal::Refusal;
use crate::secret::random_password;
use crate::store::users::login_key;
use crate::user_filter::UserFilter;

/// Returns the username of a request for this pool.
pub(super) fn username<'a>(pool: &AppState, input: &'a Input) -> Result<&'a str, Refusal> {
    require_pool(pool, input)?;
    input.required("Username")
}

pub(super) async fn admin_create_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let username = username(pool, input)?;
    let password = temporary_password(pool, input)?;
    let user = match input.text("MessageAction")? {
        Some("RESEND") => pool.accounts.invite_again(username, password).await?,
        None => create(pool, input, password, Invitation::Mailed).await?,
        Some("SUPPRESS") => create(pool, input, password, Invitation::Suppressed).await?,
        Some(_) => {
            return Err(violation("MessageAction", "Member must satisfy enum value set: [RESEND, SUPPRESS]"));
        }
    };
    Ok(json!({ "User": user_with_attributes(&user, "Attributes") }))
}

async fn create(
    pool: &AppState,
    input: &Input,
    temporary_password: String,
    invitation: Invitation,
) -> Result<User, Refusal> {
    let username = input.required("Username")?.to_owned();
    if let Some(problem) = username_problem(&username) {
        return Err(Refusal::invalid_parameter(problem));
    }
    let attributes = input.attributes("UserAttributes")?;
    pool.accounts.create(NewUser { username, temporary_password, attributes }, invitation).await
}

fn temporary_password(pool: &AppState, input: &Input) -> Result<String, Refusal> {
    match input.text("TemporaryPassword")? {
        Some(password) => {
            require_policy(pool, password, "Password did not conform with policy")?;
            Ok(password.to_owned())
        }
        None => Ok(random_password(pool.directory.password_policy.minimum_length.into())?),
    }
}

pub(super) async fn admin_get_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = pool.accounts.named(username(pool, input)?).await?;
    let mut output = user_with_attributes(&user, "UserAttributes");
    add_mfa(&mut output, &user);
    Ok(output)
}

/// Cognito names the list of attributes differently in different responses.
pub(super) fn user_with_attributes(user: &User, list: &str) -> Value {
    json!({
        "Username": user.username,
        list: attribute_list(user),
        "UserCreateDate": user.created_at,
        "UserLastModifiedDate": user.modified_at,
        "Enabled": user.enabled,
        "UserStatus": user.status.as_str(),
    })
}

pub(super) async fn admin_set_user_password(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let username = username(pool, input)?;
    let password = input.required("Password")?;
    require_policy(pool, password, "Password does not conform to policy")?;
    pool.accounts.set_password(username, password, input.flag("Permanent")?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_confirm_sign_up(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.accounts.confirm_by_administrator(username(pool, input)?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_update_user_attributes(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let username = username(pool, input)?;
    pool.accounts.set_attributes(username, input.attributes("UserAttributes")?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_delete_user_attributes(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let username = username(pool, input)?;
    pool.accounts.remove_attributes(username, input.list("UserAttributeNames")?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_delete_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.accounts.delete_named(username(pool, input)?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_disable_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.accounts.set_enabled(username(pool, input)?, false).await?;
    Ok(json!({}))
}

pub(super) async fn admin_enable_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.accounts.set_enabled(username(pool, input)?, true).await?;
    Ok(json!({}))
}

pub(super) async fn admin_reset_user_password(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.accounts.require_reset(username(pool, input)?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_user_global_sign_out(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.accounts.sign_out_named(username(pool, input)?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_set_user_mfa_preference(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let username = username(pool, input)?;
    if let Some(preference) = app_preference(input)? {
        pool.accounts.prefer_app_of(username, preference).await?;
    }
    Ok(json!({}))
}

pub(super) async fn list_users(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    let page = PageRequest::read(input, "Limit", "PaginationToken")?;
    let filter = match input.text("Filter")?.filter(|text| !text.trim().is_empty()) {
        None => None,
        Some(text) => Some(UserFilter::parse(text).ok_or_else(|| {
            Refusal::invalid_parameter("One or more parameters were invalid: Error while parsing filter")
        })?),
    };
    let wanted = move |user: &User| filter.as_ref().is_none_or(|filter| filter.matches(user));
    let users = pool.accounts.page(None, page.after.clone(), page.limit_and_one(), wanted).await?;
    let mut output = json!({});
    let users = page.finish(&mut output, "PaginationToken", users, |user| login_key(&user.username));
    let names = input.list("AttributesToGet")?;
    output["Users"] = users.iter().map(|user| listed(user, &names)).collect();
    Ok(output)
}

/// A user of a list, with the named attributes or with all.
fn listed(user: &User, names: &[String]) -> Value {
    let mut output = user_with_attributes(user, "Attributes");
    if let Some(attributes) = output["Attributes"].as_array_mut()
        && !names.is_empty()
    {
        attributes.retain(|attribute| names.iter().any(|name| attribute["Name"] == **name));
    }
    output
}
