//! What a client needs to know to get a token for this API (RFC 9728).

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, Config, auth::checked_scopes, extract::Json};

/// Where the document is (RFC 9728 §3).
pub(crate) const PATH: &str = "/.well-known/oauth-protected-resource";

/// Where the document of the MCP endpoint is: the well-known path goes before the resource's path (RFC 9728 §3.1).
pub(crate) const MCP_METADATA_PATH: &str = "/.well-known/oauth-protected-resource/mcp";

/// The metadata of this protected resource (RFC 9728 §2).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProtectedResourceMetadata {
    /// The API's own URL; tokens that are bound to a resource (RFC 8707) must name it.
    #[schema(example = "https://api.example.com")]
    resource: String,
    /// Who issues the tokens.
    #[schema(example = json!(["https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"]))]
    authorization_servers: Vec<String>,
    /// Which scopes there are.
    #[schema(example = json!(["items/read", "items/write"]))]
    scopes_supported: Vec<String>,
    /// How to send the token: in the header only.
    #[schema(example = json!(["header"]))]
    bearer_methods_supported: Vec<String>,
    /// The name of this API for people.
    #[schema(example = "Items")]
    resource_name: String,
    /// Where people read about it.
    #[schema(example = "https://api.example.com/docs")]
    resource_documentation: String,
}

/// How to get a token for this API.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "documentation",
    responses((status = OK, body = ProtectedResourceMetadata)))]
pub(crate) async fn show_resource_metadata(State(app): State<App>) -> Json<ProtectedResourceMetadata> {
    let config = app.config();
    Json(document(config, config.resource().to_owned(), issuer(config)))
}

/// How to get a token for the MCP endpoint: from this server's own sign-in, where there is one.
pub(crate) async fn show_mcp_metadata(State(app): State<App>) -> Json<ProtectedResourceMetadata> {
    let config = app.config();
    let has_sign_in = config.mcp.as_ref().is_some_and(|mcp| mcp.sign_in.is_some());
    let server = if has_sign_in { Some(config.resource().to_owned()) } else { issuer(config) };
    Json(document(config, config.mcp_resource(), server))
}

fn issuer(config: &Config) -> Option<String> {
    config.cognito.user_pool.issuers().into_iter().next()
}

fn document(
    config: &Config,
    resource: String,
    authorization_server: Option<String>,
) -> ProtectedResourceMetadata {
    ProtectedResourceMetadata {
        resource,
        authorization_servers: authorization_server.into_iter().collect(),
        scopes_supported: checked_scopes(config).map(|(scope, _)| scope.to_owned()).collect(),
        bearer_methods_supported: vec!["header".to_owned()],
        resource_name: "Items".to_owned(),
        resource_documentation: format!("{}/docs", config.resource()),
    }
}
