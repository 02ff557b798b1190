//! Reading variables, and listing every mistake in them.

use std::{fmt, time::Duration};

use url::{Host, Url};

/// The variables that were asked for, and the mistakes found in them.
pub(super) struct Variables<'a> {
    pub(super) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(super) mistakes: Vec<String>,
}

impl Variables<'_> {
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&mut self, name: &str, what: &str) -> Option<String> {
        let value = self.optional(name).filter(|value| list(value).next().is_some());
        if value.is_none() {
            self.mistakes.push(format!("{name} is required: {what}"));
        }
        value
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.optional(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            // The value is not repeated: it may be a secret that was given to the wrong variable.
            self.mistakes.push(format!("{name} must be {expected}"));
        }
        parsed
    }

    pub(super) fn check<T, E: fmt::Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.mistakes.push(format!("{name}: {error}"))).ok()
    }

    /// Parses `true` or `false`.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, "`true` or `false`", |value| value.parse().ok()).unwrap_or(default)
    }

    pub(super) fn number(&mut self, name: &str, default: u64, min: u64, max: u64) -> u64 {
        let expected = format!("a whole number from {min} to {max}");
        let in_range = |value: &str| value.parse().ok().filter(|number| (min..=max).contains(number));
        self.parsed(name, &expected, in_range).unwrap_or(default)
    }

    pub(super) fn seconds(&mut self, name: &str, default: u64, min: u64, max: u64) -> Duration {
        Duration::from_secs(self.number(name, default, min, max))
    }

    /// Parses a base URL: https, or http for a loopback host.
    pub(super) fn url(&mut self, name: &str) -> Option<Url> {
        const EXPECTED: &str = "a URL such as https://api.example.com, without path, query or fragment (http for loopback hosts only)";
        self.parsed(name, EXPECTED, |value| Url::parse(value).ok().filter(is_base_url))
    }
}

fn is_base_url(url: &Url) -> bool {
    let scheme_fits = match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    };
    let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    scheme_fits && is_bare && url.password().is_none() && url.path() == "/"
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}
