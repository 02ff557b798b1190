//! The static files of the pages.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::page;
use crate::urls::PoolUrls;

const STYLE: &str = include_str!("../../../assets/style.css");
const ICON: &str = include_str!("../../../assets/icon.svg");

pub(super) async fn asset(urls: State<Arc<PoolUrls>>, Path(name): Path<String>) -> Response {
    let (content_type, content) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return page::not_found(urls).await,
    };
    // Browsers must revalidate, so that an update of the program also updates the style of its pages.
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], content).into_response()
}
