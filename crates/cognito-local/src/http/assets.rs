//! Files that pages link to.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::page;
use crate::pool::LocalPool;

const STYLE: &str = include_str!("../../assets/style.css");
const ICON: &str = include_str!("../../assets/icon.svg");

pub(super) async fn asset(
    axum::extract::State(pool): axum::extract::State<LocalPool>,
    Path(name): Path<String>,
) -> Response {
    let (content_type, content) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return page::not_found(axum::extract::State(pool)).await,
    };
    // Revalidated at each use: after an update of the program the pages must not wear yesterday's style.
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], content).into_response()
}
