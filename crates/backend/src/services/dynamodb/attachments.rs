use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Delete, DeleteRequest, Put, TransactWriteItem, Update,
        WriteRequest,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Row, Store, StoreError, classify_error, classify_transaction_error, idempotency::build_failed, items, key,
};
use crate::models::{
    Timestamp,
    attachment::{Attachment, AttachmentId, ContentType, Filename},
    checksum::Sha256Checksum,
    item::ItemId,
    owner::Owner,
};

/// The maximum number of rows in one batch:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>
const BATCH: usize = 25;

/// The maximum number of attempts of a transaction with conflicts, and of a batch that was only partly written.
const MAX_ROUNDS: u32 = 5;

/// The result of a reservation.
#[derive(Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The record was written.
    Done,
    /// The item does not exist.
    MissingItem,
    /// The item has the maximum number of attachments.
    Full,
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
    /// Records a new attachment if the item exists and has fewer than `limit`: one `TransactWriteItems`.
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
    ) -> Result<Reserved, StoreError> {
        let count = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key(owner, items::sort_key(item))))
            .update_expression("SET attachments = if_not_exists(attachments, :zero) + :one")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(attachments) OR attachments < :limit)",
            )
            .expression_attribute_values(":zero", AttributeValue::N("0".to_owned()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()))
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .build()
            .map_err(build_failed)?;
        let record = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(file_row(owner, item, attachment)?))
            .build()
            .map_err(build_failed)?;
        let writes = vec![
            TransactWriteItem::builder().update(count).build(),
            TransactWriteItem::builder().put(record).build(),
        ];
        Ok(match self.transact(writes).await? {
            None => Reserved::Done,
            Some(reasons) if reasons.first().is_some_and(|reason| reason.item().is_some()) => Reserved::Full,
            Some(_) => Reserved::MissingItem,
        })
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

    /// Removes the record of one attachment and decrements the item's count: one `TransactWriteItems`. Returns `false` if it
    /// did not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn release_attachment(
        &self,
        owner: &Owner,
        item: ItemId,
        id: AttachmentId,
    ) -> Result<bool, StoreError> {
        let record = Delete::builder()
            .table_name(&*self.table)
            .set_key(Some(key(owner, sort_key(item, id))))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(build_failed)?;
        let count = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(key(owner, items::sort_key(item))))
            .update_expression("SET attachments = attachments - :one")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .build()
            .map_err(build_failed)?;
        let writes = vec![
            TransactWriteItem::builder().delete(record).build(),
            TransactWriteItem::builder().update(count).build(),
        ];
        Ok(self.transact(writes).await?.is_none())
    }

    /// Removes the records of the attachments of a deleted item: one `BatchWriteItem` for each 25.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_attachments(
        &self,
        owner: &Owner,
        item: ItemId,
        ids: &[AttachmentId],
    ) -> Result<(), StoreError> {
        for batch in ids.chunks(BATCH) {
            let deletes = batch.iter().map(|id| {
                let delete = DeleteRequest::builder().set_key(Some(key(owner, sort_key(item, *id)))).build();
                Ok(WriteRequest::builder().delete_request(delete.map_err(build_failed)?).build())
            });
            self.write_batch(deletes.collect::<Result<Vec<_>, StoreError>>()?).await?;
        }
        Ok(())
    }

    async fn write_batch(&self, writes: Vec<WriteRequest>) -> Result<(), StoreError> {
        let mut left = HashMap::from([(self.table.to_string(), writes)]);
        for round in 0..MAX_ROUNDS {
            let request = self.client.batch_write_item().set_request_items(Some(left));
            let sent = self.send("BatchWriteItem", request.send()).await;
            left = sent
                .map_err(|error| classify_error("BatchWriteItem", error))?
                .unprocessed_items
                .unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            back_off(round).await;
        }
        Err(StoreError::Contended { operation: "BatchWriteItem" })
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
            if has("ConditionalCheckFailed") {
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

fn read(row: Row) -> Result<Attachment, StoreError> {
    let sort_key = row.get("sk").and_then(|value| value.as_s().ok());
    let id =
        sort_key.and_then(|key| key.rsplit('#').next()).and_then(AttachmentId::parse).ok_or_else(|| {
            StoreError::Row(<serde_dynamo::Error as serde::de::Error>::custom(
                "the sort key names no attachment",
            ))
        })?;
    let FileRow { filename, content_type, size, checksum_sha256, created_at } = serde_dynamo::from_item(row)?;
    Ok(Attachment { id, filename, content_type, size, checksum_sha256, created_at })
}
