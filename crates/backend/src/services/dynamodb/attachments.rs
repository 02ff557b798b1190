use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure::AllOld,
        TransactWriteItem, Update,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Freed, Quota, Row, Store, StoreError, classify_error, classify_transaction_error,
    idempotency::build_failed, items, key, usage::number,
};
use crate::models::{
    Timestamp,
    attachment::{Attachment, AttachmentId, ContentType, Filename},
    checksum::Sha256Checksum,
    item::ItemId,
    owner::Owner,
};

/// The maximum number of records that are forgotten at once: a transaction has at most 100 writes, and one is the owner's
/// usage. <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub const MAX_FORGOTTEN: usize = 99;

/// The maximum number of attempts of a transaction with conflicts.
const MAX_ROUNDS: u32 = 5;

/// The code of a write in a cancelled transaction whose condition failed.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// The result of a reservation.
#[derive(Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The record was written.
    Done,
    /// The item does not exist.
    MissingItem,
    /// The item has the maximum number of attachments.
    Full,
    /// The owner keeps as much as the quota allows.
    OverQuota,
}

#[derive(Serialize, Deserialize)]
struct FileRow {
    filename: Filename,
    content_type: ContentType,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum_sha256: Option<Sha256Checksum>,
    created_at: Timestamp,
}

impl Store {
    /// Records a new attachment if the item exists and has fewer than `limit`, and the owner's quota has room for it: one
    /// `TransactWriteItems`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn reserve_attachment(
        &self,
        owner: &Owner,
        item: ItemId,
        attachment: &Attachment,
        limit: u32,
        quota: Quota,
    ) -> Result<Reserved, StoreError> {
        let Some(room) = quota.bytes.checked_sub(attachment.size) else { return Ok(Reserved::OverQuota) };
        let record = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(file_row(owner, item, attachment)?))
            .build()
            .map_err(build_failed)?;
        let writes = vec![
            self.add_to_item(owner, item, limit)?,
            TransactWriteItem::builder().put(record).build(),
            self.add_to_usage(owner, attachment, quota.files, room)?,
        ];
        let Some(reasons) = self.transact(writes).await? else { return Ok(Reserved::Done) };
        Ok(match reasons.first() {
            Some(item) if item.code() != Some(CONDITION_FAILED) => Reserved::OverQuota,
            Some(item) if item.item().is_some() => Reserved::Full,
            _ => Reserved::MissingItem,
        })
    }

    /// Counts one more attachment of an item that exists and has fewer than `limit`.
    fn add_to_item(&self, owner: &Owner, item: ItemId, limit: u32) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key(owner, items::sort_key(item))))
            .update_expression("SET attachments = if_not_exists(attachments, :zero) + :one")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(attachments) OR attachments < :limit)",
            )
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(limit))
            .return_values_on_condition_check_failure(AllOld);
        Ok(TransactWriteItem::builder().update(update.build().map_err(build_failed)?).build())
    }

    /// Adds an attachment to the owner's usage, if that has fewer than `files` and at most `room` bytes.
    fn add_to_usage(
        &self,
        owner: &Owner,
        attachment: &Attachment,
        files: u64,
        room: u64,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = self
            .change_usage(owner, 1, attachment.bytes(), None)
            .condition_expression(
                "attribute_not_exists(changes) OR (file_count < :most AND byte_count <= :room)",
            )
            .expression_attribute_values(":most", number(files))
            .expression_attribute_values(":room", number(room));
        Ok(TransactWriteItem::builder().update(update.build().map_err(build_failed)?).build())
    }

    /// Returns the records of an item's attachments, oldest first, uploaded or not: one `Query`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn attachments(&self, owner: &Owner, item: ItemId) -> Result<Vec<Attachment>, StoreError> {
        let request = self.client.query().table_name(&*self.table).consistent_read(true);
        let request = request
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S(owner.partition_key().to_owned()))
            .expression_attribute_values(":sk", AttributeValue::S(format!("FILE#{item}#")));
        let sent =
            self.send("Query", request.send()).await.map_err(|error| classify_error("Query", error))?;
        sent.items.unwrap_or_default().into_iter().map(read).collect()
    }

    /// Passes the records of all attachments of an owner to `add`, page by page: one `Query` for each MiB of rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn all_attachments(
        &self,
        owner: &Owner,
        mut add: impl FnMut(ItemId, Attachment),
    ) -> Result<(), StoreError> {
        let mut start = None;
        loop {
            let request = self
                .client
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":pk", AttributeValue::S(owner.partition_key().to_owned()))
                .expression_attribute_values(":sk", AttributeValue::S("FILE#".to_owned()))
                .set_exclusive_start_key(start);
            let sent = self.send("Query", request.send()).await;
            let page = sent.map_err(|error| classify_error("Query", error))?;
            for row in page.items.unwrap_or_default() {
                add(ids(&row)?.0, read(row)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Returns the record of one attachment: one `GetItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn attachment(
        &self,
        owner: &Owner,
        item: ItemId,
        id: AttachmentId,
    ) -> Result<Option<Attachment>, StoreError> {
        self.row(owner, sort_key(item, id)).await?.map(read).transpose()
    }

    /// Removes the record of one attachment, and subtracts it from the item's count and the owner's usage: one
    /// `TransactWriteItems`. Returns `false` if it did not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn release_attachment(
        &self,
        owner: &Owner,
        item: ItemId,
        id: AttachmentId,
        freed: Freed,
    ) -> Result<bool, StoreError> {
        let count = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key(owner, items::sort_key(item))))
            .update_expression("SET attachments = attachments - :one")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(build_failed)?;
        let writes = vec![
            self.delete_record(owner, item, id)?,
            TransactWriteItem::builder().update(count).build(),
            self.free(owner, freed)?,
        ];
        Ok(self.transact(writes).await?.is_none())
    }

    /// Removes the records of attachments of a deleted item, at most [`MAX_FORGOTTEN`], and subtracts them from the owner's
    /// usage: one `TransactWriteItems`. Returns `false` if one did not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_attachments(
        &self,
        owner: &Owner,
        item: ItemId,
        attachments: &[Attachment],
        freed: Freed,
    ) -> Result<bool, StoreError> {
        let deletes = attachments.iter().map(|attachment| self.delete_record(owner, item, attachment.id));
        let mut writes = deletes.collect::<Result<Vec<_>, _>>()?;
        writes.push(self.free(owner, freed)?);
        Ok(self.transact(writes).await?.is_none())
    }

    fn delete_record(
        &self,
        owner: &Owner,
        item: ItemId,
        id: AttachmentId,
    ) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&*self.table)
            .set_key(Some(key(owner, sort_key(item, id))))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(build_failed)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn free(
        &self,
        owner: &Owner,
        Freed { files, bytes, held_until }: Freed,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = self.change_usage(owner, -files, -bytes, held_until).build().map_err(build_failed)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Makes all writes or none. Returns the reasons if a condition failed. A conflict with another transaction is
    /// retried.
    async fn transact(
        &self,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Option<Vec<CancellationReason>>, StoreError> {
        for round in 0..MAX_ROUNDS {
            let request = self.client.transact_write_items().set_transact_items(Some(writes.clone()));
            let error = match self.send("TransactWriteItems", request.send()).await {
                Ok(_) => return Ok(None),
                Err(error) => error,
            };
            let SdkError::ServiceError(service) = &error else {
                return Err(classify_transaction_error(error));
            };
            let TransactWriteItemsError::TransactionCanceledException(canceled) = service.err() else {
                return Err(classify_transaction_error(error));
            };
            let has = |code| canceled.cancellation_reasons().iter().any(|reason| reason.code() == Some(code));
            if has(CONDITION_FAILED) {
                return Ok(Some(canceled.cancellation_reasons().to_vec()));
            }
            if !has("TransactionConflict") {
                return Err(classify_transaction_error(error));
            }
            back_off(round).await;
        }
        Err(StoreError::Contended { operation: "TransactWriteItems" })
    }
}

/// Waits for 20 ms, 40 ms, 80 ms …, half of it random, so that conflicting writers do not conflict again.
async fn back_off(round: u32) {
    let longest = 20_u64 << round;
    let random = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    tokio::time::sleep(std::time::Duration::from_millis(longest / 2 + longest * random / 512)).await;
}

fn sort_key(item: ItemId, attachment: AttachmentId) -> String {
    format!("FILE#{item}#{attachment}")
}

fn file_row(owner: &Owner, item: ItemId, attachment: &Attachment) -> Result<Row, StoreError> {
    let mut row: Row = serde_dynamo::to_item(FileRow {
        filename: attachment.filename.clone(),
        content_type: attachment.content_type.clone(),
        size: attachment.size,
        checksum_sha256: attachment.checksum_sha256.clone(),
        created_at: attachment.created_at,
    })?;
    row.extend(key(owner, sort_key(item, attachment.id)));
    Ok(row)
}

/// Parses the sort key.
fn ids(row: &Row) -> Result<(ItemId, AttachmentId), StoreError> {
    let key = row.get("sk").and_then(|value| value.as_s().ok());
    let ids = key.and_then(|key| {
        let (item, attachment) = key.strip_prefix("FILE#")?.split_once('#')?;
        Some((item.parse::<uuid::Uuid>().ok()?.into(), AttachmentId::parse(attachment)?))
    });
    ids.ok_or_else(|| {
        StoreError::Row(<serde_dynamo::Error as serde::de::Error>::custom("the sort key names no attachment"))
    })
}

fn read(row: Row) -> Result<Attachment, StoreError> {
    let (_, id) = ids(&row)?;
    let FileRow { filename, content_type, size, checksum_sha256, created_at } = serde_dynamo::from_item(row)?;
    Ok(Attachment { id, filename, content_type, size, checksum_sha256, created_at })
}
