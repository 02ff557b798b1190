//! Receives the redirect at the end of the sign-in: a web server on this machine (RFC 8252, section 7.3).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use oauth2::RedirectUrl;
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use url::{Host, Url};

use crate::error::{Error, Exit};

/// How long the browser waits for the outcome of the sign-in: two requests to the pool.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the browser may take to fetch the last page.
const LAST_PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// The outcome that the browser reports.
pub(crate) enum Callback {
    /// A code to exchange for tokens.
    Code(String),
    /// The pool, or the user, rejected the request (RFC 6749, section 4.1.2.1).
    Rejected { error: String, description: Option<String> },
}

/// Listens on a loopback address only, so that no other machine can send a callback.
pub(crate) struct CallbackServer {
    pub(crate) redirect_uri: RedirectUrl,
    listener: TcpListener,
}

/// The request of the browser, which waits for its page.
pub(crate) struct Page {
    outcome: oneshot::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
}

#[derive(Clone)]
struct Expectation {
    state: String,
    arrived: mpsc::Sender<(Callback, oneshot::Sender<bool>)>,
}

/// The parameters of an authorization response (RFC 6749, section 4.1.2).
#[derive(Deserialize)]
struct Parameters {
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl CallbackServer {
    /// Listens on the redirect URI's address, or on a free port.
    ///
    /// RFC 8252, section 8.3 prefers the address to `localhost`. For `localhost`, 127.0.0.1 is enough: browsers try it
    /// too, and PKCE makes a code worthless to a program that listens on ::1.
    pub(crate) async fn bind(redirect_uri: Option<&Url>) -> Result<Self, Error> {
        let ip: IpAddr = match redirect_uri.and_then(Url::host) {
            Some(Host::Ipv6(ip)) => ip.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        let address = SocketAddr::new(ip, redirect_uri.and_then(Url::port).unwrap_or(0));
        let cannot_listen = |error: io::Error| {
            let hint = "Check whether another `items login` is waiting.";
            Error::new(Exit::Local, format!("cannot listen on {address}"), hint).with_source(error)
        };
        let listener = TcpListener::bind(address).await.map_err(cannot_listen)?;
        let bound = listener.local_addr().map_err(cannot_listen)?;
        let redirect_uri = match redirect_uri {
            Some(uri) => RedirectUrl::from_url(uri.clone()),
            None => RedirectUrl::new(format!("http://{bound}/callback"))
                .map_err(|error| cannot_listen(io::Error::other(error)))?,
        };
        Ok(Self { redirect_uri, listener })
    }

    /// Waits for a request with this `state`, and stops accepting others.
    ///
    /// Requests with another `state` are rejected without ending the wait: otherwise any page could end a sign-in.
    pub(crate) async fn callback(self, state: &str) -> (Callback, Page) {
        let (arrived, mut arrivals) = mpsc::channel(1);
        let expectation = Expectation { state: state.to_owned(), arrived };
        let router =
            Router::new().route(self.redirect_uri.url().path(), get(receive)).with_state(expectation);
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let server = axum::serve(self.listener, router).with_graceful_shutdown(stopped);
        let server = tokio::spawn(server.into_future());
        let Some((callback, outcome)) = arrivals.recv().await else {
            // The router holds a sender as long as it is served.
            return std::future::pending().await;
        };
        let _ = stop.send(());
        (callback, Page { outcome, server })
    }
}

impl Page {
    /// Shows the outcome in the browser.
    pub(crate) async fn respond(self, is_signed_in: bool) {
        let _ = self.outcome.send(is_signed_in);
        let _ = tokio::time::timeout(LAST_PAGE_TIMEOUT, self.server).await;
    }
}

async fn receive(
    State(expected): State<Expectation>,
    // A query with a repeated parameter is rejected (RFC 6749, section 3.1).
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let Some(callback) = parameters.ok().and_then(|Query(parameters)| parameters.check(&expected.state))
    else {
        return page(
            StatusCode::BAD_REQUEST,
            "This is not the expected response",
            "The sign-in continues in the other tab.",
        );
    };
    let (outcome, result) = oneshot::channel();
    // If this fails, another request was faster, and `result` fails, too.
    let _ = expected.arrived.try_send((callback, outcome));
    match tokio::time::timeout(OUTCOME_TIMEOUT, result).await {
        Ok(Ok(true)) => {
            page(StatusCode::OK, "You are signed in", "You can close this tab and go back to the terminal.")
        }
        _ => page(StatusCode::OK, "You are not signed in", "The terminal says why. You can close this tab."),
    }
}

impl Parameters {
    fn check(self, state: &str) -> Option<Callback> {
        match self {
            _ if self.state != state => None,
            Self { code: Some(code), error: None, .. } if !code.is_empty() => Some(Callback::Code(code)),
            Self { code: None, error: Some(error), error_description, .. } => {
                Some(Callback::Rejected { error, description: error_description })
            }
            _ => None,
        }
    }
}

/// Returns a page without script or style. Its headers keep its URL, which contains the code, out of caches and of the
/// logs of other sites.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title></head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONNECTION, "close"),
    ];
    (status, headers, Html(html)).into_response()
}
