//! Where a sign-in may end.

use url::Url;

/// The longest redirect URI: it travels inside Cognito's `state`.
const MAX_BYTES: usize = 512;

/// Whether a client may get its code at this URI: one of the configured ones, character for character, or `http` on the
/// user's own machine, with any port (RFC 8252, section 7.3).
pub(super) fn is_allowed(uri: &str, configured: &[String]) -> bool {
    uri.len() <= MAX_BYTES && (configured.iter().any(|known| known == uri) || is_loopback(uri))
}

fn is_loopback(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else { return false };
    // What a browser would read differently than this server is not allowed.
    let is_unchanged = url.as_str() == uri || url.as_str().strip_suffix('/') == Some(uri);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_own_machine = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    is_unchanged && is_plain && is_own_machine && url.scheme() == "http"
}

/// The application behind a URI, in words for the user.
pub(super) fn destination(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    match (url.scheme(), url.host_str()) {
        ("http", _) => format!("a program on this computer ({})", url.origin().ascii_serialization()),
        ("https", Some(host)) => host.to_owned(),
        (scheme, _) => format!("the application that opens {scheme} links"),
    }
}

/// The URI as a source of `form-action`: browsers apply it to the redirects of a form, too.
pub(super) fn content_security_source(uri: &str) -> String {
    match Url::parse(uri) {
        // The grammar of sources has no IPv6 addresses, and the scheme of an application has no origin.
        Ok(url)
            if url.host_str().is_some_and(|host| !host.starts_with('['))
                && url.scheme().starts_with("http") =>
        {
            url.origin().ascii_serialization()
        }
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

/// Adds parameters to the query of a URI.
pub(super) fn with_query<'a>(
    uri: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Option<String> {
    let mut url = Url::parse(uri).ok()?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(uri: &str) -> bool {
        let configured =
            ["https://claude.ai/api/mcp/auth_callback", "cursor://anysphere.cursor-mcp/oauth/callback"];
        super::is_allowed(uri, &configured.map(str::to_owned))
    }

    #[test]
    fn configured_uris_are_compared_character_for_character() {
        assert!(is_allowed("https://claude.ai/api/mcp/auth_callback"));
        assert!(is_allowed("cursor://anysphere.cursor-mcp/oauth/callback"));
        for uri in [
            "https://claude.ai/api/mcp/auth_callback/",
            "https://claude.ai/api/mcp/auth_callback?x=1",
            "https://claude.ai/api/mcp/../auth_callback",
            "https://CLAUDE.ai/api/mcp/auth_callback",
            "https://claude.ai.evil.example/api/mcp/auth_callback",
            "https://evil.example/api/mcp/auth_callback",
            "cursor://anysphere.cursor-mcp/oauth/callback#x",
            "cursor://evil/oauth/callback",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!is_allowed(uri), "{uri}");
        }
    }

    #[test]
    fn any_port_of_the_users_own_machine_is_allowed() {
        for uri in [
            "http://localhost:51234/callback",
            "http://127.0.0.1:33418/",
            "http://127.0.0.1:33418",
            "http://[::1]:8080/oauth/callback",
            "http://localhost/callback?client=1",
        ] {
            assert!(is_allowed(uri), "{uri}");
        }
        for uri in [
            "https://localhost:51234/callback",
            "http://localhost.evil.example/callback",
            "http://localhost@evil.example/callback",
            "http://user:password@localhost/callback",
            "http://evil.example\\@localhost/callback",
            "http:\\\\localhost/callback",
            "http://localhost:51234/callback#fragment",
            "http://LOCALHOST/callback",
            "http://127.1/callback",
            "http://2130706433/callback",
            "http://0.0.0.0/callback",
            "http://192.168.0.1/callback",
            " http://localhost/callback",
            "http://localhost/a\tb",
        ] {
            assert!(!is_allowed(uri), "{uri}");
        }
        assert!(!is_allowed(&format!("http://localhost/{}", "x".repeat(MAX_BYTES))));
    }
}
