//! The start page: what is running, for somebody who opens the API in a browser.

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{Html, IntoResponse, Response},
};
use backend::server::Peer;
use secrecy::ExposeSecret;

use crate::{
    arguments::Arguments,
    banner::{mcp_command, token_command},
    stack::Stack,
};

const STYLE: &str = include_str!("../../cognito-local/assets/style.css");
const LANDING_STYLE: &str = include_str!("../assets/landing.css");
const ICON: &str = include_str!("../../cognito-local/assets/icon.svg");

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// Everything that the page shows.
#[derive(Clone, Template)]
#[template(path = "landing.html")]
struct Page {
    api_url: String,
    docs_enabled: bool,
    docs_can_sign_in: bool,
    mcp_command: Option<String>,
    pool: Option<Pool>,
    dynamodb: Option<String>,
    s3: Option<String>,
    folder: Option<String>,
}

#[derive(Clone)]
struct Pool {
    domain: String,
    id: String,
    users: Vec<User>,
    command: Option<String>,
}

#[derive(Clone)]
struct User {
    name: String,
    password: String,
    groups: String,
}

/// Puts the page in front of the API's routes.
pub(crate) fn surround(api: Router, stack: &Stack, arguments: &Arguments) -> Router {
    api.layer(from_fn_with_state(Page::new(stack, arguments), answer))
}

impl Page {
    fn new(stack: &Stack, arguments: &Arguments) -> Self {
        let pool = stack.user_pool.as_ref().map(|local| Pool {
            domain: local.domain().to_owned(),
            id: local.pool().pool_id().to_owned(),
            users: local
                .pool()
                .users()
                .into_iter()
                .map(|user| User {
                    name: user.username,
                    password: user.password.expose_secret().to_owned(),
                    groups: user.groups.join(", "),
                })
                .collect(),
            command: token_command(local).map(|token| {
                format!("{token}\ncurl -H \"Authorization: Bearer $TOKEN\" {}/items", stack.api_url)
            }),
        });
        Self {
            api_url: stack.api_url.clone(),
            docs_enabled: stack.app.config().docs_enabled,
            docs_can_sign_in: stack.docs_can_sign_in,
            mcp_command: stack.mcp_can_sign_in().then(|| mcp_command(&stack.api_url)),
            pool,
            dynamodb: stack.dynamodb.as_ref().map(|local| local.endpoint_url().to_owned()),
            s3: stack.s3.as_ref().map(|local| local.endpoint_url().to_owned()),
            folder: arguments.data_dir().map(|folder| folder.display().to_string()),
        }
    }
}

/// Answers browsers at `/` and the page's files; everything else goes to the API.
///
/// The page shows passwords, so only this machine gets it: neither a site by DNS rebinding nor, with `BIND_ADDRESS` set to
/// a public address, another machine.
async fn answer(State(page): State<Page>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match request.uri().path() {
        "/" if accepts_html(request.headers()) && is_from_here(&request) => show(&page),
        "/assets/style.css" => asset("text/css; charset=utf-8", STYLE),
        "/assets/landing.css" => asset("text/css; charset=utf-8", LANDING_STYLE),
        "/assets/icon.svg" => asset("image/svg+xml", ICON),
        _ => next.run(request).await,
    }
}

fn is_from_here(request: &Request) -> bool {
    let peer = request.extensions().get::<Peer>();
    peer.is_some_and(|Peer(address)| address.ip().is_loopback())
        && local_cloud::has_loopback_host(request.headers())
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.split(',').any(|range| range.trim().starts_with("text/html")))
}

fn show(page: &Page) -> Response {
    match page.render() {
        Ok(html) => {
            let headers = [
                (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
                (header::CACHE_CONTROL, "no-store"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (header::VARY, "accept"),
            ];
            (headers, Html(html)).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn asset(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, content).into_response()
}
