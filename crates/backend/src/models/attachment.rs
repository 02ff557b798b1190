//! Attachments: files that belong to an item and are stored in S3.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::Error};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use uuid::Uuid;

use super::{Timestamp, checksum::Sha256Checksum, item::ItemId, owner::Owner};

/// The ID of an attachment: a UUID v7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Uuid, example = "0199a1b2-8d4e-7f50-9b6c-7d8e9f0a1b2c")]
pub struct AttachmentId(Uuid);

/// The name of a file. It is only shown, never a part of a path or key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Filename(String);

/// A media type such as `image/png` (RFC 9110, section 8.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ContentType(String);

/// The values that an attachment is created from.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"filename": "receipt.pdf", "content_type": "application/pdf", "size": 48213}))]
pub struct NewAttachment {
    /// The name of the file, also of the download.
    pub filename: Filename,
    /// The media type. The upload must have exactly this one.
    pub content_type: ContentType,
    /// The length in bytes. The upload must have exactly this one.
    #[serde(deserialize_with = "whole_number")]
    #[schema(minimum = 0)]
    pub size: u64,
    /// The SHA-256 of the file in base64. If it is given, S3 accepts no other bytes.
    #[serde(default)]
    #[schema(inline, required = false)]
    pub checksum_sha256: Option<Sha256Checksum>,
}

/// An attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attachment {
    /// The ID.
    pub id: AttachmentId,
    /// The name of the file.
    #[schema(example = "receipt.pdf")]
    pub filename: Filename,
    /// The media type.
    #[schema(example = "application/pdf")]
    pub content_type: ContentType,
    /// The length in bytes.
    #[schema(example = 48213, minimum = 0)]
    pub size: u64,
    /// The SHA-256 of the file in base64, if the upload had to have it.
    #[serde(default)]
    #[schema(inline, required = true)]
    pub checksum_sha256: Option<Sha256Checksum>,
    /// The time of creation.
    pub created_at: Timestamp,
}

/// A presigned request that S3 accepts if method, URL and headers are sent unchanged.
#[derive(Clone, Serialize, ToSchema)]
pub struct PresignedRequest {
    /// `PUT` to upload, `GET` to download.
    #[schema(example = "PUT")]
    pub method: &'static str,
    /// The URL. It is a secret until it expires: anybody who has it can use it.
    #[schema(example = "https://bucket.s3.eu-west-1.amazonaws.com/attachments/key?X-Amz-Signature=0f1e")]
    pub url: String,
    /// The headers to send. S3 rejects the request if a value differs.
    #[schema(example = json!({"content-type": "application/pdf", "content-length": "48213", "if-none-match": "*"}))]
    pub headers: BTreeMap<String, String>,
    /// The time until which the URL works.
    pub expires_at: Timestamp,
}

/// A new attachment and how to upload it. It becomes visible when the upload is complete.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedAttachment {
    /// The attachment.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// How to upload it.
    pub upload: PresignedRequest,
}

/// An attachment and how to download it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentDownload {
    /// The attachment.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// How to download it.
    pub download: PresignedRequest,
}

/// An item's attachments, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentList {
    /// The attachments.
    pub attachments: Vec<Attachment>,
}

impl std::fmt::Debug for PresignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresignedRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Attachment {
    /// Returns the length in bytes, for sums.
    pub(crate) fn bytes(&self) -> i64 {
        i64::try_from(self.size).unwrap_or(i64::MAX)
    }
}

impl AttachmentId {
    /// Generates a new ID.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Parses the ID at the end of a key.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::parse_str(text).ok().map(Self)
    }
}

impl std::fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Returns the key of an attachment in the bucket. It contains the owner, so that an ID in a URL cannot reach another
/// user's file.
pub fn object_key(owner: &Owner, item: ItemId, attachment: AttachmentId) -> String {
    format!("{}{attachment}", object_prefix(owner, item))
}

/// Returns the prefix of the keys of all attachments of an item.
pub fn object_prefix(owner: &Owner, item: ItemId) -> String {
    format!("{}{item}/", owner_prefix(owner))
}

/// Returns the prefix of the keys of all attachments of an owner.
pub fn owner_prefix(owner: &Owner) -> String {
    format!("attachments/{}/", owner.digest())
}

impl Filename {
    /// A file name of 1 to 255 characters without slashes, backslashes and control characters.
    pub fn new(name: impl Into<String>) -> Result<Self, String> {
        let name = name.into();
        let length = name.chars().count();
        let is_plain = !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'));
        if !(1..=255).contains(&length) || !is_plain || name == "." || name == ".." {
            return Err(
                "must be a file name of 1 to 255 characters without `/`, `\\` and control characters".into(),
            );
        }
        Ok(Self(name))
    }

    /// Returns the `Content-Disposition` of a download with this name (RFC 6266, section 4.3; RFC 8187, section 3.2).
    pub fn content_disposition(&self) -> String {
        let is_safe = |c: char| c.is_ascii() && !matches!(c, '"' | '\\' | '%');
        let ascii: String = self.0.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
        let mut encoded = String::new();
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
    }
}

impl ContentType {
    /// A media type of at most 127 characters, without parameters but `charset`. White space may stand only before that,
    /// and once: it goes into a signed header, where any other would be normalized away.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let (essence, parameter) = match text.split_once(';') {
            Some((essence, parameter)) => (essence, Some(parameter.strip_prefix(' ').unwrap_or(parameter))),
            None => (text.as_str(), None),
        };
        let parts: Vec<_> = essence.split('/').collect();
        let is_media_type = parts.len() == 2 && parts.iter().all(|part| is_token(part));
        let is_charset = parameter.is_none_or(|p| p.strip_prefix("charset=").is_some_and(is_token));
        if text.len() > 127 || !is_media_type || !is_charset {
            return Err("must be a media type such as `image/png` or `text/plain; charset=utf-8`".into());
        }
        Ok(Self(text))
    }

    /// Returns the media type.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A whole number, also one that is written with a fraction of nothing: JSON has no integers of its own, and JSON Schema
/// counts `4.0` as one.
fn whole_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: up to here every whole number has a double of its own.
    let number = serde_json::Number::deserialize(deserializer)?;
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=EXACT).contains(float));
    number
        .as_u64()
        .or(float.map(|float| float as u64))
        .ok_or_else(|| D::Error::custom("must be a whole number, 0 or more"))
}

/// Whether this is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

macro_rules! parsed_string {
    ($name:ident, $min:literal, $max:literal, $pattern:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(<std::borrow::Cow<'de, str>>::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema = ObjectBuilder::new().schema_type(Type::String);
                schema.min_length(Some($min)).max_length(Some($max)).pattern(Some($pattern)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

parsed_string!(Filename, 1, 255, r"^(?!\.{1,2}$)[^/\\\u0000-\u001f\u007f-\u009f]+$");
parsed_string!(
    ContentType,
    3,
    127,
    r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+(; ?charset=[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_cannot_be_a_path() {
        for name in ["", ".", "..", "a/b", "a\\b", "a\0", "a\nb", &"x".repeat(256)] {
            assert!(Filename::new(name).is_err(), "{name:?}");
        }
        assert!(Filename::new("Rechnung für Müller.pdf").is_ok());
    }

    #[test]
    fn file_name_cannot_inject_into_content_disposition() {
        let name = Filename::new("a\"; filename=\"évil%.exe").unwrap();
        assert_eq!(
            name.content_disposition(),
            "attachment; filename=\"a_; filename=__vil_.exe\"; \
             filename*=UTF-8''a%22%3B%20filename%3D%22%C3%A9vil%25.exe"
        );
    }

    #[test]
    fn a_content_type_is_a_media_type() {
        for text in ["image/png", "text/plain;charset=utf-8", "text/plain; charset=utf-8"] {
            assert!(ContentType::new(text).is_ok(), "{text:?}");
        }
        for text in ["", "png", "image/", "/png", "a/b/c", "text/html\r\nx: y", "a b/c", "a/b; x=y"] {
            assert!(ContentType::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_documented_patterns_are_the_rules() {
        fn validator<T: utoipa::PartialSchema>() -> jsonschema::Validator {
            jsonschema::draft202012::new(&serde_json::to_value(T::schema()).unwrap()).unwrap()
        }
        let documented = validator::<ContentType>();
        let long = format!("a/{}", "b".repeat(126));
        let essences = ["a/b", " a/b", "a/b ", "a/b\n", "a", "", "a/b/c", "ä/b", &long[..127], &long];
        let charsets =
            ["a/b;charset=c", "a/b; charset=c", "a/b;  charset=c", "a/b; charset=c ", "a/b;\tcharset=c"];
        let others = [
            "a/b;",
            "a/b;x=y",
            "a/b; charset=",
            "a/b ;charset=c",
            "a/b;CHARSET=c",
            "a/b;charset=c;charset=d",
        ];
        for text in [&essences[..], &charsets, &others].concat() {
            assert_eq!(documented.is_valid(&text.into()), ContentType::new(text).is_ok(), "{text:?}");
        }
        let documented = validator::<Filename>();
        let (longest, too_long) = ("ü".repeat(255), "ü".repeat(256));
        let paths = ["a", ".", "..", "...", ".a", "a/b", "a\\b"];
        let texts = ["", " ", "a\n", "\u{7f}", "\u{85}", "ä", "日本.pdf", &longest, &too_long];
        for text in [&paths[..], &texts].concat() {
            assert_eq!(documented.is_valid(&text.into()), Filename::new(text).is_ok(), "{text:?}");
        }
    }
}
