//! Profiles.

use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

use super::{
    Timestamp,
    text::{Bio, DisplayName},
};

/// What a user says of themselves, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "display_name": "Alice",
    "bio": "Likes lists.",
    "updated_at": "2026-11-22T09:30:00.123Z",
}))]
pub struct Profile {
    /// The name shown to others.
    #[schema(schema_with = DisplayName::schema)]
    pub display_name: DisplayName,
    /// A few words.
    #[schema(inline, example = "Likes lists.")]
    pub bio: Option<Bio>,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// What a profile is set to.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"display_name": "Alice", "bio": "Likes lists."}))]
pub struct NewProfile {
    /// The name shown to others.
    #[schema(schema_with = DisplayName::schema)]
    pub display_name: DisplayName,
    /// A few words.
    #[serde(default)]
    #[schema(inline, required = false)]
    pub bio: Option<Bio>,
}
