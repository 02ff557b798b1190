//! JSON objects whose members are all different; their values stay unparsed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Up to this many members, comparing each pair is faster than hashing.
const FEW_MEMBERS: usize = 32;

/// No token of Cognito has more members, and a vector of this size is below 1 KiB, up to which allocation is fastest.
const USUAL_MEMBERS: usize = 24;

/// The members of a JSON object, in their order, without duplicates.
///
/// Parsers disagree about which of two members with one name is used, so a token with duplicates is rejected (RFC 7515,
/// section 4, and RFC 7519, section 4: names must be unique).
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(Text<'a>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, ObjectError> {
        let text = std::str::from_utf8(json).map_err(|_| ObjectError::NotUtf8)?;
        // Otherwise the parser's message would quote a value that is not an object.
        if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            return Err(ObjectError::NotAnObject);
        }
        let object: Self =
            serde_json::from_str(text).map_err(|error| ObjectError::Syntax(SyntaxError(error)))?;
        match object.first_duplicate() {
            Some(name) => Err(ObjectError::Duplicate { name: excerpt(name) }),
            None => Ok(object),
        }
    }

    /// Returns the JSON text of a member's value.
    pub(crate) fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(member, _)| member.0 == name).map(|&(_, value)| value)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.0.as_ref())
    }

    fn first_duplicate(&self) -> Option<&str> {
        if self.members.len() <= FEW_MEMBERS {
            let earlier = |index: usize, name: &str| self.names().take(index).any(|other| other == name);
            return self
                .names()
                .enumerate()
                .find(|&(index, name)| earlier(index, name))
                .map(|(_, name)| name);
        }
        let mut seen = HashSet::with_capacity(self.members.len());
        self.names().find(|name| !seen.insert(*name))
    }
}

/// Why bytes are not a JSON object without duplicates. No variant quotes a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The text is not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// The text is not JSON.
    #[error("not JSON")]
    Syntax(#[source] SyntaxError),
    /// A member occurs twice.
    #[error("member \"{name}\" occurs twice")]
    Duplicate {
        /// The member's name, escaped and shortened.
        name: String,
    },
}

/// An error of the JSON parser. Its text says where the error is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SyntaxError(serde_json::Error);

/// Returns text from an untrusted token in a form that is safe in a log: escaped, and cut after 64 characters.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    let mut excerpt: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// A JSON string, copied only if it contains escapes: the name `"\u0065xp"` is `exp`.
#[derive(Debug, serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns the value of a JSON string, or `None` for another kind of value.
pub(crate) fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|text| text.0)
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(USUAL_MEMBERS);
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object { members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_is_found_by_its_exact_name() {
        let object = Object::parse(br#" {"a": 1, "b\u0063": [2]} "#).unwrap();
        assert_eq!(object.member("a").unwrap().get(), "1");
        assert_eq!(object.member("bc").unwrap().get(), "[2]");
        assert!(object.member("A").is_none());
    }

    #[test]
    fn duplicate_member_is_rejected_in_small_and_large_objects_and_with_escapes() {
        let many: String = (0..100).map(|n| format!("\"m{n}\":0,")).collect();
        for json in [
            r#"{"exp":1,"exp":1}"#.to_owned(),
            r#"{"exp":1,"\u0065xp":2}"#.to_owned(),
            format!("{{{many}\"exp\":1,\"e\\u0078p\":2}}"),
        ] {
            let rejected = Object::parse(json.as_bytes());
            assert!(matches!(rejected, Err(ObjectError::Duplicate { ref name }) if name == "exp"), "{json}");
        }
    }

    #[test]
    fn value_that_is_not_an_object_is_rejected_without_quoting_it() {
        for json in ["", "[]", "1", "\"secret\"", "null", "\u{feff}{}"] {
            assert!(matches!(Object::parse(json.as_bytes()), Err(ObjectError::NotAnObject)), "{json}");
        }
        for json in
            ["{", "{}x", "{}{}", r#"{"a":}"#, r#"{a:1}"#, r#"{"a":1,}"#, r#"{"a":01}"#, "{\"a\":\"\n\"}"]
        {
            assert!(matches!(Object::parse(json.as_bytes()), Err(ObjectError::Syntax(_))), "{json}");
        }
        assert!(matches!(Object::parse(b"{\"a\":\"\xff\"}"), Err(ObjectError::NotUtf8)));
    }

    #[test]
    fn deeply_nested_value_is_parsed_without_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(7_000), "]".repeat(7_000));
        assert!(Object::parse(deep.as_bytes()).is_ok());
    }

    #[test]
    fn excerpt_is_short_and_on_one_line() {
        assert_eq!(excerpt("a\r\nb"), "a\\r\\nb");
        assert_eq!(excerpt(&"x".repeat(100)).chars().count(), 65);
    }
}
