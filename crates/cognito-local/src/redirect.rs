//! Redirect targets of sign-in and sign-out.

use url::Url;

/// A URL that a client registered, matched character for character.
///
/// The only exception is a loopback `http` URL registered without a port, which stands for any port: a program on the
/// user's machine gets its port from the operating system (RFC 8252, section 7.3).
#[derive(Clone, Debug)]
pub(crate) struct RegisteredUrl {
    text: String,
    any_port: Option<AnyPort>,
}

#[derive(Clone, Debug)]
struct AnyPort {
    before: String,
    after: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisteredUrlError {
    #[error("is not an absolute URL")]
    NotAbsolute(#[source] url::ParseError),
    #[error("must not have a fragment (RFC 6749, section 3.1.2)")]
    Fragment,
    #[error("must not carry a user name or a password")]
    Credentials,
    #[error("must be https, http on a loopback host, or a scheme of the application's own")]
    Scheme,
}

const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost", "http://127.0.0.1", "http://[::1]"];

impl RegisteredUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, RegisteredUrlError> {
        let url = Url::parse(text).map_err(RegisteredUrlError::NotAbsolute)?;
        if url.fragment().is_some() {
            return Err(RegisteredUrlError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RegisteredUrlError::Credentials);
        }
        if !scheme_is_allowed(&url) {
            return Err(RegisteredUrlError::Scheme);
        }
        Ok(Self { text: text.to_owned(), any_port: any_port(text) })
    }

    /// Makes a URL without a port stand for itself only.
    pub(crate) fn require_port(&mut self) {
        self.any_port = None;
    }

    pub(crate) fn matches(&self, candidate: &str) -> bool {
        candidate == self.text || self.any_port.as_ref().is_some_and(|any| any.matches(candidate))
    }
}

fn scheme_is_allowed(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        // A browser runs or renders these itself instead of handing them to an application.
        "javascript" | "data" | "vbscript" | "blob" | "file" | "filesystem" | "about" | "ftp" | "ws"
        | "wss" => false,
        _ => true,
    }
}

fn any_port(text: &str) -> Option<AnyPort> {
    LOOPBACK_ORIGINS.into_iter().find_map(|origin| {
        let after = text.strip_prefix(origin)?;
        let portless = after.is_empty() || after.starts_with(['/', '?']);
        portless.then(|| AnyPort { before: origin.to_owned(), after: after.to_owned() })
    })
}

impl AnyPort {
    fn matches(&self, candidate: &str) -> bool {
        let port = candidate
            .strip_prefix(&self.before)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|rest| rest.strip_suffix(&self.after));
        port.is_some_and(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
    }
}

/// A redirect target that the client has registered.
pub(crate) struct Destination {
    text: String,
    url: Url,
}

impl Destination {
    /// `None` when none of `registered` matches.
    pub(crate) fn find(candidate: &str, registered: &[RegisteredUrl]) -> Option<Self> {
        let matches = registered.iter().any(|registered| registered.matches(candidate));
        let url = Url::parse(candidate).ok().filter(|_| matches)?;
        Some(Self { text: candidate.to_owned(), url })
    }

    /// The URL, character for character as the client gave it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL with more parameters in its query.
    pub(crate) fn with_query<'a>(&self, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut url = self.url.clone();
        let mut parameters = parameters.into_iter().peekable();
        if parameters.peek().is_some() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        url.into()
    }

    /// The URL as a source of a Content-Security-Policy.
    pub(crate) fn csp_source(&self) -> String {
        let has_source = self.url.host_str().is_some_and(|host| !host.starts_with('['));
        match self.url.scheme() {
            "http" | "https" if has_source => self.url.origin().ascii_serialization(),
            // The grammar of sources has no IPv6 addresses, and an application's own scheme has no origin.
            scheme => format!("{scheme}:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_registered_characters_match() {
        let registered = RegisteredUrl::parse("https://app.example.com/cb?x=1").unwrap();
        assert!(registered.matches("https://app.example.com/cb?x=1"));
        for other in [
            "https://app.example.com/cb",
            "https://app.example.com/cb?x=1&y=2",
            "https://app.example.com/cb?x=1#f",
            "https://app.example.com/CB?x=1",
            "https://APP.example.com/cb?x=1",
            "https://app.example.com:443/cb?x=1",
            "https://app.example.com/a/../cb?x=1",
            "http://app.example.com/cb?x=1",
            "https://app.example.com.evil.test/cb?x=1",
            "https://app.example.com@evil.test/cb?x=1",
        ] {
            assert!(!registered.matches(other), "{other}");
        }
    }

    #[test]
    fn a_loopback_url_without_port_matches_any_port_and_nothing_else() {
        let registered = RegisteredUrl::parse("http://127.0.0.1/callback").unwrap();
        for good in
            ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"]
        {
            assert!(registered.matches(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.test/callback",
            "http://127.0.0.1:80/other/callback",
            "http://127.0.0.1:8/callback/callback",
            "http://127.0.0.1:+80/callback",
            "http://127.0.0.1.evil.test/callback",
            "http://localhost:80/callback",
            "https://127.0.0.1:80/callback",
            "http://127.0.0.1:80/callback?x",
            "http://127.0.0.1:80/callback#x",
        ] {
            assert!(!registered.matches(bad), "{bad}");
        }
    }

    #[test]
    fn a_registered_port_is_the_only_one() {
        let registered = RegisteredUrl::parse("http://localhost:8000/cb").unwrap();
        assert!(registered.matches("http://localhost:8000/cb"));
        assert!(!registered.matches("http://localhost:8001/cb"));
        assert!(!registered.matches("http://localhost/cb"));
    }

    #[test]
    fn dangerous_urls_cannot_be_registered() {
        for bad in [
            "/callback",
            "http://example.com/",
            "https://u:p@example.com/",
            "https://example.com/#f",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert!(RegisteredUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(RegisteredUrl::parse("com.example.app://callback").is_ok());
    }

    #[test]
    fn parameters_are_appended_and_encoded() {
        let registered = [RegisteredUrl::parse("https://a.test/cb?x=1").unwrap()];
        let destination = Destination::find("https://a.test/cb?x=1", &registered).unwrap();
        assert_eq!(
            destination.with_query([("code", "a b&c"), ("state", "é")]),
            "https://a.test/cb?x=1&code=a+b%26c&state=%C3%A9"
        );
        assert!(Destination::find("https://a.test/cb", &registered).is_none());
    }

    #[test]
    fn each_kind_of_url_has_a_source_for_the_policy_of_forms() {
        let source = |url: &str| {
            let registered = [RegisteredUrl::parse(url).unwrap()];
            Destination::find(url, &registered).unwrap().csp_source()
        };
        assert_eq!(source("https://a.test/cb"), "https://a.test");
        assert_eq!(source("http://localhost:3000/cb"), "http://localhost:3000");
        assert_eq!(source("http://[::1]:3000/cb"), "http:");
        assert_eq!(source("com.example.app://callback"), "com.example.app:");
    }
}
