//! The MCP endpoint: tools and resources for AI clients, over the same operations as the routes.
//!
//! A request is authenticated before its body is read ([`access`]). The rate limit is charged and the policy checked where
//! the operation is executed ([`call`]), so no header and no second reading of the body decides what a caller may do.
//! Nothing is kept between requests.

use std::sync::Arc;

use axum::{Router, middleware};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use url::{Host, Url};

use crate::{App, Config, config::MCP_PATH};

mod access;
mod call;
mod resources;
mod schema;
mod server;
mod tool;
mod tools;

/// The endpoint, without the limits that hold for every route.
pub(crate) fn router(app: &App) -> Router<App> {
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(|| Ok(server::Server), sessions, transport(app.config()));
    Router::new()
        .route_service(MCP_PATH, service.clone())
        // Some clients add a slash; a redirect would lose the body.
        .route_service(&format!("{MCP_PATH}/"), service)
        .layer(middleware::from_fn_with_state(app.clone(), access::authenticate))
}

/// Stateless, and JSON instead of an event stream. `Host` and `Origin` are checked, so that a web page cannot reach a
/// server of its visitor's machine or network (DNS rebinding).
fn transport(config: &Config) -> StreamableHttpServerConfig {
    let origins = config.cors_allowed_origins.iter().filter_map(|origin| origin.to_str().ok());
    let own = config.public_url.origin().ascii_serialization();
    StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .with_max_request_body_bytes(config.limits.body_bytes)
        .with_allowed_hosts(hosts(&config.public_url))
        .with_allowed_origins(origins.chain([&*own]).map(with_port))
        .enforce_origin_validation()
}

/// The values of `Host`: that of the public URL; on a laptop any name of this machine.
fn hosts(public_url: &Url) -> Vec<String> {
    let names = match public_url.host() {
        Some(Host::Domain(name)) if name != "localhost" => vec![name.to_owned()],
        _ => ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec(),
    };
    let port = public_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    names.into_iter().map(|name| format!("{name}{port}")).collect()
}

/// Adds the port that an origin leaves out, because `rmcp` takes a missing one for any.
fn with_port(origin: &str) -> String {
    match Url::parse(origin) {
        Ok(url) if url.port().is_none() => {
            format!("{origin}:{}", url.port_or_known_default().unwrap_or_default())
        }
        _ => origin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_without_a_port_is_that_of_its_scheme() {
        assert_eq!(with_port("https://app.example"), "https://app.example:443");
        assert_eq!(with_port("http://localhost:3000"), "http://localhost:3000");
        assert_eq!(with_port("http://localhost:*"), "http://localhost:*");
    }

    #[test]
    fn only_a_laptop_has_several_names() {
        let hosts = |url| hosts(&Url::parse(url).unwrap());
        assert_eq!(hosts("https://api.example.com"), ["api.example.com"]);
        assert_eq!(hosts("http://localhost:8000"), ["localhost:8000", "127.0.0.1:8000", "[::1]:8000"]);
    }
}
