//! The caller, as the access token describes them.

use cognito_auth::{AccessToken, Principal};
use serde::Serialize;
use utoipa::ToSchema;

use super::Timestamp;

/// Who calls, as the access token says.
#[derive(Debug, Serialize, ToSchema)]
pub struct CurrentUser<'a> {
    /// Whether a person or a machine calls.
    kind: CallerKind,
    /// The user's id in the pool; together with `user_pool_id` it is their identity. `null` for a machine.
    #[schema(example = "9b2d1c4e-6a7f-4e21-8c3d-5f60718293a4", required = true)]
    sub: Option<&'a str>,
    /// The name that the user signs in with. `null` for a machine.
    #[schema(example = "alice", required = true)]
    username: Option<&'a str>,
    /// The user pool.
    #[schema(example = "eu-west-1_AbCdEfGhI")]
    user_pool_id: &'a str,
    /// The app client that the token was issued to.
    #[schema(example = "1example23456789")]
    client_id: &'a str,
    /// The user's groups.
    #[schema(example = json!(["admins"]))]
    groups: &'a [String],
    /// What the token may be used for.
    #[schema(example = json!(["items/read", "items/write"]))]
    scopes: Vec<&'a str>,
    /// Until when the token is valid.
    expires_at: Timestamp,
}

/// Who can call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// A person who signed in.
    User,
    /// A program with credentials of its own.
    Machine,
}

impl<'a> CurrentUser<'a> {
    /// Reads the caller from their token.
    pub fn of(token: &'a AccessToken) -> Self {
        let (kind, sub, username) = match token.principal() {
            Principal::User { sub, username, .. } => (CallerKind::User, Some(sub), Some(username)),
            _ => (CallerKind::Machine, None, None),
        };
        Self {
            kind,
            sub,
            username,
            user_pool_id: token.user_pool_id(),
            client_id: token.client_id(),
            groups: token.groups(),
            scopes: token.scopes().collect(),
            expires_at: Timestamp::at(token.expires_at().into()),
        }
    }
}
