//! `/`: what this is, for somebody who opens it in a browser.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{Frame, Page};
use crate::pool::LocalPool;

#[derive(Template)]
#[template(path = "home.html")]
struct HomeTemplate {
    frame: Frame,
    issuer: String,
    clients: Vec<(String, &'static str)>,
}

pub(super) async fn home(State(pool): State<LocalPool>) -> Response {
    let clients = pool.directory().clients().into_iter().map(|client| {
        let kind = if client.is_public() { "public, with PKCE" } else { "confidential, with a secret" };
        (client.id.clone(), kind)
    });
    let template = HomeTemplate {
        frame: Frame::of_page(&pool),
        issuer: pool.issuer().to_owned(),
        clients: clients.collect(),
    };
    Page { status: StatusCode::OK, template, form_target: String::new(), set_cookie: None }.into_response()
}
