//! Refreshing and revoking tokens.

use std::sync::Arc;

use serde_json::{Value, json};

use super::account::signed_in;
use super::challenge::{authentication_result, client};
use super::input::Input;
use crate::directory::Client;
use crate::http::state::AppState;
use crate::refusal::Refusal;
use crate::tokens::GrantError;

pub(super) async fn get_tokens_from_refresh_token(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    require_secret(&client, input)?;
    let refresh_token = input.required("RefreshToken")?.to_owned();
    let tokens = pool.tokens.refresh_grant(&client, refresh_token, None).await?;
    Ok(json!({ "AuthenticationResult": authentication_result(tokens) }))
}

pub(super) async fn revoke_token(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let client = client(pool, input)?;
    require_secret(&client, input)?;
    let token = input.required("Token")?;
    // Access and ID tokens consist of parts, refresh tokens do not.
    if token.contains('.') {
        return Err(Refusal::known("UnsupportedTokenTypeException", "Only refresh tokens can be revoked."));
    }
    match pool.tokens.revoke(&client, token).await {
        Ok(()) => Ok(json!({})),
        Err(GrantError::Unauthorized) => {
            Err(Refusal::known("UnauthorizedException", "The token was issued to another client."))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn global_sign_out(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = signed_in(pool, input).await?.user;
    pool.accounts.sign_out_everywhere(&user.sub).await?;
    Ok(json!({}))
}

/// These two operations take the secret itself, not a hash.
fn require_secret(client: &Arc<Client>, input: &Input) -> Result<(), Refusal> {
    let proven = match input.text("ClientSecret")? {
        Some(secret) => client.has_secret(secret),
        None => client.is_public(),
    };
    if proven {
        Ok(())
    } else {
        Err(Refusal::not_authorized(format!("Unable to verify secret for client {}", client.id)))
    }
}
