//! `/`: the home page of the pool.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{Frame, Page};
use crate::directory::Directory;
use crate::urls::PoolUrls;

#[derive(Template)]
#[template(path = "home.html")]
struct HomeTemplate {
    frame: Frame,
    issuer: String,
    clients: Vec<(String, &'static str)>,
}

pub(super) async fn home(
    State(urls): State<Arc<PoolUrls>>,
    State(directory): State<Arc<Directory>>,
) -> Response {
    let clients = directory.clients().into_iter().map(|client| {
        let kind = if client.is_public() { "public, with PKCE" } else { "confidential, with a secret" };
        (client.id.clone(), kind)
    });
    let template = HomeTemplate {
        frame: Frame::without_form(&urls.pool_id),
        issuer: urls.issuer.clone(),
        clients: clients.collect(),
    };
    Page { status: StatusCode::OK, template, form_target: String::new() }.into_response()
}
