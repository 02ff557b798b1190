//! Setting up an authenticator app, and choosing when it is asked for.

use serde_json::{Value, json};
use totp_rs::Secret;

use super::account::signed_in;
use super::input::Input;
use crate::accounts::AppPreference;
use crate::http::state::AppState;
use crate::refusal::Refusal;

pub(super) async fn associate_software_token(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let base32 = |secret: Vec<u8>| Secret::from(&*secret).to_base32();
    if let Some(session) = input.text("Session")? {
        let (secret, session) = pool.auth_flows.associate_app(session).await?;
        return Ok(json!({ "SecretCode": base32(secret), "Session": session }));
    }
    let user = signed_in(pool, input).await?.user;
    Ok(json!({ "SecretCode": base32(pool.accounts.associate_app(&user.sub).await?) }))
}

pub(super) async fn verify_software_token(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let code = input.required("UserCode")?;
    if let Some(session) = input.text("Session")? {
        let session = pool.auth_flows.verify_app(session, code).await?;
        return Ok(json!({ "Status": "SUCCESS", "Session": session }));
    }
    let user = signed_in(pool, input).await?.user;
    pool.accounts.verify_app(&user.sub, code).await?;
    Ok(json!({ "Status": "SUCCESS" }))
}

pub(super) async fn set_user_mfa_preference(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    if let Some(preference) = app_preference(input)? {
        pool.accounts.prefer_app(&user.sub, preference).await?;
    }
    Ok(json!({}))
}

/// Reads which factors to turn on. Authenticator apps are the only ones that this pool has.
pub(super) fn app_preference(input: &Input) -> Result<Option<AppPreference>, Refusal> {
    for (member, factor) in [("SMSMfaSettings", "SMS_MFA"), ("EmailMfaSettings", "EMAIL_OTP")] {
        if input.structure(member)?.is_some_and(|settings| settings.flag("Enabled").unwrap_or(true)) {
            return Err(Refusal::invalid_parameter(format!(
                "User does not have delivery config set to turn on {factor}"
            )));
        }
    }
    let Some(settings) = input.structure("SoftwareTokenMfaSettings")? else { return Ok(None) };
    Ok(Some(AppPreference { enabled: settings.flag("Enabled")?, preferred: settings.flag("PreferredMfa")? }))
}
