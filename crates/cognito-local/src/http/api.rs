//! The AWS API of user pools: `POST /` in the protocol AWS JSON 1.1, as the AWS SDKs and Amplify speak it.

mod access;
mod account;
mod admin_groups;
mod admin_users;
mod challenge;
mod error;
mod input;
mod operations;
mod paging;
mod password;
mod pool;
mod sign_in;
mod sign_up;
mod software_token;
mod tokens;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::Value;

use super::state::AppState;
use error::ApiError;
use input::Input;

pub(super) use access::Access;
pub(super) use operations::OPERATIONS;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const TARGET_PREFIX: &str = "AWSCognitoIdentityProviderService.";

pub(super) fn router() -> Router<AppState> {
    Router::new().route("/", post(call).options(preflight))
}

async fn call(State(pool): State<AppState>, request: Request) -> Response {
    let headers = request.headers().clone();
    let mut response = match answer(&pool, &headers, request).await {
        Ok(output) => output.to_string().into_response(),
        Err(error) => error.into_response(),
    };
    let id = uuid::Uuid::new_v4().to_string();
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    if headers.contains_key(ORIGIN) && access::is_origin_of_application(&pool, &headers) {
        access::allow_reading(&mut response);
    }
    response
}

/// Web pages ask with this before they call.
async fn preflight(State(pool): State<AppState>, headers: HeaderMap) -> Response {
    if !access::is_origin_of_application(&pool, &headers) {
        return ApiError::foreign_origin().into_response();
    }
    let mut response = Response::new(Body::empty());
    access::allow_calling(&mut response, &headers);
    response
}

async fn answer(pool: &AppState, headers: &HeaderMap, request: Request) -> Result<Value, ApiError> {
    if headers.contains_key(ORIGIN) && !access::is_origin_of_application(pool, headers) {
        return Err(ApiError::foreign_origin());
    }
    let name = operation_name(headers)?;
    let access = operations::access(name).ok_or_else(ApiError::unknown_operation)?;
    // `text/plain` is what a web page can send without a preflight.
    if headers.get(CONTENT_TYPE).is_none_or(|media_type| !is_aws_json(media_type)) {
        return Err(ApiError::serialization("Content-Type must be application/x-amz-json-1.1"));
    }
    if access == Access::Signed {
        access::require_signature(headers)?;
    }
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(_) => ApiError::body_too_large(),
        _ => ApiError::serialization("The body cannot be read"),
    })?;
    operations::call(pool, name, &Input::parse(&body)?).await
}

fn operation_name(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut targets = headers.get_all(TARGET).iter();
    let target = targets.next().filter(|_| targets.next().is_none());
    target
        .and_then(|target| target.to_str().ok()?.strip_prefix(TARGET_PREFIX))
        .ok_or_else(ApiError::unknown_operation)
}

fn is_aws_json(media_type: &HeaderValue) -> bool {
    let essence = media_type.to_str().ok().and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-amz-json-1.1")
}
