//! Finds the address of a client behind proxies.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the address of the client, where the nearest `trusted_proxies` hops are the operator's own.
///
/// Each proxy adds the address that it saw at the right of `X-Forwarded-For` or `Forwarded` (RFC 7239, section 4); what is
/// further left can be made up by the client. Where both headers are present and differ, one is made up, and the address of
/// the connection counts, as it does where neither can be read.
pub(crate) fn client_address(headers: &HeaderMap, peer: IpAddr, trusted_proxies: usize) -> IpAddr {
    if trusted_proxies == 0 {
        return peer;
    }
    let forwarded = nth_from_right(headers, header::FORWARDED, forwarded_for, trusted_proxies);
    let x_forwarded_for = nth_from_right(headers, X_FORWARDED_FOR, address, trusted_proxies);
    match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(address), _) | (None, Some(address)) => address.unwrap_or(peer),
        (None, None) => peer,
    }
}

/// Parses the entry that the outermost trusted proxy added: `None` without the header, `Some(None)` if it is missing or not
/// an address.
fn nth_from_right(
    headers: &HeaderMap,
    name: HeaderName,
    parse: fn(&str) -> Option<IpAddr>,
    position: usize,
) -> Option<Option<IpAddr>> {
    let mut entries = Vec::new();
    for value in headers.get_all(name) {
        entries.extend(value.to_str().unwrap_or("unreadable").split(','));
    }
    if entries.is_empty() {
        return None;
    }
    // With fewer entries than proxies, the request did not pass all of them, and the client can have made up each one.
    let entry = entries.len().checked_sub(position).and_then(|index| entries.get(index));
    Some(entry.and_then(|entry| parse(entry.trim())))
}

/// The `for` of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(value.trim_matches('"'))
}

/// An address with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: &[(&str, &str)], trusted_proxies: usize) -> String {
        let headers = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()));
        client_address(&headers.collect(), "10.0.0.1".parse().unwrap(), trusted_proxies).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_headers_are_ignored() {
        assert_eq!(found(&[("x-forwarded-for", "192.0.2.1")], 0), "10.0.0.1");
    }

    #[test]
    fn entries_are_counted_from_the_right() {
        let sent = [("x-forwarded-for", "203.0.113.9, 192.0.2.1"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(found(&sent, 1), "10.0.0.2");
        assert_eq!(found(&sent, 2), "192.0.2.1");
        assert_eq!(found(&sent, 3), "203.0.113.9");
        assert_eq!(found(&sent, 4), "10.0.0.1", "not all of the proxies added an entry");
        assert_eq!(found(&[], 1), "10.0.0.1");
    }

    #[test]
    fn forwarded_header_of_rfc_7239_is_parsed() {
        let one = [("forwarded", "for=unknown, For=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1")];
        assert_eq!(found(&one, 1), "2001:db8::7");
        assert_eq!(found(&one, 2), "10.0.0.1");
        assert_eq!(found(&[("forwarded", "for=192.0.2.60")], 1), "192.0.2.60");
    }

    #[test]
    fn contradictory_forwarding_headers_are_ignored() {
        let both = [("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(found(&both, 1), "10.0.0.1");
        assert_eq!(
            found(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1:80")], 1),
            "192.0.2.1"
        );
    }
}
