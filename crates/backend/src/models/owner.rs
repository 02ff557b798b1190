//! Owners: the partitions of the table.

use aws_lc_rs::digest::{SHA256, digest};
use cognito_auth::{AccessToken, Principal};
use serde::Deserialize;
use utoipa::ToSchema;

/// The partition of one caller's data. A user is identified by user pool and `sub` together, never by `sub` alone.
///
/// It comes from a verified token or, in administrators' routes, from a `sub` in the administrator's own pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(String);

impl Owner {
    /// Returns the owner that a token stands for. Machine clients and users never share a partition.
    pub fn of(token: &AccessToken) -> Self {
        match token.principal() {
            Principal::Machine { client_id } => Self(["CLIENT", token.user_pool_id(), client_id].join("#")),
            _ => Self::user(token.user_pool_id(), token.sub()),
        }
    }

    /// Returns the owner for the user `sub` of a pool.
    pub fn user(user_pool_id: &str, sub: &str) -> Self {
        Self(["USER", user_pool_id, sub].join("#"))
    }

    /// Returns the owner that a row of the table names.
    pub(crate) fn stored(partition_key: String) -> Self {
        Self(partition_key)
    }

    /// Returns the partition key.
    pub fn partition_key(&self) -> &str {
        &self.0
    }

    /// Returns a name of fixed length that does not identify the owner: 128 bits of SHA-256 as hexadecimal digits.
    pub fn digest(&self) -> String {
        let digest = digest(&SHA256, self.0.as_bytes());
        hex::encode(&digest.as_ref()[..16])
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
