use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::{
    error::{BuildError, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure::AllOld,
        TransactWriteItem,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Row, Store, StoreError, classify_transaction_error,
    items::{item_row, new_item},
    key,
};
use crate::models::{
    Timestamp,
    idempotency::IdempotencyKey,
    item::{Item, NewItem},
    owner::Owner,
};

/// How long a response is kept for retries.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A hash of a request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint(String);

/// The result of a create with an idempotency key.
#[derive(Debug)]
pub enum IdempotentCreate {
    /// The item as it was created, now or by an earlier request with this key and body.
    Created(Item),
    /// The key was used with another body.
    OtherBody,
    /// A request with this key is running.
    InFlight,
}

#[derive(Serialize, Deserialize)]
struct Record {
    fingerprint: String,
    /// The created item as JSON: a later change of the item must not change the response.
    #[serde(rename = "item")]
    response: String,
    expires_at: i64,
}

impl Fingerprint {
    /// Returns the fingerprint of a new item: of its values, not of the text of the body.
    fn of(new: &NewItem) -> Self {
        Self(hex(&serde_json::to_vec(new).unwrap_or_default()))
    }
}

impl Store {
    /// Creates an item unless `key` did so in the last 24 hours: one `TransactWriteItems`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_item_once(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        new: NewItem,
    ) -> Result<IdempotentCreate, StoreError> {
        let fingerprint = Fingerprint::of(&new);
        let item = new_item(new);
        let record = self.put_record(owner, key, &fingerprint, &item)?;
        let put_item = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item_row(owner, &item)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(build_failed)?;
        // All attempts of the SDK share a token, so DynamoDB executes the transaction once (for 10 minutes):
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
        let request = self.client.transact_write_items();
        let request = request.transact_items(TransactWriteItem::builder().put(record).build());
        let request = request.transact_items(TransactWriteItem::builder().put(put_item).build());
        match self.send("TransactWriteItems", request.send()).await {
            Ok(_) => Ok(IdempotentCreate::Created(item)),
            Err(SdkError::ServiceError(service)) => match service.err() {
                TransactWriteItemsError::TransactionCanceledException(canceled) => {
                    match replay(canceled.cancellation_reasons(), &fingerprint) {
                        Some(outcome) => outcome,
                        None => Err(classify_transaction_error(SdkError::ServiceError(service))),
                    }
                }
                TransactWriteItemsError::TransactionInProgressException(_) => Ok(IdempotentCreate::InFlight),
                _ => Err(classify_transaction_error(SdkError::ServiceError(service))),
            },
            Err(error) => Err(classify_transaction_error(error)),
        }
    }

    fn put_record(
        &self,
        owner: &Owner,
        idempotency_key: &IdempotencyKey,
        fingerprint: &Fingerprint,
        item: &Item,
    ) -> Result<Put, StoreError> {
        let now = Timestamp::now().unix();
        let record = Record {
            fingerprint: fingerprint.0.clone(),
            response: serde_json::to_string(item)
                .map_err(<serde_dynamo::Error as serde::de::Error>::custom)?,
            expires_at: now.saturating_add_unsigned(LIFETIME.as_secs()),
        };
        let mut row: Row = serde_dynamo::to_item(record)?;
        row.extend(key(owner, format!("IDEMPOTENCY#{}", hex(idempotency_key.as_str().as_bytes()))));
        // Expired rows stay readable until DynamoDB deletes them:
        // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
        Put::builder()
            .table_name(&*self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(build_failed)
    }
}

/// Interprets the reasons of a cancelled transaction. The first belongs to the record.
fn replay(
    reasons: &[CancellationReason],
    fingerprint: &Fingerprint,
) -> Option<Result<IdempotentCreate, StoreError>> {
    if reasons.iter().any(|reason| reason.code() == Some("TransactionConflict")) {
        return Some(Ok(IdempotentCreate::InFlight));
    }
    let row = reasons.first().filter(|reason| reason.code() == Some("ConditionalCheckFailed"))?.item()?;
    Some(serde_dynamo::from_item::<_, Record>(row.clone()).map_err(StoreError::from).and_then(|record| {
        if record.fingerprint != fingerprint.0 {
            return Ok(IdempotentCreate::OtherBody);
        }
        let item = serde_json::from_str(&record.response)
            .map_err(<serde_dynamo::Error as serde::de::Error>::custom)?;
        Ok(IdempotentCreate::Created(item))
    }))
}

pub(super) fn build_failed(error: BuildError) -> StoreError {
    StoreError::Refused { operation: "TransactWriteItems", source: error.into() }
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}
