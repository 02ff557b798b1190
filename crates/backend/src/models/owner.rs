//! Whose data it is.

use aws_lc_rs::digest::{SHA256, digest};
use cognito_auth::{AccessToken, Principal};
use serde::Deserialize;
use utoipa::ToSchema;

/// The partition that one caller's data lives in: an identity is the user pool and `sub` together, never `sub` alone.
///
/// It is made from a verified token, or by an administrator's route from a `sub` within the administrator's own pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(String);

impl Owner {
    /// The caller themselves. A machine's data lies apart from every user's, whatever its client id is.
    pub fn of(token: &AccessToken) -> Self {
        match token.principal() {
            Principal::Machine { client_id } => Self(["CLIENT", token.user_pool_id(), client_id].join("#")),
            _ => Self::user(token.user_pool_id(), token.sub()),
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

/// The `sub` of a user of the administrator's own pool: 1 to 128 visible ASCII characters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 128, pattern = "^[!-~]+$", example = "9b2d1c4e-6a7f-4e21-8c3d-5f60718293a4")]
pub struct UserSub(String);

impl TryFrom<String> for UserSub {
    type Error = &'static str;

    fn try_from(sub: String) -> Result<Self, Self::Error> {
        let is_visible = sub.bytes().all(|byte| byte.is_ascii_graphic());
        if (1..=128).contains(&sub.len()) && is_visible {
            Ok(Self(sub))
        } else {
            Err("a user's `sub` has 1 to 128 visible ASCII characters")
        }
    }
}

impl UserSub {
    /// The `sub`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
