//! The ID of the pool, and the URLs that follow from it.

use url::Url;

/// The ID of the pool and its public URLs.
pub(crate) struct PoolUrls {
    pub(crate) pool_id: String,
    pub(crate) public_url: Url,
    pub(crate) origin: String,
    pub(crate) issuer: String,
}

impl PoolUrls {
    /// Returns `None` unless `public_url` is a loopback origin and nothing else.
    pub(crate) fn new(pool_id: String, public_url: Url) -> Option<Self> {
        let origin = loopback_origin(&public_url)?;
        Some(Self { issuer: format!("{origin}/{pool_id}"), pool_id, public_url, origin })
    }

    /// Returns what follows the region in the ID of the pool. Clients use it in the Secure Remote Password protocol.
    pub(crate) fn pool_name(&self) -> &str {
        self.pool_id.rsplit_once('_').map_or(&*self.pool_id, |(_, name)| name)
    }
}

fn loopback_origin(url: &Url) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost");
    let origin = url.origin().ascii_serialization();
    let bare = url.as_str().trim_end_matches('/') == origin;
    (loopback && bare && matches!(url.scheme(), "http" | "https")).then_some(origin)
}
