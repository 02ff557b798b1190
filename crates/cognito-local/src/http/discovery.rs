//! What clients and resource servers learn about the pool.

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::token::OAuthError;
use crate::pool::LocalPool;

/// The public keys, as Cognito publishes them at `<issuer>/.well-known/jwks.json`.
pub(super) async fn jwks(State(pool): State<LocalPool>) -> Result<Response, OAuthError> {
    let keys = pool.keys().jwks().await.map_err(OAuthError::internal)?;
    Ok(published(keys))
}

/// OpenID Connect Discovery 1.0, with the members that Cognito's document has.
pub(super) async fn openid_configuration(State(pool): State<LocalPool>) -> Response {
    let (origin, issuer) = (pool.origin(), pool.issuer());
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

/// Not cached by HTTP: verifiers have caches of their own, and a rotated key must be seen at once here.
fn published(document: Value) -> Response {
    ([(CACHE_CONTROL, "no-cache")], Json(document)).into_response()
}
