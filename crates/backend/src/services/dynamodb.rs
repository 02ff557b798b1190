//! One DynamoDB table for everything, and one call for each thing a route does.
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | owner | `PROFILE` | the profile |
//! | owner | `ITEM#<uuid v7>` | an item; v7 ids sort by creation, so a query backwards is "newest first" |
//! | owner | `FILE#<item>#<attachment>` | an attachment's record |
//! | owner | `IDEMPOTENCY#<sha-256 of the key>` | the answer that a create gave, for 24 hours |
//!
//! The owner is `USER#<pool>#<sub>` or `CLIENT#<pool>#<client id>`: every method takes it first, so nothing here can reach
//! another's data.
//!
//! # Retries
//!
//! The SDK repeats a request whose answer it never saw, although the first may have been carried out. A conditional write
//! then fails on its own success. So each write carries an id of its own, an item remembers its last four, and a failed
//! condition whose old item names this write's id is what it is: a success.

mod attachments;
mod idempotency;
mod items;
mod profiles;

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

pub use self::{
    attachments::Reserved,
    idempotency::IdempotentCreate,
    items::{Deleted, Page, Written},
};
use crate::{metrics::Metrics, models::owner::Owner};

/// A row as the SDK has it.
type Row = HashMap<String, AttributeValue>;

/// How often a call is tried, the first time included.
const MAX_ATTEMPTS: u32 = 4;

/// The SDK's configuration for this table's client: every wait has an end.
///
/// A connection may take 1 s, an attempt 1.5 s and a whole operation with its retries 5 s, so that a caller has an answer
/// within 5.5 s whatever DynamoDB does. The SDK itself sets no limit but the first.
pub fn client_config(shared: &SdkConfig) -> Builder {
    Builder::from(shared)
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

/// Why DynamoDB did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The table or the account is over its capacity, and stayed so over all attempts.
    #[error("DynamoDB throttles {operation}")]
    Throttled {
        /// Which call.
        operation: &'static str,
        /// What the SDK says.
        source: BoxError,
    },
    /// Another write to the same rows was under way, and stayed so over all attempts.
    #[error("{operation} met another write to the same rows")]
    Contended {
        /// Which call.
        operation: &'static str,
    },
    /// DynamoDB could not be reached, was too slow, or failed.
    #[error("DynamoDB does not answer {operation}")]
    Unavailable {
        /// Which call.
        operation: &'static str,
        /// What the SDK says.
        source: BoxError,
    },
    /// DynamoDB refused the call: no such table, no permission, or a mistake in this program.
    #[error("DynamoDB refuses {operation}")]
    Refused {
        /// Which call.
        operation: &'static str,
        /// What the SDK says.
        source: BoxError,
    },
    /// A row does not look as this program writes them.
    #[error("a row of the table has another shape")]
    Row(#[from] serde_dynamo::Error),
}

impl Store {
    /// The table `table`, reached through `client`.
    pub fn new(client: Client, table: &str, metrics: Metrics) -> Self {
        Self { client, table: table.into(), metrics }
    }

    /// Reads one row that is never there: succeeds if the table can be reached with these credentials.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as for any read.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.row(&Owner::user("health", "check"), "PROFILE".to_owned()).await.map(drop)
    }

    /// One row, read with strong consistency: who was told of a write sees it.
    async fn row(&self, owner: &Owner, sort_key: String) -> Result<Option<Row>, StoreError> {
        let request = self.client.get_item().table_name(&*self.table).set_key(Some(key(owner, sort_key)));
        let sent = self.send("GetItem", request.consistent_read(true).send()).await;
        Ok(sent.map_err(|error| refine("GetItem", error))?.item)
    }

    /// Waits for a call and counts it by its outcome.
    async fn send<T, E: ProvideErrorMetadata>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, SdkError<E>> {
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

fn key(owner: &Owner, sort_key: String) -> Row {
    let partition_key = AttributeValue::S(owner.partition_key().to_owned());
    HashMap::from([("pk".to_owned(), partition_key), ("sk".to_owned(), AttributeValue::S(sort_key))])
}

/// Which kind of failure it is, for those that no caller has told apart before.
fn refine<E>(operation: &'static str, error: SdkError<E>) -> StoreError
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

/// Why a transaction was not made, for those reasons that no caller has told apart before:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
fn refine_transaction(error: SdkError<TransactWriteItemsError>) -> StoreError {
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
        _ => refine(OPERATION, error),
    }
}

/// Identifies one write over all its attempts.
#[derive(Debug, Clone)]
struct WriteId(AttributeValue);

/// Where an item remembers its last writes, the newest first. A retry is told from a conflict as long as fewer than four
/// others wrote between its attempts, which are at most 5 s apart.
const WRITE_IDS: [&str; 4] = ["w0", "w1", "w2", "w3"];

impl WriteId {
    fn generate() -> Self {
        Self(AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(Uuid::new_v4().into_bytes())))
    }

    /// The attributes of a row that only this write has touched.
    fn attributes(&self) -> impl Iterator<Item = (String, AttributeValue)> {
        WRITE_IDS.iter().map(|name| ((*name).to_owned(), self.0.clone()))
    }

    fn has_written(&self, row: &Row) -> bool {
        WRITE_IDS.iter().any(|name| row.get(*name) == Some(&self.0))
    }
}

/// Counts the attempts of one call, to know whether an answer may speak of an earlier attempt's work.
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
