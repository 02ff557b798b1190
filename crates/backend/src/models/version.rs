//! Versions of a resource, as entity tags and preconditions (RFC 9110 §8.8.3 and §13.1).

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};

use crate::problem::Problem;

/// The entity tag of a version: the number in quotes.
pub fn etag(version: u64) -> HeaderValue {
    let mut value = HeaderValue::from(version);
    if let Ok(quoted) = HeaderValue::from_str(&format!("\"{version}\"")) {
        value = quoted;
    }
    value
}

/// `If-Match`: which version the caller means to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// The header was not sent.
    Absent,
    /// `*`: whichever is there.
    Any,
    /// One of these. A tag that no version can have counts as 0: it matches nothing.
    Versions(Vec<u64>),
}

/// `If-None-Match`: which versions the caller already has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfNoneMatch(IfMatch);

/// More tags than this in one header are refused: each becomes an operand of DynamoDB's `IN`, which takes 100.
const MAX_TAGS: usize = 20;

impl IfNoneMatch {
    /// Whether the caller has this version already.
    pub fn matches(&self, version: u64) -> bool {
        match &self.0 {
            IfMatch::Absent => false,
            IfMatch::Any => true,
            IfMatch::Versions(versions) => versions.contains(&version),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // If-Match compares strongly: a weak tag matches nothing (RFC 9110 §13.1.1).
        parse(&parts.headers, header::IF_MATCH, |_| 0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // If-None-Match compares weakly (RFC 9110 §13.1.2); caches on the way may have weakened a tag.
        parse(&parts.headers, header::IF_NONE_MATCH, version).map(Self)
    }
}

fn parse(headers: &HeaderMap, name: HeaderName, weak: fn(&str) -> u64) -> Result<IfMatch, Problem> {
    let mut versions = Vec::new();
    for value in headers.get_all(&name) {
        let value = value.to_str().map_err(|_| malformed(&name))?.trim();
        if value == "*" {
            return Ok(IfMatch::Any);
        }
        let mut rest = value;
        loop {
            let (is_weak, tag, after) = entity_tag(rest).ok_or_else(|| malformed(&name))?;
            versions.push(if is_weak { weak(tag) } else { version(tag) });
            match after.trim_start() {
                "" => break,
                more => rest = more.strip_prefix(',').ok_or_else(|| malformed(&name))?.trim_start(),
            }
        }
    }
    match versions.len() {
        0 => Ok(IfMatch::Absent),
        1..=MAX_TAGS => Ok(IfMatch::Versions(versions)),
        _ => Err(malformed(&name)),
    }
}

/// The first entity tag of a list, whether it is weak, and what follows it. A tag may contain a comma (RFC 9110 §8.8.3).
fn entity_tag(text: &str) -> Option<(bool, &str, &str)> {
    let (is_weak, text) = text.strip_prefix("W/").map_or((false, text), |text| (true, text));
    let (tag, after) = text.strip_prefix('"')?.split_once('"')?;
    Some((is_weak, tag, after))
}

/// The version of a tag that this server made; 0, which no resource has, for any other.
fn version(tag: &str) -> u64 {
    let is_canonical = tag.bytes().all(|byte| byte.is_ascii_digit()) && !tag.starts_with('0');
    if is_canonical { tag.parse().unwrap_or(0) } else { 0 }
}

fn malformed(name: &HeaderName) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("Send `{name}` as `*` or as up to {MAX_TAGS} entity tags in quotes, such as \"3\"."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(value: &str) -> Result<IfMatch, Problem> {
        let headers = HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_str(value).unwrap())]);
        parse(&headers, header::IF_MATCH, |_| 0)
    }

    #[test]
    fn tags_become_versions() {
        assert_eq!(if_match("*").unwrap(), IfMatch::Any);
        assert_eq!(if_match(r#""3""#).unwrap(), IfMatch::Versions(vec![3]));
        assert_eq!(if_match(r#""3", "5""#).unwrap(), IfMatch::Versions(vec![3, 5]));
        assert_eq!(if_match(r#"W/"3""#).unwrap(), IfMatch::Versions(vec![0]));
        assert_eq!(if_match(r#""03", "+3", "abc", """#).unwrap(), IfMatch::Versions(vec![0, 0, 0, 0]));
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        assert_eq!(if_match(r#""a,b" , "3""#).unwrap(), IfMatch::Versions(vec![0, 3]));
        for value in ["3", "\"3", "3\"", "\"a\"b\"", "", "\"3\",", "\"3\" \"4\"", &["\"1\""; 21].join(",")] {
            assert!(if_match(value).is_err(), "{value}");
        }
    }

    #[test]
    fn none_match_compares_weakly() {
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(r#"W/"3""#))]);
        let parsed = parse(&headers, header::IF_NONE_MATCH, version).unwrap();
        assert!(IfNoneMatch(parsed).matches(3));
    }
}
