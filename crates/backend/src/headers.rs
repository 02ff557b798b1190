//! The request headers of this API, each with its parameter in the OpenAPI document.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use utoipa::{
    IntoParams,
    openapi::{
        ObjectBuilder, Required, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{
    models::{
        idempotency::IdempotencyKey,
        version::{IfMatch, IfNoneMatch, Preconditions},
    },
    problem::{FieldError, Kind, Problem},
};

/// `If-Match` where a write must name its version: 428 without it (RFC 6585, section 3).
pub(crate) struct RequiredIfMatch(pub(crate) IfMatch);

/// The most entity tags in one header: each becomes an operand of DynamoDB's `IN`, which takes 100.
const MAX_TAGS: usize = 20;

/// The entity tag of a version: the number in quotes.
pub(crate) fn etag(version: u64) -> HeaderValue {
    let mut value = HeaderValue::from(version);
    if let Ok(quoted) = HeaderValue::from_str(&format!("\"{version}\"")) {
        value = quoted;
    }
    value
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // If-Match compares strongly: a weak tag matches nothing (RFC 9110, section 13.1.1).
        parse(&parts.headers, header::IF_MATCH, |_| 0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequiredIfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let if_match = IfMatch::from_request_parts(parts, state).await?;
        if if_match == IfMatch::Absent {
            let detail = "Send `If-Match` with the `ETag` of the version that you replace, or `*` to overwrite any version.";
            return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail).kind(Kind::VersionRequired));
        }
        Ok(Self(if_match))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // If-None-Match compares weakly (RFC 9110, section 13.1.2): caches on the way may have weakened a tag.
        parse(&parts.headers, header::IF_NONE_MATCH, version).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let if_match = IfMatch::from_request_parts(parts, state).await?;
        let if_none_match = IfNoneMatch::from_request_parts(parts, state).await?;
        Ok(Self { if_match, if_none_match })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().and_then(Self::new).filter(|_| values.next().is_none());
        key.map(Some).ok_or_else(|| {
            let detail = "must be sent once and have 1 to 255 visible ASCII characters, such as a UUID";
            Problem::invalid(vec![FieldError::new("Idempotency-Key", detail)])
        })
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `ETag` of the version to be changed, or `*` for any version.";
        vec![entity_tag_parameter("If-Match", Required::False, description)]
    }
}

impl IntoParams for RequiredIfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `ETag` of the version to be replaced, or `*` for any version.";
        vec![entity_tag_parameter("If-Match", Required::True, description)]
    }
}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `ETag` that the caller has; if it is current, the response is 304.";
        vec![entity_tag_parameter("If-None-Match", Required::False, description)]
    }
}

impl IntoParams for Preconditions {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let replace = "The `ETag` of the version to be replaced, or `*` for any version that exists.";
        let create = "`*` to create it only if it does not exist.";
        vec![
            entity_tag_parameter("If-Match", Required::False, replace),
            entity_tag_parameter("If-None-Match", Required::False, create),
        ]
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let schema = text.min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$"));
        let description = "1 to 255 visible ASCII characters. Repeating the request with the same key and body \
                           within 24 hours creates nothing and returns the first response again.";
        let parameter = parameter("Idempotency-Key", Required::False, description);
        vec![parameter.schema(Some(schema)).build()]
    }
}

fn entity_tag_parameter(name: &str, required: Required, description: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    parameter(name, required, description).schema(Some(schema)).example(Some("\"1\"".into())).build()
}

fn parameter(name: &str, required: Required, description: &str) -> ParameterBuilder {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
    parameter.required(required).description(Some(description))
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

/// The first entity tag of a list, whether it is weak, and what follows it. A tag may contain a comma (RFC 9110, section 8.8.3).
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
    fn entity_tags_are_parsed_into_versions() {
        assert_eq!(if_match("*").unwrap(), IfMatch::Any);
        assert_eq!(if_match(r#""3""#).unwrap(), IfMatch::Versions(vec![3]));
        assert_eq!(if_match(r#""3", "5""#).unwrap(), IfMatch::Versions(vec![3, 5]));
        assert_eq!(if_match(r#"W/"3""#).unwrap(), IfMatch::Versions(vec![0]));
        assert_eq!(if_match(r#""03", "+3", "abc", """#).unwrap(), IfMatch::Versions(vec![0, 0, 0, 0]));
    }

    #[test]
    fn malformed_entity_tag_is_rejected() {
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
