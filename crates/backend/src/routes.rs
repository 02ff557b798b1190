//! The routes, a module for each resource. A handler is named as its operation in the document: verb and resource.

pub mod admin;
pub mod attachments;
pub(crate) mod fallback;
pub mod health;
pub mod items;
pub mod metadata;
pub(crate) mod metrics;
pub mod users;

use std::borrow::Cow;

use http::StatusCode;

use crate::{
    problem::{FieldError, Problem},
    services::{dynamodb::StoreError, s3::BucketError},
};

/// How many items a page has when the caller does not say.
const DEFAULT_PAGE: usize = 20;

/// How many items a page can have.
const MAX_PAGE: usize = 100;

/// Which page of a list.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many items at most.
    #[serde(default = "default_page", deserialize_with = "page_size")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: usize,
    /// The `next_cursor` of the page before.
    #[param(required = false, value_type = String, pattern = "^[A-Za-z0-9_-]{32}$")]
    cursor: Option<String>,
}

fn default_page() -> usize {
    DEFAULT_PAGE
}

fn page_size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = <Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
    let limit = text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| serde::de::Error::custom(format!("must be a whole number from 1 to {MAX_PAGE}")))
}

fn foreign_cursor() -> Problem {
    let detail = "must be the `next_cursor` of a page of this list; leave it out for the first page";
    Problem::invalid(vec![FieldError::new("cursor", detail)])
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let unavailable = |detail| Self::unavailable(detail, 1);
        match error {
            StoreError::Throttled { .. } => {
                unavailable("The server has too much to do right now.").cause(error)
            }
            StoreError::Contended { .. } => {
                let detail = "Another request is changing the same resource. Repeat this one in a second.";
                Self::new(StatusCode::CONFLICT, detail).retry_after(1).cause(error)
            }
            StoreError::Unavailable { .. } => {
                unavailable("The data cannot be reached right now.").cause(error)
            }
            StoreError::Refused { .. } | StoreError::Row(_) => Self::internal(error),
        }
    }
}

impl From<BucketError> for Problem {
    fn from(error: BucketError) -> Self {
        match error {
            BucketError::Unavailable { .. } => {
                Self::unavailable("The attachments cannot be reached right now.", 1).cause(error)
            }
            BucketError::Refused { .. } => Self::internal(error),
        }
    }
}
