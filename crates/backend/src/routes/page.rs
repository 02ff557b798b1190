//! The page of a list that a request asks for.

use std::borrow::Cow;

/// The page size without the parameter `limit`.
const DEFAULT_PAGE: usize = 20;

/// The largest page size.
const MAX_PAGE: usize = 100;

/// The page of a list.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The most items to return.
    #[serde(default = "default_page", deserialize_with = "page_size")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(super) limit: usize,
    /// The `next_cursor` of the previous page.
    #[param(required = false, value_type = String, pattern = "^[A-Za-z0-9_-]{32}$")]
    pub(super) cursor: Option<String>,
}

fn default_page() -> usize {
    DEFAULT_PAGE
}

fn page_size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = <Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
    let limit = text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| serde::de::Error::custom(format!("must be a whole number from 1 to {MAX_PAGE}")))
}
