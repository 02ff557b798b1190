//! One DynamoDB table, and one call per operation.
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | owner | `PROFILE` | the profile |
//! | owner | `ITEM#<uuid v7>` | an item; v7 ids sort by creation, so a query backwards is "newest first" |
//! | owner | `FILE#<item>#<attachment>` | an attachment's record |
//! | `REVOKED#<pool>` | `<minute>#<sub>` | a sign-out: tokens that `sub` got until then are revoked |
//! | `USAGE#<2 digits>` | digest of the owner | number and bytes of the owner's attachments |
//! | `SWEEP` | `POSITION` | where the last sweep stopped |
//! | owner | `IDEMPOTENCY#<sha-256 of the key>` | the response to a create, for 24 hours |
//!
//! The owner is `USER#<pool>#<sub>` or `CLIENT#<pool>#<client id>`: every method takes it first, so nothing here can reach
//! another user's data.
//!
//! # Retries
//!
//! The SDK repeats a request whose response was lost, although the first attempt may have succeeded. A conditional write
//! then fails because of its own success. So each write has an ID, an item keeps the IDs of its last four writes, and a
//! failed condition counts as a success if the item has the ID of this write.

mod attachments;
mod idempotency;
mod items;
mod profiles;
mod revocations;
mod usage;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client,
    config::{
        Builder, ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::{BoxError, ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason},
};
use uuid::Uuid;

pub(crate) use self::revocations::{LIFETIME_SECONDS, Revocation};
pub use self::{
    attachments::{MAX_FORGOTTEN, Reserved},
    idempotency::IdempotentCreate,
    items::{Deleted, Page, Written},
    usage::{Freed, Quota, Usage},
};
use crate::{
    metrics::Metrics,
    models::owner::Owner,
    telemetry::{self, CallSpans},
};

/// The IAM actions of this module's calls. A transaction needs the actions of its parts:
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html>
pub const TABLE_ACTIONS: [&str; 5] =
    ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];

/// A row as the SDK represents it.
type Row = HashMap<String, AttributeValue>;

/// The maximum number of attempts of one call.
const MAX_ATTEMPTS: u32 = 4;

/// Returns the SDK's configuration for this table's client, with a limit on every wait.
///
/// A connection may take 1 s, an attempt 1.5 s and a whole operation with its retries 5 s, so that a caller has a
/// response within 5.5 s whatever DynamoDB does. The SDK itself limits only the connection.
pub fn client_config(shared: &SdkConfig) -> Builder {
    let builder = Builder::from(shared);
    let builder = if telemetry::is_tracing() { builder.interceptor(CallSpans) } else { builder };
    builder
        .behavior_version(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_millis(1500))
                .operation_timeout(Duration::from_secs(5))
                .build(),
        )
}

/// The table.
#[derive(Clone)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    metrics: Metrics,
}

/// The reason why a call of DynamoDB failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The table or the account exceeded its capacity in all attempts.
    #[error("DynamoDB throttled {operation}")]
    Throttled {
        /// The name of the call.
        operation: &'static str,
        /// The error of the SDK.
        source: BoxError,
    },
    /// Another write to the same rows was running in all attempts.
    #[error("{operation} conflicts with another write to the same rows")]
    Contended {
        /// The name of the call.
        operation: &'static str,
    },
    /// DynamoDB could not be reached, was too slow, or failed.
    #[error("DynamoDB did not respond to {operation}")]
    Unavailable {
        /// The name of the call.
        operation: &'static str,
        /// The error of the SDK.
        source: BoxError,
    },
    /// DynamoDB rejected the call: the table or a permission is missing, or this program has a bug.
    #[error("DynamoDB rejected {operation}")]
    Refused {
        /// The name of the call.
        operation: &'static str,
        /// The error of the SDK.
        source: BoxError,
    },
    /// A row does not have the shape that this program writes.
    #[error("a row of the table has an unexpected shape")]
    Row(#[from] serde_dynamo::Error),
}

impl Store {
    /// Creates a handle to the table `table`.
    pub fn new(client: Client, table: &str, metrics: Metrics) -> Self {
        Self { client, table: table.into(), metrics }
    }

    /// Checks that the table can be reached with these credentials, by reading a row that never exists.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as for any read.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.row(&Owner::user("health", "check"), "PROFILE".to_owned()).await.map(drop)
    }

    /// Reads one row with strong consistency: a caller sees their own writes.
    async fn row(&self, owner: &Owner, sort_key: String) -> Result<Option<Row>, StoreError> {
        self.get(key(owner, sort_key)).await
    }

    async fn get(&self, key: Row) -> Result<Option<Row>, StoreError> {
        let request = self.client.get_item().table_name(&*self.table).set_key(Some(key));
        let sent = self.send("GetItem", request.consistent_read(true).send()).await;
        Ok(sent.map_err(|error| classify_error("GetItem", error))?.item)
    }

    /// Sends a call and counts it by its outcome.
    async fn send<T, E: ProvideErrorMetadata>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, SdkError<E>> {
        debug_assert!(is_allowed(operation), "TABLE_ACTIONS lacks {operation}");
        let result = call.await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(SdkError::ServiceError(error)) => error.err().code().unwrap_or("unknown"),
            Err(SdkError::TimeoutError(_)) => "timeout",
            Err(_) => "unreachable",
        };
        self.metrics.dynamodb_call(operation, outcome);
        result
    }
}

fn is_allowed(operation: &str) -> bool {
    let mut names = TABLE_ACTIONS.iter().filter_map(|action| action.strip_prefix("dynamodb:"));
    operation == "TransactWriteItems" || names.any(|name| operation.starts_with(name))
}

fn key(owner: &Owner, sort_key: String) -> Row {
    let partition_key = AttributeValue::S(owner.partition_key().to_owned());
    HashMap::from([("pk".to_owned(), partition_key), ("sk".to_owned(), AttributeValue::S(sort_key))])
}

/// Classifies an error that the caller has not handled.
fn classify_error<E>(operation: &'static str, error: SdkError<E>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(service) => match service.err().code().unwrap_or_default() {
            "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => {
                StoreError::Throttled { operation, source: error.into() }
            }
            "TransactionConflictException" | "TransactionInProgressException" => {
                StoreError::Contended { operation }
            }
            _ if service.raw().status().is_server_error() => {
                StoreError::Unavailable { operation, source: error.into() }
            }
            _ => StoreError::Refused { operation, source: error.into() },
        },
        SdkError::ConstructionFailure(_) => StoreError::Refused { operation, source: error.into() },
        _ => StoreError::Unavailable { operation, source: error.into() },
    }
}

/// Classifies the error of a transaction that the caller has not handled:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
fn classify_transaction_error(error: SdkError<TransactWriteItemsError>) -> StoreError {
    const OPERATION: &str = "TransactWriteItems";
    let code = match &error {
        SdkError::ServiceError(service) => match service.err() {
            TransactWriteItemsError::TransactionCanceledException(canceled) => {
                let mut codes = canceled.cancellation_reasons().iter().filter_map(CancellationReason::code);
                codes.find(|code| *code != "None").unwrap_or_default().to_owned()
            }
            _ => String::new(),
        },
        _ => String::new(),
    };
    match code.as_str() {
        "ThrottlingError" | "ProvisionedThroughputExceeded" => {
            StoreError::Throttled { operation: OPERATION, source: error.into() }
        }
        "TransactionConflict" => StoreError::Contended { operation: OPERATION },
        _ => classify_error(OPERATION, error),
    }
}

/// The ID of one write, the same in all its attempts.
#[derive(Debug, Clone)]
struct WriteId(AttributeValue);

/// The attributes with the IDs of an item's last writes, the newest first. A retry is distinguished from a conflict if
/// fewer than four other writes happen between its attempts, which are at most 5 s apart.
const WRITE_IDS: [&str; 4] = ["w0", "w1", "w2", "w3"];

impl WriteId {
    fn generate() -> Self {
        Self(AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(Uuid::new_v4().into_bytes())))
    }

    /// Returns the attributes of a row that only this write has written.
    fn attributes(&self) -> impl Iterator<Item = (String, AttributeValue)> {
        WRITE_IDS.iter().map(|name| ((*name).to_owned(), self.0.clone()))
    }

    fn has_written(&self, row: &Row) -> bool {
        WRITE_IDS.iter().any(|name| row.get(*name) == Some(&self.0))
    }
}

/// Counts the attempts of one call: with several, a response may describe the effect of an earlier one.
#[derive(Debug, Clone, Default)]
struct Attempts(Arc<AtomicU32>);

impl Attempts {
    fn several(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
