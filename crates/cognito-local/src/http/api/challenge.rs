//! What the operations of sign-in have in common: the client, its secret, challenges and tokens as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::input::Input;
use crate::attributes;
use crate::auth_flow::{Challenge, Progress};
use crate::directory::Client;
use crate::http::state::AppState;
use crate::models::User;
use crate::refusal::Refusal;
use crate::tokens::TokenResponse;

/// Returns the client that the request names.
pub(super) fn client(pool: &AppState, input: &Input) -> Result<Arc<Client>, Refusal> {
    let id = input.required("ClientId")?;
    let client = pool.directory.client(id);
    client.cloned().ok_or_else(|| Refusal::not_found(format!("User pool client {id} does not exist.")))
}

/// Checks that the caller knows the secret of a client that has one.
pub(super) fn require_secret_hash(
    client: &Client,
    username: &str,
    presented: Option<&str>,
) -> Result<(), Refusal> {
    if client.is_public() {
        return Ok(());
    }
    let id = &client.id;
    let Some(presented) = presented else {
        return Err(Refusal::not_authorized(format!(
            "Client {id} is configured with secret but SECRET_HASH was not received"
        )));
    };
    if client.has_secret_hash(username, presented) {
        Ok(())
    } else {
        Err(Refusal::not_authorized(format!("Unable to verify secret hash for client {id}")))
    }
}

/// Returns a parameter that a flow or a challenge needs.
pub(super) fn parameter<'a>(
    parameters: &'a BTreeMap<String, String>,
    name: &str,
) -> Result<&'a str, Refusal> {
    let value = parameters.get(name).filter(|value| !value.is_empty());
    value
        .map(String::as_str)
        .ok_or_else(|| Refusal::invalid_parameter(format!("Missing required parameter {name}")))
}

/// The response of `InitiateAuth` and `RespondToAuthChallenge`.
pub(super) fn progress(progress: Progress) -> Value {
    let (challenge, session) = match progress {
        Progress::Tokens(tokens) => {
            return json!({
                "AuthenticationResult": authentication_result(tokens),
                "ChallengeParameters": {},
            });
        }
        Progress::Challenge { challenge, session } => (challenge, session),
    };
    let (name, parameters) = match challenge {
        Challenge::Select(available) => {
            return json!({
                "ChallengeName": "SELECT_CHALLENGE",
                "ChallengeParameters": {},
                "AvailableChallenges": available,
                "Session": session,
            });
        }
        Challenge::PasswordVerifier { user_id, salt, server_public, secret_block } => (
            "PASSWORD_VERIFIER",
            json!({
                "SALT": salt,
                "SECRET_BLOCK": secret_block,
                "SRP_B": server_public,
                "USERNAME": user_id,
                "USER_ID_FOR_SRP": user_id,
            }),
        ),
        Challenge::NewPasswordRequired(user) => ("NEW_PASSWORD_REQUIRED", new_password_parameters(&user)),
        Challenge::SoftwareTokenMfa(user) => {
            ("SOFTWARE_TOKEN_MFA", json!({ "USER_ID_FOR_SRP": user.username }))
        }
        Challenge::MfaSetup(user) => (
            "MFA_SETUP",
            json!({ "MFAS_CAN_SETUP": "[\"SOFTWARE_TOKEN_MFA\"]", "USER_ID_FOR_SRP": user.username }),
        ),
        Challenge::EmailOtp { username, destination } => (
            "EMAIL_OTP",
            json!({
                "CODE_DELIVERY_DELIVERY_MEDIUM": "EMAIL",
                "CODE_DELIVERY_DESTINATION": destination,
                "USERNAME": username,
            }),
        ),
    };
    json!({ "ChallengeName": name, "ChallengeParameters": parameters, "Session": session })
}

/// All parameters are texts: the attributes are JSON in a string.
fn new_password_parameters(user: &User) -> Value {
    let attributes: BTreeMap<_, _> =
        attributes::list(user).into_iter().filter(|(name, _)| *name != "sub").collect();
    json!({
        "USER_ID_FOR_SRP": user.username,
        "userAttributes": json!(attributes).to_string(),
        "requiredAttributes": "[]",
    })
}

pub(super) fn authentication_result(tokens: TokenResponse) -> Value {
    let mut result = json!({
        "AccessToken": tokens.access_token,
        "ExpiresIn": tokens.expires_in,
        "TokenType": tokens.token_type,
    });
    if let Some(id_token) = tokens.id_token {
        result["IdToken"] = id_token.into();
    }
    if let Some(refresh_token) = tokens.refresh_token {
        result["RefreshToken"] = refresh_token.into();
    }
    result
}
