//! Text of a bounded length.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::Error};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// Text of `MIN` to `MAX` characters (Unicode scalar values), with no control character but line breaks and tabs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

/// An item's title.
pub type Title = Text<1, 200>;
/// An item's description.
pub type Description = Text<0, 4000>;
/// The name that a user shows to others.
pub type DisplayName = Text<1, 100>;
/// The text in a user's profile.
pub type Bio = Text<0, 1000>;

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Checks length and characters. The error says what is allowed.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let length = text.chars().count();
        if length < MIN || length > MAX {
            return Err(format!("must have {MIN} to {MAX} characters, not {length}"));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err("must have no control characters but line breaks and tabs".to_owned());
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(<Cow<'de, str>>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<const MIN: usize, const MAX: usize> utoipa::PartialSchema for Text<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        let schema =
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(MIN)).max_length(Some(MAX));
        schema.pattern(Some(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$")).into()
    }
}

impl<const MIN: usize, const MAX: usize> utoipa::ToSchema for Text<MIN, MAX> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_and_not_bytes() {
        assert!(Title::new("ü".repeat(200)).is_ok());
        assert_eq!(Title::new("ü".repeat(201)).unwrap_err(), "must have 1 to 200 characters, not 201");
        assert!(Title::new("").is_err());
    }

    #[test]
    fn control_characters_are_refused() {
        assert!(Title::new("a\0b").is_err());
        assert!(Description::new("two\nlines").is_ok());
    }
}
