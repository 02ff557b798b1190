//! Discovery: the key set and the OpenID configuration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::OAuthError;
use crate::keys::KeyRing;
use crate::urls::PoolUrls;

/// Returns the public keys, as Cognito publishes them at `<issuer>/.well-known/jwks.json`.
pub(super) async fn jwks(State(keys): State<KeyRing>) -> Result<Response, OAuthError> {
    let keys = keys.jwks().await.map_err(OAuthError::internal)?;
    Ok(published(keys))
}

/// Returns the document of OpenID Connect Discovery 1.0 with the members that Cognito publishes.
pub(super) async fn openid_configuration(State(urls): State<Arc<PoolUrls>>) -> Response {
    let (origin, issuer) = (&urls.origin, &urls.issuer);
    published(json!({
        "authorization_endpoint": format!("{origin}/oauth2/authorize"),
        "end_session_endpoint": format!("{origin}/logout"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "revocation_endpoint": format!("{origin}/oauth2/revoke"),
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": format!("{origin}/oauth2/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": format!("{origin}/oauth2/userInfo"),
    }))
}

/// HTTP caches must revalidate: verifiers have their own caches, and a rotated key must be visible at once.
fn published(document: Value) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Json(document)).into_response()
}
