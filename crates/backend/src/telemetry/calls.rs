//! A span for each call of DynamoDB and S3 within a request.
//!
//! Only names and numbers are read from a call, never its input or output.

use std::time::SystemTime;

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
            FinalizerInterceptorContextRef,
        },
    },
    error::BoxError,
    operation::{
        batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput},
        delete_item::{DeleteItemInput, DeleteItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        put_item::{PutItemInput, PutItemOutput},
        query::{QueryInput, QueryOutput},
        transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity},
};
use aws_smithy_runtime_api::client::{
    interceptors::context::{Error, Input, Output},
    orchestrator::{Metadata, OrchestratorError},
    retries::RequestAttempts,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use opentelemetry::{
    Array, Context, KeyValue, StringValue, Value,
    trace::{Span, SpanKind, Status, TraceContextExt, Tracer},
};

use super::TELEMETRY;

/// Adds the spans to a client of the AWS SDK.
#[derive(Debug)]
pub(crate) struct CallSpans;

#[derive(Debug)]
struct Started(SystemTime);

impl Storable for Started {
    type Storer = StoreReplace<Self>;
}

impl Intercept for CallSpans {
    fn name(&self) -> &'static str {
        "CallSpans"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Started(SystemTime::now()));
        Ok(())
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        ask_for_capacity(context.input_mut());
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Presigning has no outcome, because nothing is sent.
        if let Some(outcome) = context.output_or_error() {
            let status = context.response().map(|response| response.status().as_u16());
            record(outcome, status, config);
        }
        Ok(())
    }
}

/// Records a call as a span of the request that makes it. Calls of background tasks have none.
fn record(
    outcome: Result<&Output, &OrchestratorError<Error>>,
    http_status: Option<u16>,
    config: &ConfigBag,
) -> Option<()> {
    let tracer = TELEMETRY.get()?.tracer.as_ref()?;
    let request = Context::current();
    let call = config.load::<Metadata>()?;
    let Started(started) = config.load::<Started>()?;
    if !request.has_active_span() {
        return None;
    }
    let (service, operation) = (call.service().to_owned(), call.name().to_owned());
    let attempts = config.load::<RequestAttempts>().map_or(0, RequestAttempts::attempts);
    let mut attributes = vec![
        KeyValue::new("rpc.system", "aws-api"),
        KeyValue::new("rpc.service", service.clone()),
        KeyValue::new("rpc.method", operation.clone()),
        KeyValue::new("aws.attempts", i64::from(attempts)),
    ];
    if service == "DynamoDB" {
        attributes.push(KeyValue::new("db.system.name", "aws.dynamodb"));
        attributes.push(KeyValue::new("db.operation.name", operation.clone()));
    }
    attributes.extend(http_status.map(|code| KeyValue::new("http.response.status_code", i64::from(code))));
    let capacity = outcome.ok().map(consumed_capacity).filter(|parts| !parts.is_empty());
    attributes
        .extend(capacity.map(|parts| {
            KeyValue::new("aws.dynamodb.consumed_capacity", Value::Array(Array::String(parts)))
        }));
    attributes.extend(outcome.err().map(|error| KeyValue::new("error.type", error_type(error, http_status))));
    let span = tracer.span_builder(format!("{service}.{operation}")).with_kind(SpanKind::Client);
    let span = span.with_start_time(*started).with_attributes(attributes);
    let mut span = span.start_with_context(tracer, &request);
    if outcome.is_err() {
        span.set_status(Status::error(""));
    }
    span.end();
    Some(())
}

fn error_type(error: &OrchestratorError<Error>, http_status: Option<u16>) -> String {
    match http_status {
        _ if error.is_timeout_error() => "timeout".to_owned(),
        Some(status) if status >= 400 => status.to_string(),
        _ if error.is_connector_error() => "connection".to_owned(),
        _ => "_OTHER".to_owned(),
    }
}

/// Asks DynamoDB to return what a call consumed; that costs nothing.
fn ask_for_capacity(input: &mut Input) {
    macro_rules! ask {
        ($($Input:ty),+) => {$(
            if let Some(input) = input.downcast_mut::<$Input>() {
                input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
            }
        )+};
    }
    ask!(
        GetItemInput,
        PutItemInput,
        UpdateItemInput,
        DeleteItemInput,
        QueryInput,
        BatchWriteItemInput,
        TransactWriteItemsInput
    );
}

/// Returns the consumed capacity, each table as JSON, as the convention for `aws.dynamodb.consumed_capacity` has it.
fn consumed_capacity(output: &Output) -> Vec<StringValue> {
    macro_rules! one {
        ($($Output:ty),+) => {$(
            if let Some(output) = output.downcast_ref::<$Output>() {
                return output.consumed_capacity().map(to_json).into_iter().collect();
            }
        )+};
    }
    macro_rules! several {
        ($($Output:ty),+) => {$(
            if let Some(output) = output.downcast_ref::<$Output>() {
                return output.consumed_capacity().iter().map(to_json).collect();
            }
        )+};
    }
    one!(GetItemOutput, PutItemOutput, UpdateItemOutput, DeleteItemOutput, QueryOutput);
    several!(BatchWriteItemOutput, TransactWriteItemsOutput);
    Vec::new()
}

fn to_json(consumed: &ConsumedCapacity) -> StringValue {
    let (table, units) = (consumed.table_name(), consumed.capacity_units());
    serde_json::json!({ "TableName": table, "CapacityUnits": units }).to_string().into()
}
