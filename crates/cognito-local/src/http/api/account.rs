//! The account of a signed-in user.

use serde_json::{Value, json};

use super::input::Input;
use crate::attributes;
use crate::config::FirstFactor;
use crate::http::state::AppState;
use crate::mail::masked_address;
use crate::models::User;
use crate::refusal::Refusal;
use crate::tokens::{API_SCOPE, ActiveToken};

/// Returns the user whose access token the request contains.
pub(super) async fn signed_in(pool: &AppState, input: &Input) -> Result<ActiveToken, Refusal> {
    let token = pool.tokens.active_token(input.required("AccessToken")?).await?;
    if token.scope.split(' ').any(|scope| scope == API_SCOPE) {
        Ok(token)
    } else {
        Err(Refusal::not_authorized("Access Token does not have required scopes"))
    }
}

pub(super) async fn get_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    let mut output = json!({ "Username": user.username, "UserAttributes": attribute_list(&user) });
    add_mfa(&mut output, &user);
    Ok(output)
}

pub(super) async fn delete_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    pool.accounts.delete(&user.sub).await?;
    Ok(json!({}))
}

pub(super) async fn update_user_attributes(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    let changed = pool.accounts.update_attributes(&user.sub, input.attributes("UserAttributes")?).await?;
    let deliveries: Vec<Value> =
        changed.and_then(|user| user.email).map(|email| delivery(&email)).into_iter().collect();
    Ok(json!({ "CodeDeliveryDetailsList": deliveries }))
}

pub(super) async fn delete_user_attributes(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    pool.accounts.delete_attributes(&user.sub, input.list("UserAttributeNames")?).await?;
    Ok(json!({}))
}

pub(super) async fn get_user_attribute_verification_code(
    pool: &AppState,
    input: &Input,
) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    require_email(input)?;
    let user = pool.accounts.mail_verification(&user.sub).await?;
    Ok(json!({ "CodeDeliveryDetails": invented_delivery(Some(&user), "") }))
}

pub(super) async fn verify_user_attribute(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    require_email(input)?;
    pool.accounts.verify_email(&user.sub, input.required("Code")?).await?;
    Ok(json!({}))
}

fn require_email(input: &Input) -> Result<(), Refusal> {
    if input.required("AttributeName")? == "email" {
        return Ok(());
    }
    Err(Refusal::invalid_parameter("Invalid attribute name. Only phone_number and email can be verified."))
}

pub(super) async fn get_user_auth_factors(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    let mailed = user.email_verified && pool.directory.first_factors.contains(&FirstFactor::EmailOtp);
    let factors: Vec<&str> = ["PASSWORD"].into_iter().chain(mailed.then_some("EMAIL_OTP")).collect();
    let mut output = json!({ "Username": user.username, "ConfiguredUserAuthFactors": factors });
    add_mfa(&mut output, &user);
    Ok(output)
}

/// Adds the members that describe the second factor, which are absent without one.
pub(super) fn add_mfa(output: &mut Value, user: &User) {
    if user.totp_enabled {
        output["UserMFASettingList"] = json!(["SOFTWARE_TOKEN_MFA"]);
    }
    if user.totp_preferred {
        output["PreferredMfaSetting"] = json!("SOFTWARE_TOKEN_MFA");
    }
}

pub(super) fn attribute_list(user: &User) -> Vec<Value> {
    attributes::list(user).iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect()
}

/// Describes where a code was mailed.
pub(super) fn delivery(email: &str) -> Value {
    json!({ "Destination": masked_address(email), "DeliveryMedium": "EMAIL", "AttributeName": "email" })
}

/// Describes where a code was mailed, or would have been if such a user existed.
pub(super) fn invented_delivery(user: Option<&User>, login: &str) -> Value {
    delivery(user.and_then(|user| user.email.as_deref()).unwrap_or(login))
}
