//! `/api`: the operations of the AWS API that the pool has.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{Frame, Page};
use crate::http::api::{Access, OPERATIONS};
use crate::urls::PoolUrls;

#[derive(Template)]
#[template(path = "api_operations.html")]
struct OperationsTemplate {
    frame: Frame,
    endpoint: String,
    groups: Vec<(&'static str, Vec<&'static str>)>,
}

pub(super) async fn api_operations(State(urls): State<Arc<PoolUrls>>) -> Response {
    let group = |heading, wanted: Access| {
        let names = OPERATIONS.iter().filter(|(_, access)| *access == wanted);
        (heading, names.map(|(name, _)| *name).collect())
    };
    let template = OperationsTemplate {
        frame: Frame::without_form(&urls.pool_id),
        endpoint: urls.origin.clone(),
        groups: vec![
            group("Without credentials", Access::Open),
            group("With the access token of a user", Access::WithToken),
            group("Signed with any AWS credentials", Access::Signed),
        ],
    };
    Page { status: StatusCode::OK, template, form_target: String::new() }.into_response()
}
