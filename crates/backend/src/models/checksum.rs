//! Checksums of files.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The SHA-256 of a file in base64, as S3 takes it:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    value_type = String,
    pattern = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
    example = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
)]
pub struct Sha256Checksum(String);

impl Sha256Checksum {
    /// Returns the text in base64.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sha256Checksum {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_sha256 = STANDARD.decode(&text).is_ok_and(|bytes| bytes.len() == 32);
        if is_sha256 {
            Ok(Self(text))
        } else {
            Err("must be the SHA-256 of the file in base64, 44 characters")
        }
    }
}
