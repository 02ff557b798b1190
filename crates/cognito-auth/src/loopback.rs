//! Loopback hosts.

use std::net::IpAddr;

use url::{Host, Url};

/// Whether the URL's host is this machine (RFC 6761, section 6.3 for `localhost`).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
