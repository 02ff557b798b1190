//! `InitiateAuth` and `RespondToAuthChallenge`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::challenge::{client, parameter, progress, require_secret_hash};
use super::input::{Input, violation};
use super::password::require_policy;
use super::pool::require_pool;
use crate::auth_flow::{NewPassword, PasswordProof, Progress};
use crate::config::AuthFlow;
use crate::directory::Client;
use crate::http::state::AppState;
use crate::refusal::Refusal;

type Parameters = BTreeMap<String, String>;

pub(super) async fn initiate_auth(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    let flow = input.required("AuthFlow")?;
    let parameters = input.texts("AuthParameters")?;
    let outcome = match flow {
        "USER_PASSWORD_AUTH" => {
            require_flow(
                &client,
                AuthFlow::UserPasswordAuth,
                "USER_PASSWORD_AUTH flow not enabled for this client",
            )?;
            with_password(pool, &client, &parameters).await?
        }
        "USER_SRP_AUTH" => {
            require_flow(&client, AuthFlow::UserSrpAuth, "USER_SRP_AUTH is not enabled for the client.")?;
            with_srp(pool, &client, &parameters).await?
        }
        "USER_AUTH" => {
            require_flow(&client, AuthFlow::UserAuth, "USER_AUTH flow not enabled for this client")?;
            with_choice(pool, &client, &parameters).await?
        }
        "REFRESH_TOKEN_AUTH" | "REFRESH_TOKEN" => refresh(pool, &client, &parameters).await?,
        "CUSTOM_AUTH" => {
            return Err(Refusal::invalid_parameter("CUSTOM_AUTH is not enabled for the client."));
        }
        "ADMIN_NO_SRP_AUTH" | "ADMIN_USER_PASSWORD_AUTH" => {
            return Err(Refusal::invalid_parameter("Initiate Auth method not supported."));
        }
        _ => return Err(violation("AuthFlow", "Member must satisfy enum value set")),
    };
    Ok(progress(outcome))
}

/// The flows of a server with AWS credentials, and those that everybody may use.
pub(super) async fn admin_initiate_auth(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    match input.required("AuthFlow")? {
        "ADMIN_USER_PASSWORD_AUTH" | "ADMIN_NO_SRP_AUTH" => {
            let client = client(pool, input)?;
            let message = "Auth flow not enabled for this client";
            require_flow(&client, AuthFlow::AdminUserPasswordAuth, message)?;
            let parameters = input.texts("AuthParameters")?;
            Ok(progress(with_password(pool, &client, &parameters).await?))
        }
        _ => initiate_auth(pool, input).await,
    }
}

pub(super) async fn admin_respond_to_auth_challenge(
    pool: &AppState,
    input: &Input,
) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    respond_to_auth_challenge(pool, input).await
}

fn require_flow(client: &Client, flow: AuthFlow, message: &str) -> Result<(), Refusal> {
    if client.allows_auth(flow) { Ok(()) } else { Err(Refusal::invalid_parameter(message)) }
}

async fn with_password(
    pool: &AppState,
    client: &Arc<Client>,
    parameters: &Parameters,
) -> Result<Progress, Refusal> {
    let username = username(client, parameters)?;
    pool.auth_flows.with_password(client, username, parameter(parameters, "PASSWORD")?).await
}

async fn with_srp(
    pool: &AppState,
    client: &Arc<Client>,
    parameters: &Parameters,
) -> Result<Progress, Refusal> {
    let username = username(client, parameters)?;
    if !pool.auth_flows.passwords.stores_verifiers() {
        return Err(Refusal::invalid_parameter("USER_SRP_AUTH is not enabled for the client."));
    }
    pool.auth_flows.start_srp(client, username, parameter(parameters, "SRP_A")?).await
}

/// Begins with the preferred factor when the request contains what it needs, or else lets the user choose.
async fn with_choice(
    pool: &AppState,
    client: &Arc<Client>,
    parameters: &Parameters,
) -> Result<Progress, Refusal> {
    let has = |name: &str| parameters.get(name).is_some_and(|value| !value.is_empty());
    match parameters.get("PREFERRED_CHALLENGE").map(String::as_str) {
        Some("PASSWORD") if has("PASSWORD") => with_password(pool, client, parameters).await,
        Some("PASSWORD_SRP") if has("SRP_A") => with_srp(pool, client, parameters).await,
        Some("EMAIL_OTP") => pool.auth_flows.mail_code(client, username(client, parameters)?).await,
        _ => pool.auth_flows.choose(client, username(client, parameters)?).await,
    }
}

async fn refresh(
    pool: &AppState,
    client: &Arc<Client>,
    parameters: &Parameters,
) -> Result<Progress, Refusal> {
    require_flow(client, AuthFlow::RefreshTokenAuth, "REFRESH_TOKEN_AUTH flow not enabled for this client")?;
    let refresh_token = parameter(parameters, "REFRESH_TOKEN")?;
    if !client.is_public() {
        let username = pool.tokens.username_of(refresh_token).await?;
        let username = username.ok_or_else(|| Refusal::not_authorized("Invalid Refresh Token"))?;
        require_secret_hash(client, &username, parameters.get("SECRET_HASH").map(String::as_str))?;
    }
    Ok(Progress::Tokens(pool.tokens.refresh_grant(client, refresh_token.to_owned(), None).await?))
}

/// Returns the username of a request whose client has proven its secret.
fn username<'a>(client: &Client, parameters: &'a Parameters) -> Result<&'a str, Refusal> {
    let username = parameter(parameters, "USERNAME")?;
    require_secret_hash(client, username, parameters.get("SECRET_HASH").map(String::as_str))?;
    Ok(username)
}

pub(super) async fn respond_to_auth_challenge(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    respond(pool, &client, input).await
}

async fn respond(pool: &AppState, client: &Arc<Client>, input: &Input) -> Result<Value, Refusal> {
    let name = input.required("ChallengeName")?;
    let responses = input.texts("ChallengeResponses")?;
    let username = username(client, &responses)?;
    if name == "PASSWORD_VERIFIER" {
        let proof = PasswordProof {
            session: input.text("Session")?.map(str::to_owned),
            secret_block: parameter(&responses, "PASSWORD_CLAIM_SECRET_BLOCK")?.to_owned(),
            signature: parameter(&responses, "PASSWORD_CLAIM_SIGNATURE")?.to_owned(),
            timestamp: parameter(&responses, "TIMESTAMP")?.to_owned(),
        };
        return Ok(progress(pool.auth_flows.answer_srp(client, proof).await?));
    }
    let session = input.text("Session")?.ok_or_else(Refusal::session_invalid)?;
    let flows = &pool.auth_flows;
    let outcome = match name {
        "NEW_PASSWORD_REQUIRED" => {
            let answer = new_password(pool, &responses)?;
            flows.answer_new_password(client, session, username, answer).await?
        }
        "SOFTWARE_TOKEN_MFA" => {
            let code = parameter(&responses, "SOFTWARE_TOKEN_MFA_CODE")?;
            flows.answer_app_code(client, session, username, code).await?
        }
        "EMAIL_OTP" => {
            let code = parameter(&responses, "EMAIL_OTP_CODE")?;
            flows.answer_mailed_code(client, session, code).await?
        }
        "MFA_SETUP" => flows.answer_mfa_setup(client, session, username).await?,
        "SELECT_CHALLENGE" => select(pool, client, session, &responses).await?,
        _ => return Err(violation("ChallengeName", "Member must satisfy enum value set")),
    };
    Ok(progress(outcome))
}

fn new_password(pool: &AppState, responses: &Parameters) -> Result<NewPassword, Refusal> {
    let password = parameter(responses, "NEW_PASSWORD")?;
    require_policy(pool, password, "Password does not conform to policy")?;
    let attribute = |(name, value): (&String, &String)| {
        name.strip_prefix("userAttributes.").map(|name| (name.to_owned(), value.clone()))
    };
    Ok(NewPassword {
        password: password.to_owned(),
        attributes: responses.iter().filter_map(attribute).collect(),
    })
}

/// Begins with the factor that the user chose.
async fn select(
    pool: &AppState,
    client: &Arc<Client>,
    session: &str,
    responses: &Parameters,
) -> Result<Progress, Refusal> {
    let answer = parameter(responses, "ANSWER")?;
    if !matches!(answer, "PASSWORD" | "PASSWORD_SRP" | "EMAIL_OTP") {
        return Err(Refusal::invalid_parameter("ANSWER must be one of the available challenges"));
    }
    let login = pool.auth_flows.take_choice(client, session).await?;
    if !login.eq_ignore_ascii_case(parameter(responses, "USERNAME")?) {
        return Err(Refusal::session_invalid());
    }
    match answer {
        "PASSWORD" => with_password(pool, client, responses).await,
        "PASSWORD_SRP" => with_srp(pool, client, responses).await,
        _ => pool.auth_flows.mail_code(client, &login).await,
    }
}
