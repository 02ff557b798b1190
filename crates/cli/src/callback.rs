//! The end of the redirect: a web server on this machine for one request (RFC 8252, section 7.3).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use oauth2::RedirectUrl;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use url::{Host, Url, form_urlencoded};

use crate::error::{Error, Exit};

/// How long the browser waits for the outcome of the sign-in: two requests to the pool.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the browser may take to fetch the last page.
const LAST_PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the browser sends.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum Callback {
    /// A code to exchange for tokens.
    Code(String),
    /// The pool, or the user, rejected the request (RFC 6749, section 4.1.2.1).
    Rejected { error: String, description: Option<String> },
}

/// Listens on a loopback address only, so that no other machine can send a callback.
pub(crate) struct CallbackServer {
    redirect_uri: Url,
    listener: TcpListener,
}

/// The page for which the browser still waits.
pub(crate) struct Page {
    outcome: oneshot::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
}

#[derive(Clone)]
struct Expectation {
    state: String,
    arrived: mpsc::Sender<(Callback, oneshot::Sender<bool>)>,
}

impl CallbackServer {
    /// Listens where the redirect URI says, or on a free port.
    ///
    /// RFC 8252, section 8.3 prefers the address to `localhost`. For `localhost`, 127.0.0.1 is enough: browsers try it too, and PKCE
    /// makes a code worthless to a program that listens on ::1.
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
            Some(uri) => uri.clone(),
            None => Url::parse(&format!("http://{bound}/callback"))
                .map_err(|error| cannot_listen(io::Error::other(error)))?,
        };
        Ok(Self { redirect_uri, listener })
    }

    pub(crate) fn redirect_uri(&self) -> RedirectUrl {
        RedirectUrl::from_url(self.redirect_uri.clone())
    }

    /// Waits for the browser to come back with this `state`. A request with another `state` is rejected, and the wait
    /// continues: otherwise any page could end a sign-in.
    pub(crate) async fn callback(self, state: &str) -> (Callback, Page) {
        let (arrived, mut arrivals) = mpsc::channel(1);
        let expectation = Expectation { state: state.to_owned(), arrived };
        let router = Router::new().route(self.redirect_uri.path(), get(receive)).with_state(expectation);
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let server = axum::serve(self.listener, router).with_graceful_shutdown(stopped);
        let server = tokio::spawn(server.into_future());
        match arrivals.recv().await {
            Some((callback, outcome)) => (callback, Page { outcome, server, stop }),
            // The router holds a sender as long as it is served.
            None => std::future::pending().await,
        }
    }
}

impl Page {
    /// Tells the browser the outcome, and stops.
    pub(crate) async fn answer(self, is_signed_in: bool) {
        let _ = self.outcome.send(is_signed_in);
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(LAST_PAGE_TIMEOUT, self.server).await;
    }
}

async fn receive(State(expected): State<Expectation>, RawQuery(query): RawQuery) -> Response {
    let Some(callback) = parse(query.as_deref().unwrap_or_default(), &expected.state) else {
        return page(
            StatusCode::BAD_REQUEST,
            "This is not the expected response",
            "The sign-in continues in the other tab.",
        );
    };
    let (outcome, told) = oneshot::channel();
    if expected.arrived.try_send((callback, outcome)).is_err() {
        return page(StatusCode::CONFLICT, "The response was already received", "You can close this tab.");
    }
    match tokio::time::timeout(OUTCOME_TIMEOUT, told).await {
        Ok(Ok(true)) => {
            page(StatusCode::OK, "You are signed in", "You can close this tab and go back to the terminal.")
        }
        _ => page(StatusCode::OK, "You are not signed in", "The terminal says why. You can close this tab."),
    }
}

/// Parses a query with this `state`. Returns nothing for any other query, or if a parameter is repeated (RFC 6749, section
/// 3.1).
fn parse(query: &str, state: &str) -> Option<Callback> {
    let get = |name: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        if values.next().is_some() { None } else { value }
    };
    let sent = get("state")?;
    if sent != state {
        return None;
    }
    match (get("code"), get("error")) {
        (Some(code), None) if !code.is_empty() => Some(Callback::Code(code)),
        (None, Some(error)) => Some(Callback::Rejected { error, description: get("error_description") }),
        _ => None,
    }
}

/// A page without script or style, which leaves nothing of its URL in caches and in the logs of other sites.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_state_is_accepted() {
        assert_eq!(parse("code=c&state=s", "s"), Some(Callback::Code("c".into())));
        let rejected = Callback::Rejected { error: "access_denied".into(), description: None };
        assert_eq!(parse("error=access_denied&state=s", "s"), Some(rejected));
        for query in [
            "code=c&state=t",
            "code=c",
            "",
            "code=c&state=",
            "state=s",
            "code=&state=s",
            "code=c&code=d&state=s",
            "code=c&state=s&state=s",
            "code=c&error=e&state=s",
        ] {
            assert_eq!(parse(query, "s"), None, "{query}");
        }
    }
}
