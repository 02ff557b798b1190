//! Items.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::{
    Timestamp,
    text::{Description, Title},
};

/// The ID of an item: a UUID v7, so that IDs sort by the time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Uuid, example = "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")]
pub struct ItemId(Uuid);

impl ItemId {
    /// Generates a new ID, which sorts after all earlier ones of this process.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Returns the UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for ItemId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl std::fmt::Display for ItemId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "0199a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
    "title": "Buy milk",
    "description": "Two litres.",
    "version": 1,
    "created_at": "2026-11-22T09:30:00.123Z",
    "updated_at": "2026-11-22T09:30:00.123Z",
}))]
pub struct Item {
    /// The ID.
    pub id: ItemId,
    /// The title.
    #[schema(schema_with = Title::schema)]
    pub title: Title,
    /// The description.
    #[schema(inline, example = "Two litres.")]
    pub description: Option<Description>,
    /// The version: the number of writes. The `ETag` is this number in quotes.
    #[schema(example = 1, minimum = 1)]
    pub version: u64,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last write.
    pub updated_at: Timestamp,
}

/// The values that an item is created from, or replaced with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Buy milk", "description": "Two litres."}))]
pub struct NewItem {
    /// The title.
    #[schema(schema_with = Title::schema)]
    pub title: Title,
    /// The description.
    #[serde(default)]
    #[schema(inline, required = false)]
    pub description: Option<Description>,
}

/// A JSON merge patch of an item (RFC 7396): what is absent stays, `null` removes.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"title": "Buy oat milk"}))]
pub struct ItemPatch {
    /// The new title. It cannot be removed.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = Title::schema, required = false)]
    pub title: Option<Title>,
    /// The new description, or `null` for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = description_or_null, required = false)]
    pub description: Option<Option<Description>>,
}

/// A page of a user's items, newest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ItemPage {
    /// The items.
    pub items: Vec<Item>,
    /// The `cursor` of the next page; `null` on the last page.
    #[schema(example = json!(null))]
    pub next_cursor: Option<String>,
}

/// The value of `description` in a patch.
pub(crate) fn description_or_null() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    let null = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::Null);
    utoipa::openapi::OneOfBuilder::new().item(Description::schema()).item(null).into()
}

/// Distinguishes a field that is `null` from one that is absent.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_distinguishes_null_from_absent() {
        let patch: ItemPatch = serde_json::from_str(r#"{"description": null}"#).unwrap();
        assert!(matches!(patch.description, Some(None)));
        assert!(patch.title.is_none());
        assert!(serde_json::from_str::<ItemPatch>(r#"{"title": null}"#).is_err());
        assert!(serde_json::from_str::<ItemPatch>("{}").unwrap().description.is_none());
    }

    #[test]
    fn ids_sort_by_creation() {
        let ids: Vec<_> = (0..1000).map(|_| ItemId::generate().to_string()).collect();
        assert!(ids.is_sorted());
    }
}
