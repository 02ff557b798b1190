//! The ID of the pool, and the URLs that follow from it.

use url::Url;

use crate::config::Issuer;

/// The ID of the pool and its public URLs.
pub(crate) struct PoolUrls {
    pub(crate) pool_id: String,
    pub(crate) public_url: Url,
    pub(crate) origin: String,
    pub(crate) issuer: String,
    /// The host of Cognito that the issuer names, if it names one.
    pub(crate) aws_host: Option<String>,
}

impl PoolUrls {
    /// Returns `None` unless `public_url` is a loopback origin and nothing else.
    pub(crate) fn new(pool_id: String, public_url: Url, issuer: Issuer) -> Option<Self> {
        let origin = loopback_origin(&public_url)?;
        let aws_host = (issuer == Issuer::Aws).then(|| aws_host(&pool_id));
        let issuer = match &aws_host {
            Some(host) => format!("https://{host}/{pool_id}"),
            None => format!("{origin}/{pool_id}"),
        };
        Some(Self { issuer, pool_id, public_url, origin, aws_host })
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

/// The host that serves the keys of a pool on AWS, where China has a domain of its own.
fn aws_host(pool_id: &str) -> String {
    let region = pool_id.rsplit_once('_').map_or("", |(region, _)| region);
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("cognito-idp.{region}.amazonaws.com{suffix}")
}
