//! DynamoDB's protocol. dynoxide's own server verifies no signature and allows every origin, and cannot be wrapped.

use std::sync::Arc;

use aws_credential_types::Credentials;
use axum::{
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use dynoxide::{Database, DynoxideError, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::signature::{SignatureError, verify};

const MEDIA_TYPE: &str = "application/x-amz-json-1.0";
const TARGET_PREFIX: &str = "DynamoDB_20120810.";
/// DynamoDB accepts bodies of up to 16 MiB.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024; // 16 MiB

/// Answers `POST /` with the operation that `X-Amz-Target` names.
pub(super) async fn handle(State(state): State<Arc<(Database, Credentials)>>, request: Request) -> Response {
    let (database, credentials) = &*state;
    if request.method() != Method::POST || request.uri().path() != "/" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if let Err(error) = verify(&parts.headers, &body, credentials) {
        return unauthenticated(error);
    }
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix(TARGET_PREFIX)).unwrap_or_default();
    match call(database, operation, &body) {
        Ok(body) => answer(StatusCode::OK, body),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
            answer(status, error.to_json())
        }
    }
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

fn unauthenticated(error: SignatureError) -> Response {
    let (code, message) = match error {
        SignatureError::MissingAuthenticationToken => {
            ("MissingAuthenticationTokenException", "The request must be signed.")
        }
        SignatureError::IncompleteSignature => {
            ("IncompleteSignatureException", "The signature is incomplete.")
        }
        SignatureError::UnrecognizedClient => {
            ("UnrecognizedClientException", "The access key ID is not that of this data folder.")
        }
        SignatureError::InvalidSignature => {
            ("InvalidSignatureException", "The signature does not match the request, or is too old.")
        }
    };
    let body = json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": message });
    answer(StatusCode::BAD_REQUEST, body.to_string())
}

fn call(db: &Database, operation: &str, body: &Bytes) -> Result<String> {
    match operation {
        "CreateTable" => run(body, |request| db.create_table(request)),
        "DeleteTable" => run(body, |request| db.delete_table(request)),
        "DescribeTable" => run(body, |request| db.describe_table(request)),
        "UpdateTable" => run(body, |request| db.update_table(request)),
        "ListTables" => run(body, |request| db.list_tables(request)),
        "PutItem" => run(body, |request| db.put_item(request)),
        "GetItem" => run(body, |request| db.get_item(request)),
        "UpdateItem" => run(body, |request| db.update_item(request)),
        "DeleteItem" => run(body, |request| db.delete_item(request)),
        "Query" => run(body, |request| db.query(request)),
        "Scan" => run(body, |request| db.scan(request)),
        "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
        "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
        "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
        "ExecuteStatement" => run(body, |request| db.execute_statement(request)),
        "ExecuteTransaction" => run(body, |request| db.execute_transaction(request)),
        "BatchExecuteStatement" => run(body, |request| db.batch_execute_statement(request)),
        "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
        "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
        _ => Err(DynoxideError::ValidationException(format!("the operation `{operation}` is not supported"))),
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &Bytes,
    operation: impl FnOnce(Q) -> Result<A>,
) -> Result<String> {
    let request = serde_json::from_slice(body)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()))?;
    let answer = operation(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
