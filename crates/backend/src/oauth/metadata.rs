//! The metadata of the authorization server (RFC 8414).

use axum::extract::State;
use serde::Serialize;

use super::{authorize, register, sign_in, token};
use crate::{App, auth::checked_scopes, extract::Json, problem::Problem};

/// Where the document is: the issuer has no path (RFC 8414, section 3).
pub(crate) const PATH: &str = "/.well-known/oauth-authorization-server";

/// The document. It has no empty members, which some clients reject.
#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: String,
    scopes_supported: Vec<&'static str>,
    response_types_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 2],
    token_endpoint_auth_methods_supported: [&'static str; 1],
    code_challenge_methods_supported: [&'static str; 1],
    /// Only the broker sees the response to the client, and adds `iss` to it (RFC 9207).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    authorization_response_iss_parameter_supported: bool,
}

/// Describes the authorization server.
pub(super) async fn show(State(app): State<App>) -> Result<Json<Metadata>, Problem> {
    let (config, sign_in) = (app.config(), sign_in(&app)?);
    let own = |path: &str| format!("{}{path}", config.resource());
    let has_broker = sign_in.broker_key.is_some();
    Ok(Json(Metadata {
        issuer: config.resource().to_owned(),
        authorization_endpoint: own(authorize::PATH),
        token_endpoint: if has_broker { own(token::PATH) } else { sign_in.endpoint("/oauth2/token") },
        registration_endpoint: own(register::PATH),
        scopes_supported: checked_scopes(config).map(|(scope, _)| scope).collect(),
        response_types_supported: ["code"],
        grant_types_supported: ["authorization_code", "refresh_token"],
        token_endpoint_auth_methods_supported: ["none"],
        code_challenge_methods_supported: ["S256"],
        authorization_response_iss_parameter_supported: has_broker,
    }))
}
