//! Whose data it is.

use aws_lc_rs::digest::{SHA256, digest};
use cognito_auth::{AccessToken, Principal};

/// The partition that one caller's data lives in: an identity is the user pool and `sub` together, never `sub` alone.
///
/// It is made from a verified token, or by an administrator's route from a `sub` within the administrator's own pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(String);

impl Owner {
    /// The caller themselves. A machine's data lies apart from every user's, whatever its client id is.
    pub fn of(token: &AccessToken) -> Self {
        match token.principal() {
            Principal::User { sub, .. } => Self::user(token.user_pool_id(), sub),
            Principal::Machine { client_id } => Self(["CLIENT", token.user_pool_id(), client_id].join("#")),
        }
    }

    /// The user `sub` of a pool.
    pub fn user(user_pool_id: &str, sub: &str) -> Self {
        Self(["USER", user_pool_id, sub].join("#"))
    }

    /// The partition key.
    pub fn partition_key(&self) -> &str {
        &self.0
    }

    /// A name for the owner that has a fixed length and says nothing about them: 128 bits of SHA-256, as hexadecimal digits.
    pub fn digest(&self) -> String {
        let digest = digest(&SHA256, self.0.as_bytes());
        digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
