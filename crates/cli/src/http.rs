//! HTTP with limits on waits and responses, and a log without secrets.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, redirect::Policy};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::{
    error::{Error, Exit},
    output,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// More than a page of 100 items of 4,000 characters.
const MAX_RESPONSE_BYTES: usize = 8 * 1024 * 1024; // 8 MiB

/// For this machine's own addresses.
static LOCAL: LazyLock<reqwest::Result<Client>> = LazyLock::new(|| client_builder().no_proxy().build());

static REMOTE: LazyLock<reqwest::Result<Client>> = LazyLock::new(|| client_builder().build());

/// Returns the client for this URL; the process has one of each kind.
///
/// It does not follow redirects, because a token must only go to the servers of the profile. It uses the proxies that
/// the environment names, except for this machine: http is allowed here because it does not leave the machine.
///
/// The caller limits how long a response may take, because the response to an upload comes after the whole upload.
pub(crate) fn client(url: &Url) -> Result<&'static Client, Error> {
    let client = if is_loopback(url) { &*LOCAL } else { &*REMOTE };
    client.as_ref().map_err(|error| Error::new(Exit::Local, "cannot set up TLS", "").with_source(error))
}

fn client_builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("items/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
}

/// Whether the URL's host is this machine itself (RFC 6761, section 6.3 for `localhost`).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Sends a request. With `verbose`, logs method, URL without its query, status, time and the server's request ID.
///
/// The error does not contain the URL, which may be a presigned one.
pub(crate) async fn send(request: RequestBuilder, verbose: bool) -> reqwest::Result<Response> {
    let (client, request) = request.build_split();
    let request = request?;
    let what = format!("{} {}{}", request.method(), origin(request.url()), request.url().path());
    let started = Instant::now();
    let response = client.execute(request).await.map_err(reqwest::Error::without_url);
    if verbose {
        let elapsed = started.elapsed().as_millis();
        output::note(&match &response {
            Ok(response) => {
                let id = output::request(request_id(response).as_deref());
                format!("{what}: {} in {elapsed} ms{id}", response.status())
            }
            Err(error) => format!("{what}: no response after {elapsed} ms: {error}"),
        });
    }
    response
}

/// Reads the body; returns nothing if it is too long.
pub(crate) async fn bytes(mut response: Response) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// Reads a JSON body. `server` names the server in errors.
pub(crate) async fn json<T: DeserializeOwned>(response: Response, server: &str) -> Result<T, Error> {
    let bytes = bytes(response).await.map_err(|error| unreachable(server, error))?.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|_| invalid_response(server))
}

/// Returns the ID under which the server logged the request.
pub(crate) fn request_id(response: &Response) -> Option<String> {
    response.headers().get("x-request-id")?.to_str().ok().map(output::plain)
}

/// Appends a path to a base URL, which may have a path itself.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// Returns scheme, host and port.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Returns the error of a request without a response.
pub(crate) fn unreachable(what: &str, source: reqwest::Error) -> Error {
    let hint = "Check that it is running, your network, and `items config`.";
    Error::new(Exit::Unavailable, format!("cannot reach {what}"), hint).with_source(source)
}

/// Returns the error of a response that this client cannot read.
pub(crate) fn invalid_response(what: &str) -> Error {
    let hint = "Check the URLs with `items config`.";
    Error::new(Exit::Local, format!("invalid response from {what}"), hint)
}
