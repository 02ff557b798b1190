//! Profiles.

use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

use super::{
    Timestamp,
    text::{Bio, DisplayName},
};

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "display_name": "Alice",
    "bio": "Likes lists.",
    "version": 1795339800124_u64,
    "updated_at": "2026-11-22T09:30:00.123Z",
}))]
pub struct Profile {
    /// The name shown to others.
    #[schema(schema_with = DisplayName::schema)]
    pub display_name: DisplayName,
    /// A short text about the user.
    #[schema(inline, example = "Likes lists.")]
    pub bio: Option<Bio>,
    /// Increases with each write, and never repeats. Also the `ETag`.
    #[schema(minimum = 1, required = true)]
    #[serde(default = "unversioned")]
    pub version: u64,
    /// The time of the last write.
    pub updated_at: Timestamp,
}

/// The values that a profile is replaced with.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"display_name": "Alice", "bio": "Likes lists."}))]
pub struct NewProfile {
    /// The name shown to others.
    #[schema(schema_with = DisplayName::schema)]
    pub display_name: DisplayName,
    /// A short text about the user.
    #[serde(default)]
    #[schema(inline, required = false)]
    pub bio: Option<Bio>,
}

/// The version of a profile that was written before profiles had versions.
pub const UNVERSIONED: u64 = 1;

fn unversioned() -> u64 {
    UNVERSIONED
}
