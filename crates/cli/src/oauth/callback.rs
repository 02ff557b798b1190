//! The redirect's end: a web server on this machine for one request (RFC 8252 §7.3).

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use url::{Host, Url, form_urlencoded};

use crate::{error::Error, output};

/// How long the browser waits to be told how the sign-in ended: two requests to the pool.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the browser may take to fetch the last page.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the browser brings.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Callback {
    /// A code for tokens.
    Code(String),
    /// The pool, or the person, said no (RFC 6749 §4.1.2.1).
    Refused { error: String, description: String },
}

/// Listens on loopback addresses only, so that no other machine can answer.
pub(super) struct CallbackServer {
    redirect_uri: String,
    path: String,
    listeners: Vec<TcpListener>,
}

/// The page that the browser still waits for.
pub(super) struct Page {
    outcome: oneshot::Sender<bool>,
    servers: JoinSet<io::Result<()>>,
    stop: watch::Sender<bool>,
}

#[derive(Clone)]
struct Expectation {
    state: String,
    arrived: mpsc::Sender<(Callback, oneshot::Sender<bool>)>,
}

impl CallbackServer {
    /// Listens where the redirect URI says, or on a free port.
    pub(super) async fn bind(redirect_uri: Option<&Url>) -> Result<Self, Error> {
        let cannot_listen =
            |uri: &str| Error::io(format!("{uri} cannot be listened at: is another `items login` waiting?"));
        let Some(uri) = redirect_uri else {
            // RFC 8252 §8.3 prefers the address to `localhost`, which may resolve to anything.
            let listener = listen(Ipv4Addr::LOCALHOST.into(), 0).await.map_err(cannot_listen("127.0.0.1"))?;
            let port = listener.local_addr().map_err(cannot_listen("127.0.0.1"))?.port();
            let redirect_uri = format!("http://127.0.0.1:{port}/callback");
            return Ok(Self { redirect_uri, path: "/callback".to_owned(), listeners: vec![listener] });
        };
        let listeners = listen_as_named(uri).await.map_err(cannot_listen(uri.as_str()))?;
        Ok(Self { redirect_uri: uri.to_string(), path: uri.path().to_owned(), listeners })
    }

    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Waits for the browser to come back with this `state`. Whoever comes with another is turned away, and the wait goes
    /// on: otherwise any page could end a sign-in.
    pub(super) async fn callback(self, state: &str) -> (Callback, Page) {
        let (arrived, mut arrivals) = mpsc::channel(1);
        let expectation = Expectation { state: state.to_owned(), arrived };
        let router = Router::new().fallback(nothing_here);
        let router = if self.path == "/" {
            router.route("/", get(receive))
        } else {
            router.route(&self.path, get(receive))
        };
        let router = router.with_state(expectation);
        let (stop, stopped) = watch::channel(false);
        let mut servers = JoinSet::new();
        for listener in self.listeners {
            let mut stopped = stopped.clone();
            let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
            servers.spawn(axum::serve(listener, router.clone()).with_graceful_shutdown(stop).into_future());
        }
        match arrivals.recv().await {
            Some((callback, outcome)) => (callback, Page { outcome, servers, stop }),
            // The router holds a sender for as long as it is served.
            None => std::future::pending().await,
        }
    }
}

impl Page {
    /// Tells the browser how it ended, and stops.
    pub(super) async fn answer(mut self, is_signed_in: bool) {
        let _ = self.outcome.send(is_signed_in);
        self.stop.send_replace(true);
        let all = async { while self.servers.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }
}

async fn listen(ip: std::net::IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(ip, port)).await
}

/// Browsers try ::1 and 127.0.0.1 for `localhost`, so both are listened at where both exist.
async fn listen_as_named(uri: &Url) -> io::Result<Vec<TcpListener>> {
    let port = uri.port_or_known_default().unwrap_or(80);
    match uri.host() {
        Some(Host::Ipv4(ip)) => Ok(vec![listen(ip.into(), port).await?]),
        Some(Host::Ipv6(ip)) => Ok(vec![listen(ip.into(), port).await?]),
        _ => {
            let v4 = listen(Ipv4Addr::LOCALHOST.into(), port).await?;
            match listen(Ipv6Addr::LOCALHOST.into(), port).await {
                Ok(v6) => Ok(vec![v4, v6]),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
                Err(_) => Ok(vec![v4]),
            }
        }
    }
}

async fn receive(State(expected): State<Expectation>, RawQuery(query): RawQuery) -> Response {
    let Some(callback) = parse(query.as_deref().unwrap_or_default(), &expected.state) else {
        return page(
            StatusCode::BAD_REQUEST,
            "This is not the answer that is waited for",
            "The sign-in goes on in the other tab.",
        );
    };
    let (outcome, told) = oneshot::channel();
    if expected.arrived.try_send((callback, outcome)).is_err() {
        return page(StatusCode::CONFLICT, "The answer was already received", "You can close this tab.");
    }
    match tokio::time::timeout(OUTCOME_TIMEOUT, told).await {
        Ok(Ok(true)) => {
            page(StatusCode::OK, "You are signed in", "You can close this tab and go back to the terminal.")
        }
        _ => page(StatusCode::OK, "You are not signed in", "The terminal says why. You can close this tab."),
    }
}

async fn nothing_here() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// The callback in a query with this `state`; nothing for any other query, and for one that repeats a parameter (RFC 6749
/// §3.1).
fn parse(query: &str, state: &str) -> Option<Callback> {
    let get = |name: &str| {
        let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        if values.next().is_some() { None } else { value }
    };
    let sent = get("state")?;
    verify_slices_are_equal(sent.as_bytes(), state.as_bytes()).ok()?;
    match (get("code"), get("error")) {
        (Some(code), None) if !code.is_empty() => Some(Callback::Code(code)),
        (None, Some(error)) => {
            let description = get("error_description").map(|text| format!(": {}", output::plain(&text)));
            Some(Callback::Refused {
                error: output::plain(&error),
                description: description.unwrap_or_default(),
            })
        }
        _ => None,
    }
}

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1.5rem}\
    :root{color-scheme:light dark}h1{font-size:1.5rem}";

/// A page without script, that leaves nothing of its URL in caches and other sites' logs.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><p>{text}</p></main></body></html>"
    );
    let style = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'");
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_state_brings_anything() {
        assert_eq!(parse("code=c&state=s", "s"), Some(Callback::Code("c".into())));
        for query in [
            "code=c&state=t",
            "code=c",
            "",
            "code=c&state=",
            "state=s",
            "code=&state=s",
            "code=c&code=d&state=s",
        ] {
            assert_eq!(parse(query, "s"), None, "{query}");
        }
        assert_eq!(parse("code=c&state=s&state=s", "s"), None);
        assert_eq!(parse("code=c&error=e&state=s", "s"), None);
    }

    #[test]
    fn a_refusal_cannot_write_to_the_terminal() {
        let refused = parse("error=access_denied&error_description=no%1b%5b2J%0a&state=s", "s").unwrap();
        let expected = Callback::Refused { error: "access_denied".into(), description: ": no [2J ".into() };
        assert_eq!(refused, expected);
    }
}
