//! The pool and its clients, as they are configured.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::challenge::client;
use super::input::Input;
use super::paging::PageRequest;
use crate::config::{AuthFlow, FirstFactor, Mfa, OAuthFlow};
use crate::directory::Client;
use crate::http::state::AppState;
use crate::refusal::Refusal;

/// Checks that the request is for this pool.
pub(super) fn require_pool(pool: &AppState, input: &Input) -> Result<(), Refusal> {
    let id = input.required("UserPoolId")?;
    if id == pool.urls.pool_id {
        Ok(())
    } else {
        Err(Refusal::not_found(format!("User pool {id} does not exist.")))
    }
}

pub(super) async fn describe_user_pool(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    let directory = &pool.directory;
    let policy = &directory.password_policy;
    let id = &pool.urls.pool_id;
    let region = id.rsplit_once('_').map_or("", |(region, _)| region);
    let factors = directory.first_factors.iter().map(|factor| match factor {
        FirstFactor::Password => "PASSWORD",
        FirstFactor::EmailOtp => "EMAIL_OTP",
    });
    Ok(json!({ "UserPool": {
        "Id": id,
        "Name": pool.urls.pool_name(),
        "Arn": format!("arn:aws:cognito-idp:{region}:000000000000:userpool/{id}"),
        "Policies": {
            "PasswordPolicy": {
                "MinimumLength": policy.minimum_length,
                "RequireLowercase": policy.require_lowercase,
                "RequireUppercase": policy.require_uppercase,
                "RequireNumbers": policy.require_numbers,
                "RequireSymbols": policy.require_symbols,
                "TemporaryPasswordValidityDays": 7,
            },
            "SignInPolicy": { "AllowedFirstAuthFactors": factors.collect::<Vec<_>>() },
        },
        "MfaConfiguration": match directory.mfa {
            Mfa::Off => "OFF",
            Mfa::Optional => "OPTIONAL",
            Mfa::Required => "ON",
        },
        "AliasAttributes": ["email"],
        "AutoVerifiedAttributes": ["email"],
        "UsernameConfiguration": { "CaseSensitive": false },
        "AdminCreateUserConfig": { "AllowAdminCreateUserOnly": !directory.self_sign_up },
        "DeletionProtection": "INACTIVE",
        "EstimatedNumberOfUsers": pool.accounts.count().await?,
    } }))
}

pub(super) async fn list_user_pools(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    PageRequest::read(input, "MaxResults", "NextToken")?;
    Ok(json!({ "UserPools": [{ "Id": pool.urls.pool_id, "Name": pool.urls.pool_name() }] }))
}

pub(super) async fn describe_user_pool_client(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    let client = client(pool, input)?;
    Ok(json!({ "UserPoolClient": description(&pool.urls.pool_id, &client) }))
}

pub(super) async fn list_user_pool_clients(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    let page = PageRequest::read(input, "MaxResults", "NextToken")?;
    let clients = pool.directory.clients();
    let later = clients.into_iter().filter(|client| client.id > page.after);
    let mut output = json!({});
    let clients =
        page.finish(&mut output, "NextToken", later.take(page.limit_and_one()).collect(), |client| {
            client.id.clone()
        });
    let clients = clients.iter().map(
        |client| json!({ "ClientId": client.id, "ClientName": client.name, "UserPoolId": pool.urls.pool_id }),
    );
    output["UserPoolClients"] = clients.collect();
    Ok(output)
}

fn description(pool_id: &str, client: &Client) -> Value {
    let config = &client.config;
    let seconds = json!({ "AccessToken": "seconds", "IdToken": "seconds", "RefreshToken": "seconds" });
    let mut description = json!({
        "UserPoolId": pool_id,
        "ClientId": client.id,
        "ClientName": client.name,
        "ExplicitAuthFlows": auth_flows(client),
        "AuthSessionValidity": config.auth_session_minutes,
        "AccessTokenValidity": config.lifetimes.access_token_seconds,
        "IdTokenValidity": config.lifetimes.id_token_seconds,
        "RefreshTokenValidity": config.lifetimes.refresh_token_seconds,
        "TokenValidityUnits": seconds,
        "CallbackURLs": config.callback_urls,
        "LogoutURLs": config.logout_urls,
        "AllowedOAuthFlows": config.flows.iter().map(|flow| match flow {
            OAuthFlow::Code => "code",
            OAuthFlow::ClientCredentials => "client_credentials",
        }).collect::<Vec<_>>(),
        "AllowedOAuthScopes": config.scopes,
        "AllowedOAuthFlowsUserPoolClient": true,
        "SupportedIdentityProviders": ["COGNITO"],
        "PreventUserExistenceErrors": if client.hides_existence { "ENABLED" } else { "LEGACY" },
        "EnableTokenRevocation": true,
    });
    if let Some(secret) = &client.secret {
        description["ClientSecret"] = secret.expose_secret().into();
    }
    if let Some(rotation) = client.rotation {
        description["RefreshTokenRotation"] = json!({
            "Feature": "ENABLED",
            "RetryGracePeriodSeconds": rotation.retry_grace_period_seconds,
        });
    }
    description
}

fn auth_flows(client: &Client) -> Vec<&'static str> {
    [
        (AuthFlow::UserSrpAuth, "ALLOW_USER_SRP_AUTH"),
        (AuthFlow::UserPasswordAuth, "ALLOW_USER_PASSWORD_AUTH"),
        (AuthFlow::AdminUserPasswordAuth, "ALLOW_ADMIN_USER_PASSWORD_AUTH"),
        (AuthFlow::UserAuth, "ALLOW_USER_AUTH"),
        (AuthFlow::RefreshTokenAuth, "ALLOW_REFRESH_TOKEN_AUTH"),
    ]
    .into_iter()
    .filter_map(|(flow, name)| client.allows_auth(flow).then_some(name))
    .collect()
}
