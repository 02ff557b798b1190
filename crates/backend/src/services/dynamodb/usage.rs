//! What each owner keeps in attachments: one row with the sums, which the quota is checked against.
//!
//! The rows are also the list of owners for the sweep, because the digest in an object's key does not lead back to its
//! owner. They are spread over 256 partitions by that digest: one would be too hot.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::UpdateItemError,
    types::{AttributeValue, builders::UpdateBuilder},
};
use serde::{Deserialize, Serialize};

use super::{Row, Store, StoreError, classify_error};
use crate::models::{Timestamp, owner::Owner};

/// The most owners that are read at once.
const OWNERS: i32 = 100;

/// What an owner may keep in attachments.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// How many.
    pub files: u64,
    /// How many bytes in all.
    pub bytes: u64,
}

/// What an owner keeps in attachments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many.
    #[serde(rename = "file_count", default)]
    pub files: i64,
    /// How many bytes in all.
    #[serde(rename = "byte_count", default)]
    pub bytes: i64,
    /// Seconds since 1970, until which attachments that were removed still count.
    #[serde(default)]
    pub held_until: Option<i64>,
    /// Increases with each change.
    #[serde(default)]
    changes: u64,
}

/// What the removal of attachments gives back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Freed {
    /// How many attachments.
    pub files: i64,
    /// How many bytes in all.
    pub bytes: i64,
    /// Until when the other attachments still count, if there are any.
    pub held_until: Option<Timestamp>,
}

impl Store {
    /// Returns what the owner keeps in attachments: one `GetItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn usage(&self, owner: &Owner) -> Result<Usage, StoreError> {
        let row = self.get(usage_key(&owner.digest())).await?;
        Ok(row.map(serde_dynamo::from_item).transpose()?.unwrap_or_default())
    }

    /// Sets what the owner keeps, if nothing has changed since `seen` was read: one `UpdateItem`. Returns whether it did.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn correct_usage(
        &self,
        owner: &Owner,
        seen: &Usage,
        (files, bytes): (i64, i64),
    ) -> Result<bool, StoreError> {
        let unchanged = match seen.changes {
            0 => "attribute_not_exists(changes)",
            _ => "changes = :seen",
        };
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(usage_key(&owner.digest())))
            .update_expression(
                "SET owned_by = :owner, file_count = :files, byte_count = :bytes, changes = :next REMOVE held_until",
            )
            .condition_expression(unchanged)
            .expression_attribute_values(":owner", AttributeValue::S(owner.partition_key().to_owned()))
            .expression_attribute_values(":files", number(files))
            .expression_attribute_values(":bytes", number(bytes))
            .expression_attribute_values(":next", number(seen.changes + 1));
        let seen = (seen.changes > 0).then(|| (":seen", number(seen.changes)));
        let request = seen
            .into_iter()
            .fold(request, |request, (name, value)| request.expression_attribute_values(name, value));
        match self.send("UpdateItem", request.send()).await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) => match service.err() {
                UpdateItemError::ConditionalCheckFailedException(_) => Ok(false),
                _ => Err(classify_error("UpdateItem", SdkError::ServiceError(service))),
            },
            Err(error) => Err(classify_error("UpdateItem", error)),
        }
    }

    /// Returns the next owners with attachments in the order of their digests, at most 100. No more follow if there are none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn owners_after(&self, digest: Option<&str>) -> Result<Vec<(String, Owner)>, StoreError> {
        let first = digest.and_then(|digest| u8::from_str_radix(digest.get(..2)?, 16).ok()).unwrap_or(0);
        for shard in first..=u8::MAX {
            let request = self
                .client
                .query()
                .table_name(&*self.table)
                .key_condition_expression("pk = :pk AND sk > :after")
                .expression_attribute_values(":pk", AttributeValue::S(format!("USAGE#{shard:02x}")))
                .expression_attribute_values(":after", AttributeValue::S(digest.unwrap_or("0").to_owned()))
                .limit(OWNERS);
            let sent = self.send("Query", request.send()).await;
            let rows = sent.map_err(|error| classify_error("Query", error))?.items.unwrap_or_default();
            if !rows.is_empty() {
                return rows.into_iter().map(owner).collect();
            }
        }
        Ok(Vec::new())
    }

    /// Returns where the last sweep stopped, if it did: one `GetItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sweep_position(&self) -> Result<Option<String>, StoreError> {
        let position: Option<SweepRow> =
            self.get(sweep_key()).await?.map(serde_dynamo::from_item).transpose()?;
        Ok(position.and_then(|row| row.after))
    }

    /// Keeps where a sweep stopped, or that it came to its end: one `PutItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_sweep_position(&self, after: Option<&str>) -> Result<(), StoreError> {
        let mut row: Row = serde_dynamo::to_item(SweepRow { after: after.map(str::to_owned) })?;
        row.extend(sweep_key());
        let request = self.client.put_item().table_name(&*self.table).set_item(Some(row));
        let sent = self.send("PutItem", request.send()).await;
        sent.map(drop).map_err(|error| classify_error("PutItem", error))
    }

    /// Begins the part of a transaction that adds to what the owner keeps.
    pub(super) fn change_usage(
        &self,
        owner: &Owner,
        files: i64,
        bytes: i64,
        held_until: Option<Timestamp>,
    ) -> UpdateBuilder {
        let held = if held_until.is_some() { ", held_until = :held" } else { "" };
        let expression =
            format!("SET owned_by = :owner{held} ADD file_count :files, byte_count :bytes, changes :one");
        let update = aws_sdk_dynamodb::types::Update::builder()
            .table_name(&*self.table)
            .set_key(Some(usage_key(&owner.digest())))
            .update_expression(expression)
            .expression_attribute_values(":owner", AttributeValue::S(owner.partition_key().to_owned()))
            .expression_attribute_values(":files", number(files))
            .expression_attribute_values(":bytes", number(bytes))
            .expression_attribute_values(":one", number(1));
        match held_until {
            Some(time) => update.expression_attribute_values(":held", number(time.unix())),
            None => update,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SweepRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Deserialize)]
struct OwnerRow {
    sk: String,
    owned_by: String,
}

fn owner(row: Row) -> Result<(String, Owner), StoreError> {
    let OwnerRow { sk, owned_by } = serde_dynamo::from_item(row)?;
    Ok((sk, Owner::stored(owned_by)))
}

fn usage_key(digest: &str) -> Row {
    let shard = digest.get(..2).unwrap_or_default();
    row_key(format!("USAGE#{shard}"), digest)
}

fn sweep_key() -> Row {
    row_key("SWEEP".to_owned(), "POSITION")
}

fn row_key(partition: String, sort: &str) -> Row {
    Row::from([
        ("pk".to_owned(), AttributeValue::S(partition)),
        ("sk".to_owned(), AttributeValue::S(sort.to_owned())),
    ])
}

pub(super) fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
