//! HTTP with a limit on every wait and every answer, and nothing secret in what is told of it.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use reqwest::{Client, RequestBuilder, Response, redirect::Policy};
use url::{Host, Url};

use crate::{error::Error, output};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For this machine's own addresses, and for all others.
static CLIENTS: [OnceLock<Client>; 2] = [OnceLock::new(), OnceLock::new()];

/// The client for this URL; there is one of each kind in the process.
///
/// It follows no redirects: none of the servers sends any, and a token must not go where an answer says. The proxies that the
/// environment names are used, but not for this machine: http is allowed here because it does not leave the machine.
///
/// How long an answer may take is for the caller to say: an upload's comes when all is uploaded.
pub(crate) fn client(url: &Url) -> Result<Client, Error> {
    let is_local = is_loopback(url);
    let [local, remote] = &CLIENTS;
    let cell = if is_local { local } else { remote };
    if let Some(client) = cell.get() {
        return Ok(client.clone());
    }
    let builder = Client::builder()
        .user_agent(concat!("items/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none());
    let client = if is_local { builder.no_proxy().build() } else { builder.build() };
    let client = client.map_err(|source| Error::Unreachable { what: "the network".to_owned(), source })?;
    Ok(cell.get_or_init(|| client).clone())
}

/// Whether the URL's host is this machine itself (RFC 6761 §6.3 for `localhost`).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Sends a request, and tells of it if asked to: method, URL without its query, status, time, the server's request id.
///
/// The error does not contain the URL, which may be a presigned one.
pub(crate) async fn send(
    client: &Client,
    request: RequestBuilder,
    verbose: bool,
) -> reqwest::Result<Response> {
    let request = request.build()?;
    let what = format!("{} {}{}", request.method(), origin(request.url()), request.url().path());
    let started = Instant::now();
    let answer = client.execute(request).await.map_err(reqwest::Error::without_url);
    if verbose {
        let elapsed = started.elapsed().as_millis();
        output::note(&match &answer {
            Ok(answer) => format!(
                "{what}: {} in {elapsed} ms{}",
                answer.status(),
                crate::error::request(request_id(answer).as_ref())
            ),
            Err(error) => format!("{what}: no answer after {elapsed} ms: {error}"),
        });
    }
    answer
}

/// The body, or nothing if it is longer than `limit` bytes.
pub(crate) async fn bytes(mut answer: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// The id under which the server logged the request.
pub(crate) fn request_id(answer: &Response) -> Option<String> {
    answer.headers().get("x-request-id")?.to_str().ok().map(output::plain)
}

/// The base URL with more segments, each encoded.
pub(crate) fn join<'a>(base: &Url, segments: impl IntoIterator<Item = &'a str>) -> Result<Url, Error> {
    let mut url = base.clone();
    let not_a_base = |()| Error::Usage(format!("{base} cannot be a base URL: mend the profile"));
    url.path_segments_mut().map_err(not_a_base)?.pop_if_empty().extend(segments);
    Ok(url)
}

/// Scheme, host and port.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_appended_and_encoded() {
        let join = |base: &str| join(&base.parse().unwrap(), ["items", "a/../b?c"]).unwrap().to_string();
        assert_eq!(join("http://localhost:8000"), "http://localhost:8000/items/a%2F..%2Fb%3Fc");
        assert_eq!(join("https://example.com/v1/"), "https://example.com/v1/items/a%2F..%2Fb%3Fc");
    }
}
