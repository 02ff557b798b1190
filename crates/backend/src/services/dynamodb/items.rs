use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{
        delete_item::DeleteItemError, put_item::PutItemError, query::QueryOutput,
        update_item::UpdateItemError,
    },
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld},
};
use serde::{Deserialize, Serialize};

use super::{Attempts, Row, Store, StoreError, WriteId, classify_error, key};
use crate::models::{
    Timestamp,
    cursor::Cursor,
    item::{Item, ItemId, ItemPatch, NewItem},
    owner::Owner,
    text::{Description, Title},
    version::IfMatch,
};

/// The result of a conditional write.
#[derive(Debug)]
pub enum Written {
    /// The item after the write.
    Done(Item),
    /// The item does not exist.
    Missing,
    /// The item has a version that the caller did not name.
    Stale,
}

/// The result of a conditional delete.
#[derive(Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The item was deleted.
    Done {
        /// Whether it has ever had an attachment, as far as is known.
        had_attachments: bool,
    },
    /// The item did not exist.
    Missing,
    /// The item has a version that the caller did not name.
    Stale,
}

/// The maximum size of a page: the server keeps a response in memory until the client has read it.
const PAGE_BYTES: usize = 64 * 1024; // 64 KiB

/// A page of items.
#[derive(Debug)]
pub struct Page {
    /// The items, newest first.
    pub items: Vec<Item>,
    /// The position of the next page, if there is one.
    pub next: Option<Cursor>,
}

/// An item's attributes in the table.
#[derive(Serialize, Deserialize)]
struct ItemRow {
    title: Title,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Store {
    /// Creates an item: one `PutItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_item(&self, owner: &Owner, new: NewItem) -> Result<Item, StoreError> {
        let item = new_item(new);
        let request = self.client.put_item().table_name(&*self.table).set_item(Some(item_row(owner, &item)?));
        let sent =
            self.send("PutItem", request.condition_expression("attribute_not_exists(pk)").send()).await;
        match sent {
            // Only this call uses the ID, so its own earlier attempt wrote the row.
            Ok(_) => Ok(item),
            Err(SdkError::ServiceError(e))
                if matches!(e.err(), PutItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(item)
            }
            Err(error) => Err(classify_error("PutItem", error)),
        }
    }

    /// Reads an item: one `GetItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn item(&self, owner: &Owner, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.row(owner, sort_key(id)).await?.map(|row| read(id, row)).transpose()
    }

    /// Returns up to `limit` items after `cursor`, newest first: one `Query`.
    ///
    /// Because its size is limited, a page can be shorter than `limit` although more items follow.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn items(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<Cursor>,
    ) -> Result<Page, StoreError> {
        let request =
            self.client.query().table_name(&*self.table).consistent_read(true).scan_index_forward(false);
        let request = request
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(owner.partition_key().to_owned()))
            .expression_attribute_values(":sk", AttributeValue::S("ITEM#".to_owned()))
            // One item more shows whether there is a next page, so that only the first page can be empty.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after.map(|Cursor(id)| key(owner, sort_key(id))));
        let sent = self.send("Query", request.send()).await;
        page(sent.map_err(|error| classify_error("Query", error))?, limit)
    }

    /// Replaces an item: one `UpdateItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn replace_item(
        &self,
        owner: &Owner,
        id: ItemId,
        new: NewItem,
        if_match: &IfMatch,
    ) -> Result<Written, StoreError> {
        let everything = ItemPatch { title: Some(new.title), description: Some(new.description) };
        self.patch_item(owner, id, everything, if_match).await
    }

    /// Changes the fields in the patch: one `UpdateItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn patch_item(
        &self,
        owner: &Owner,
        id: ItemId,
        patch: ItemPatch,
        if_match: &IfMatch,
    ) -> Result<Written, StoreError> {
        let write = WriteId::generate();
        let update = Update::new(patch, if_match, &write)?;
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key(owner, sort_key(id))))
            .update_expression(update.expression)
            .condition_expression(update.condition)
            .set_expression_attribute_values(Some(update.values))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld);
        match self.send("UpdateItem", request.send()).await {
            Ok(output) => Ok(Written::Done(read(id, output.attributes.unwrap_or_default())?)),
            Err(SdkError::ServiceError(service)) => match service.err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => match failed.item() {
                    None => Ok(Written::Missing),
                    Some(row) if write.has_written(row) => Ok(Written::Done(read(id, row.clone())?)),
                    Some(_) => Ok(Written::Stale),
                },
                _ => Err(classify_error("UpdateItem", SdkError::ServiceError(service))),
            },
            Err(error) => Err(classify_error("UpdateItem", error)),
        }
    }

    /// Deletes an item, but not its attachments: one `DeleteItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete_item(
        &self,
        owner: &Owner,
        id: ItemId,
        if_match: &IfMatch,
    ) -> Result<Deleted, StoreError> {
        let attempts = Attempts::default();
        let (condition, values) = versions_condition(if_match);
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(key(owner, sort_key(id))))
            .set_condition_expression(condition)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(AllOld);
        let sent = self.send("DeleteItem", request.customize().interceptor(attempts.clone()).send()).await;
        let old = match sent {
            Ok(output) => output.attributes,
            Err(SdkError::ServiceError(service)) => match service.err() {
                DeleteItemError::ConditionalCheckFailedException(failed) if failed.item().is_some() => {
                    return Ok(Deleted::Stale);
                }
                DeleteItemError::ConditionalCheckFailedException(_) => None,
                _ => return Err(classify_error("DeleteItem", SdkError::ServiceError(service))),
            },
            Err(error) => return Err(classify_error("DeleteItem", error)),
        };
        Ok(match old {
            Some(row) => Deleted::Done { had_attachments: row.contains_key("attachments") },
            // If the response to an earlier attempt was lost, that attempt has deleted the item.
            None if attempts.several() => Deleted::Done { had_attachments: true },
            None => Deleted::Missing,
        })
    }
}

pub(super) fn sort_key(id: ItemId) -> String {
    format!("ITEM#{id}")
}

pub(super) fn new_item(new: NewItem) -> Item {
    let now = Timestamp::now();
    Item {
        id: ItemId::generate(),
        title: new.title,
        description: new.description,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

pub(super) fn item_row(owner: &Owner, item: &Item) -> Result<Row, StoreError> {
    let mut row: Row = serde_dynamo::to_item(ItemRow {
        title: item.title.clone(),
        description: item.description.clone(),
        version: item.version,
        created_at: item.created_at,
        updated_at: item.updated_at,
    })?;
    row.extend(key(owner, sort_key(item.id)));
    row.extend(WriteId::generate().attributes());
    Ok(row)
}

fn read(id: ItemId, row: Row) -> Result<Item, StoreError> {
    let ItemRow { title, description, version, created_at, updated_at } = serde_dynamo::from_item(row)?;
    Ok(Item { id, title, description, version, created_at, updated_at })
}

fn page(output: QueryOutput, limit: usize) -> Result<Page, StoreError> {
    let mut rows = output.items.unwrap_or_default();
    let has_more = rows.len() > limit || output.last_evaluated_key.is_some();
    rows.truncate(limit);
    let mut items = rows.into_iter().map(|row| read(row_id(&row)?, row)).collect::<Result<Vec<_>, _>>()?;
    let length = fitting(&items);
    let has_more = has_more || length < items.len();
    items.truncate(length);
    let next = items.last().filter(|_| has_more).map(|last| Cursor(last.id));
    Ok(Page { items, next })
}

/// Returns how many of the items fit on a page: at least one.
fn fitting(items: &[Item]) -> usize {
    let bytes = |item: &Item| {
        item.title.as_str().len() + item.description.as_ref().map_or(0, |text| text.as_str().len())
    };
    let ends = items.iter().scan(0, |end, item| {
        *end += bytes(item);
        Some(*end)
    });
    ends.take_while(|end| *end <= PAGE_BYTES).count().max(1)
}

fn row_id(row: &Row) -> Result<ItemId, StoreError> {
    let sort_key = row.get("sk").and_then(|value| value.as_s().ok());
    let id = sort_key.and_then(|key| key.strip_prefix("ITEM#")).and_then(|id| id.parse::<uuid::Uuid>().ok());
    id.map(ItemId::from).ok_or_else(|| {
        StoreError::Row(<serde_dynamo::Error as serde::de::Error>::custom("the sort key names no item"))
    })
}

/// The expressions of an `UpdateItem`.
struct Update {
    expression: String,
    condition: String,
    values: Row,
}

impl Update {
    fn new(patch: ItemPatch, if_match: &IfMatch, write: &WriteId) -> Result<Self, StoreError> {
        let mut expression = "SET version = version + :one, updated_at = :now, \
                              w3 = w2, w2 = w1, w1 = w0, w0 = :write"
            .to_owned();
        let (condition, values) = versions_condition(if_match);
        let mut values = values.unwrap_or_default();
        values.insert(":one".to_owned(), AttributeValue::N("1".to_owned()));
        values.insert(":now".to_owned(), serde_dynamo::to_attribute_value(Timestamp::now())?);
        values.insert(":write".to_owned(), write.0.clone());
        if let Some(title) = patch.title {
            expression.push_str(", title = :title");
            values.insert(":title".to_owned(), serde_dynamo::to_attribute_value(title)?);
        }
        match patch.description {
            Some(Some(description)) => {
                expression.push_str(", description = :description");
                values.insert(":description".to_owned(), serde_dynamo::to_attribute_value(description)?);
            }
            Some(None) => expression.push_str(" REMOVE description"),
            None => {}
        }
        // Versions alone do not prevent a second execution: the caller may name none, or the next one as well.
        let condition = condition.unwrap_or_else(|| "attribute_exists(pk)".to_owned());
        let condition = format!("{condition} AND NOT :write IN (w0, w1, w2, w3)");
        Ok(Self { expression, condition, values })
    }
}

/// Returns the condition that the item has one of the versions, if any are named.
fn versions_condition(if_match: &IfMatch) -> (Option<String>, Option<Row>) {
    let IfMatch::Versions(versions) = if_match else { return (None, None) };
    let names: Vec<_> = (0..versions.len()).map(|n| format!(":v{n}")).collect();
    let numbers = versions.iter().map(|version| AttributeValue::N(version.to_string()));
    (Some(format!("version IN ({})", names.join(", "))), Some(names.iter().cloned().zip(numbers).collect()))
}
