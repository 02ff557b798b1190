//! The tools. Each calls the operation that the route of the same purpose calls.

use std::sync::LazyLock;

use cognito_auth::Authenticated;
use rmcp::{
    ErrorData,
    model::{CallToolResult, JsonObject, Tool},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

use super::{
    call::Call,
    tool::{Effect, Operation, describe, execute},
};
use crate::{
    auth::{ItemsRead, ItemsWrite},
    models::{
        Timestamp,
        attachment::{AttachmentDownload, AttachmentId, AttachmentList},
        item::{Item, ItemId, ItemPatch, NewItem, description_or_null, present},
        text::{Description, Title},
        user::CurrentUser,
        version::IfMatch,
    },
    problem::Problem,
    rate_limit::list_cost,
};

macro_rules! tools {
    ($($tool:ty),+ $(,)?) => {
        /// The descriptions of all tools.
        pub(super) static ALL: LazyLock<Vec<Tool>> = LazyLock::new(|| vec![$(describe::<$tool>()),+]);

        /// Executes a call.
        pub(super) async fn run(
            call: &Call,
            name: &str,
            arguments: JsonObject,
        ) -> Result<CallToolResult, ErrorData> {
            $(if name == <$tool>::NAME {
                return execute::<$tool>(call, arguments).await;
            })+
            Err(ErrorData::invalid_params("There is no such tool.", None))
        }
    };
}

tools!(ListItems, ReadItem, NewItem, UpdateItem, DeleteItem, ListAttachments, ReadAttachment, WhoAmI,);

/// How many items a page has at most, and by default: a model reads all of it.
const MAX_PAGE: usize = 50;
const DEFAULT_PAGE: usize = 20;

/// How much of a description a list shows.
const EXCERPT_CHARS: usize = 200;

/// The page of the list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListItems {
    /// The most items to return.
    #[serde(default = "default_page", deserialize_with = "page_size")]
    #[schema(minimum = 1, maximum = 50, default = 20)]
    limit: usize,
    /// The `next_cursor` of the previous page.
    #[serde(default)]
    #[schema(required = false, nullable = false)]
    cursor: Option<String>,
}

/// A page of the caller's items, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemList {
    /// The items.
    items: Vec<ListedItem>,
    /// The `cursor` of the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// An item in a list.
#[derive(Serialize, ToSchema)]
struct ListedItem {
    /// The ID.
    id: ItemId,
    /// The title: text that a user wrote.
    #[schema(schema_with = <Title as utoipa::PartialSchema>::schema)]
    title: Title,
    /// The first 200 characters of the description, if there is one: text that a user wrote.
    description_excerpt: Option<String>,
    /// Whether the description is longer than the excerpt. `read_item` returns all of it.
    is_cut: bool,
    /// The version, which changing or deleting the item must name.
    version: u64,
    /// The time of the last write.
    updated_at: Timestamp,
}

impl Operation for ListItems {
    const NAME: &'static str = "list_items";
    const TITLE: &'static str = "List items";
    const DESCRIPTION: &'static str = "Lists the user's items, newest first, with the first 200 characters of each \
        description. If `next_cursor` is not null, there are more: pass it as `cursor`.";
    const EFFECT: Effect = Effect::Read;
    type Policy = ItemsRead;
    type Output<'a> = ItemList;

    fn cost(&self) -> u32 {
        list_cost(self.limit)
    }

    async fn run(self, call: &Call) -> Result<ItemList, Problem> {
        let page = call.app().items().list(call.owner(), self.limit, self.cursor.as_deref()).await?;
        Ok(ItemList {
            items: page.items.into_iter().map(ListedItem::from).collect(),
            next_cursor: page.next_cursor,
        })
    }
}

impl From<Item> for ListedItem {
    fn from(item: Item) -> Self {
        let description = item.description.as_ref().map(Description::as_str);
        let end = description.and_then(|text| text.char_indices().nth(EXCERPT_CHARS)).map(|(end, _)| end);
        Self {
            id: item.id,
            description_excerpt: description.map(|text| text[..end.unwrap_or(text.len())].to_owned()),
            is_cut: end.is_some(),
            title: item.title,
            version: item.version,
            updated_at: item.updated_at,
        }
    }
}

/// The item to read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadItem {
    /// The item's ID.
    id: ItemId,
}

impl Operation for ReadItem {
    const NAME: &'static str = "read_item";
    const TITLE: &'static str = "Read an item";
    const DESCRIPTION: &'static str = "Returns one item with its whole description and its version.";
    const EFFECT: Effect = Effect::Read;
    type Policy = ItemsRead;
    type Output<'a> = Item;

    async fn run(self, call: &Call) -> Result<Item, Problem> {
        Ok(call.app().items().read(call.owner(), self.id).await?)
    }
}

impl Operation for NewItem {
    const NAME: &'static str = "create_item";
    const TITLE: &'static str = "Create an item";
    const DESCRIPTION: &'static str = "Creates an item and returns it with its ID and version.";
    const EFFECT: Effect = Effect::Create;
    type Policy = ItemsWrite;
    type Output<'a> = Item;

    async fn run(self, call: &Call) -> Result<Item, Problem> {
        Ok(call.app().items().create(call.owner(), self, None).await?)
    }
}

/// The change of an item: what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateItem {
    /// The item's ID.
    id: ItemId,
    /// The version that is changed, as it was read.
    #[schema(minimum = 1)]
    version: u64,
    /// The new title.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = <Title as utoipa::PartialSchema>::schema, required = false)]
    title: Option<Title>,
    /// The new description, or `null` for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = description_or_null, required = false)]
    description: Option<Option<Description>>,
}

impl Operation for UpdateItem {
    const NAME: &'static str = "update_item";
    const TITLE: &'static str = "Change an item";
    const DESCRIPTION: &'static str = "Changes the title or description of an item. `version` is the version that was \
        read; if the item has changed since, nothing is written: read it again.";
    const EFFECT: Effect = Effect::Overwrite;
    type Policy = ItemsWrite;
    type Output<'a> = Item;

    async fn run(self, call: &Call) -> Result<Item, Problem> {
        let Self { id, version, title, description } = self;
        let patch = ItemPatch { title, description };
        Ok(call.app().items().update(call.owner(), id, patch, &IfMatch::Versions(vec![version])).await?)
    }
}

/// The item to delete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteItem {
    /// The item's ID.
    id: ItemId,
    /// The version that is deleted, as it was read.
    #[schema(minimum = 1)]
    version: u64,
}

/// The item that was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedItem {
    /// The item's ID.
    id: ItemId,
}

impl Operation for DeleteItem {
    const NAME: &'static str = "delete_item";
    const TITLE: &'static str = "Delete an item";
    const DESCRIPTION: &'static str = "Deletes an item and its attachments for good. `version` is the version that was \
        read; if the item has changed since, nothing is deleted: read it again.";
    const EFFECT: Effect = Effect::Overwrite;
    type Policy = ItemsWrite;
    type Output<'a> = DeletedItem;

    async fn run(self, call: &Call) -> Result<DeletedItem, Problem> {
        let version = IfMatch::Versions(vec![self.version]);
        call.app().items().remove(call.owner(), self.id, version).await?;
        Ok(DeletedItem { id: self.id })
    }
}

/// The item whose attachments are listed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListAttachments {
    /// The item's ID.
    item_id: ItemId,
}

impl Operation for ListAttachments {
    const NAME: &'static str = "list_attachments";
    const TITLE: &'static str = "List attachments";
    const DESCRIPTION: &'static str = "Lists the files that belong to an item, oldest first.";
    const EFFECT: Effect = Effect::Read;
    type Policy = ItemsRead;
    type Output<'a> = AttachmentList;

    async fn run(self, call: &Call) -> Result<AttachmentList, Problem> {
        Ok(call.app().attachments().list(call.owner(), self.item_id).await?)
    }
}

/// The attachment to read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadAttachment {
    /// The item's ID.
    item_id: ItemId,
    /// The attachment's ID.
    attachment_id: AttachmentId,
}

impl Operation for ReadAttachment {
    const NAME: &'static str = "read_attachment";
    const TITLE: &'static str = "Read an attachment";
    const DESCRIPTION: &'static str = "Returns the name, type and size of a file, and a URL to download it from. The \
        URL works for some minutes, for everybody who has it: give it to the user only.";
    const EFFECT: Effect = Effect::Read;
    type Policy = ItemsRead;
    type Output<'a> = AttachmentDownload;

    async fn run(self, call: &Call) -> Result<AttachmentDownload, Problem> {
        Ok(call.app().attachments().read(call.owner(), self.item_id, self.attachment_id).await?)
    }
}

/// Nothing.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoAmI {}

impl Operation for WhoAmI {
    const NAME: &'static str = "who_am_i";
    const TITLE: &'static str = "Who am I";
    const DESCRIPTION: &'static str = "Returns who is signed in: name, groups and scopes.";
    const EFFECT: Effect = Effect::Read;
    type Policy = Authenticated;
    type Output<'a> = CurrentUser<'a>;

    async fn run(self, call: &Call) -> Result<CurrentUser<'_>, Problem> {
        Ok(CurrentUser::of(call.token()))
    }
}

fn default_page() -> usize {
    DEFAULT_PAGE
}

fn page_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let limit = usize::deserialize(deserializer)?;
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(D::Error::custom(format!("must be a whole number from 1 to {MAX_PAGE}")))
}
