//! Parses the compact serialization of a JSON Web Signature (RFC 7515, section 7.1).

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::error::{Part, VerifyError};
use crate::json::{Object, excerpt, text};
use crate::keys::MAX_KID_BYTES;

/// Header parameters that change how a token must be read, and that are not supported: `crit` (RFC 7515, section 4.1.11),
/// `b64` (RFC 7797), `zip` and `enc` (RFC 7516, sections 4.1.2 and 4.1.3).
pub(crate) const UNSUPPORTED_PARAMETERS: [&str; 4] = ["crit", "b64", "zip", "enc"];

/// The parts of a token, none of which is verified yet.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    /// The signed text: the first two parts and the dot between them.
    pub(crate) signing_input: &'a [u8],
    /// The ID of the key that the header names.
    pub(crate) kid: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Splits a token and checks its header. The caller checks the size.
    pub(crate) fn parse(raw: &'a str) -> Result<Self, VerifyError> {
        let (header, payload, signature) = split(raw)?;
        let signing_input = &raw.as_bytes()[..header.len() + 1 + payload.len()];
        let header = decode(header, Part::Header)?;
        let payload = decode(payload, Part::Payload)?;
        let signature = decode(signature, Part::Signature)?;
        let kid = key_id(&header)?;
        Ok(Self { signing_input, kid, payload, signature })
    }
}

/// Splits a token into its three parts.
pub(crate) fn split(raw: &str) -> Result<(&str, &str, &str), VerifyError> {
    let (header, rest) = raw.split_once('.').ok_or(VerifyError::Parts)?;
    let (payload, signature) = rest.split_once('.').ok_or(VerifyError::Parts)?;
    // Five parts would be an encrypted token (RFC 7516, section 7.1).
    if signature.contains('.') { Err(VerifyError::Parts) } else { Ok((header, payload, signature)) }
}

/// Decodes canonical base64url without padding (RFC 7515, section 2). Bytes have one spelling only, so a changed token
/// never decodes to the same bytes (RFC 4648, section 3.5).
fn decode(text: &str, part: Part) -> Result<Vec<u8>, VerifyError> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| VerifyError::Encoding { part })
}

/// Checks the header and returns the key ID that it names. Keys and key URLs in it (`jwk`, `jku`, `x5c`, `x5u`) are never
/// read (RFC 8725, section 3.10).
fn key_id(json: &[u8]) -> Result<String, VerifyError> {
    let header = Object::parse(json).map_err(VerifyError::Header)?;
    check_algorithm(&header)?;
    if let Some(name) = UNSUPPORTED_PARAMETERS.into_iter().find(|name| header.member(name).is_some()) {
        return Err(VerifyError::HeaderParameter { name });
    }
    check_type(&header)?;
    let kid = header.member("kid").and_then(text).ok_or(VerifyError::KeyId)?;
    if kid.is_empty() || kid.len() > MAX_KID_BYTES { Err(VerifyError::KeyId) } else { Ok(kid.into_owned()) }
}

/// Checks that `alg` is RS256, the only algorithm that Cognito uses (RFC 8725, section 3.1).
fn check_algorithm(header: &Object<'_>) -> Result<(), VerifyError> {
    let algorithm = header.member("alg");
    if algorithm.and_then(text).as_deref() == Some("RS256") {
        return Ok(());
    }
    Err(VerifyError::Algorithm {
        found: algorithm.map_or_else(|| "nothing".to_owned(), |raw| excerpt(raw.get())),
    })
}

/// Checks `typ`, which Cognito does not promise. If present, it must not name another kind of token (RFC 8725, section
/// 3.11); `at+jwt` is the type of RFC 9068, section 2.1. Media types are case-insensitive.
fn check_type(header: &Object<'_>) -> Result<(), VerifyError> {
    let Some(raw) = header.member("typ") else { return Ok(()) };
    let known = |typ: &Cow<'_, str>| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
    match text(raw).filter(known) {
        Some(_) => Ok(()),
        None => Err(VerifyError::Type { found: excerpt(raw.get()) }),
    }
}
