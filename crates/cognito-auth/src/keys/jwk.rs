//! One JSON Web Key (RFC 7517): whether it can verify RS256, and the key it describes.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::roca;

/// Cognito's key IDs have 44 characters; the limit bounds what maps and logs contain.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// RS256 needs 2048 bits or more (RFC 7518, section 3.3).
const MIN_MODULUS_BYTES: usize = 2048 / 8;

/// A longer modulus only makes each verification slow.
const MAX_MODULUS_BYTES: usize = 8192 / 8;

/// Public exponents are odd and above 2^16 (NIST FIPS 186-5, section A.1.1). Larger ones than Cognito's 65 537 only
/// make verification slow; 2^33 is where AWS-LC stops.
const EXPONENTS: std::ops::Range<u64> = (1 << 16)..(1 << 33);

/// A key that verifies signatures of RS256.
#[derive(Debug)]
pub(crate) struct PublicKey {
    key: ParsedPublicKey,
    modulus_bytes: usize,
}

impl PublicKey {
    /// Checks that this key made the signature over the message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let (expected, found) = (self.modulus_bytes, signature.len());
        // RFC 8017, section 8.2.2, step 1.
        if found != expected {
            return Err(SignatureError::Length { expected, found });
        }
        self.key.verify_sig(message, signature).map_err(|_| SignatureError::Mismatch)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.key.as_ref() == other.key.as_ref()
    }
}

/// Why a signature is not valid.
#[derive(Debug)]
pub(crate) enum SignatureError {
    /// The signature has another length than the modulus.
    Length { expected: usize, found: usize },
    /// The key did not make the signature.
    Mismatch,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Skipped {
    #[error("it lacks a member, or one has the wrong type")]
    Shape,
    #[error("its kty is not RSA")]
    KeyType,
    #[error("its use is not sig")]
    Use,
    #[error("its key_ops lack verify")]
    Operations,
    #[error("its alg is not RS256")]
    Algorithm,
    #[error("it contains a private key")]
    Private,
    #[error("its kid is empty or longer than {MAX_KID_BYTES} bytes")]
    Kid,
    #[error("its n or e is not the base64url of a number without leading zeros")]
    Encoding,
    #[error("its modulus has {bits} bits, not 2048 to 8192")]
    ModulusSize { bits: usize },
    #[error("its exponent is even, or outside 2^16 to 2^33")]
    Exponent,
    #[error("its modulus has the ROCA weakness (CVE-2017-15361)")]
    Roca,
    #[error("its numbers are not an RSA key")]
    Numbers,
}

/// Parses the JSON of one key.
pub(super) fn read(json: &RawValue) -> Result<(String, PublicKey), Skipped> {
    let kind: Kind = serde_json::from_str(json.get()).map_err(|_| Skipped::Shape)?;
    if kind.kty != "RSA" {
        return Err(Skipped::KeyType);
    }
    let jwk: RsaJwk = serde_json::from_str(json.get()).map_err(|_| Skipped::Shape)?;
    check_purpose(&jwk)?;
    if jwk.kid.is_empty() || jwk.kid.len() > MAX_KID_BYTES {
        return Err(Skipped::Kid);
    }
    let key = public_key(&number(&jwk.n)?, &number(&jwk.e)?)?;
    Ok((jwk.kid, key))
}

/// The member that every key has (RFC 7517, section 4.1); the other members depend on it.
#[derive(Deserialize)]
struct Kind {
    kty: String,
}

/// The members of an RSA key that are read (RFC 7517, section 4; RFC 7518, section 6.3).
#[derive(Deserialize)]
struct RsaJwk {
    kid: String,
    n: String,
    e: String,
    #[serde(rename = "use")]
    public_key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    d: Option<IgnoredAny>,
}

fn check_purpose(jwk: &RsaJwk) -> Result<(), Skipped> {
    if jwk.public_key_use.as_deref().is_some_and(|purpose| purpose != "sig") {
        return Err(Skipped::Use);
    }
    if jwk.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|name| name == "verify")) {
        return Err(Skipped::Operations);
    }
    if jwk.alg.as_deref().is_some_and(|algorithm| algorithm != "RS256") {
        return Err(Skipped::Algorithm);
    }
    if jwk.d.is_some() { Err(Skipped::Private) } else { Ok(()) }
}

/// A `Base64urlUInt`: as few octets as the number needs (RFC 7518, section 2).
fn number(text: &str) -> Result<Vec<u8>, Skipped> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Skipped::Encoding)?;
    if bytes.first().is_none_or(|&first| first == 0) { Err(Skipped::Encoding) } else { Ok(bytes) }
}

fn public_key(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, Skipped> {
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if bits < MIN_MODULUS_BYTES * 8 || modulus.len() > MAX_MODULUS_BYTES {
        return Err(Skipped::ModulusSize { bits });
    }
    if !is_safe_exponent(exponent) {
        return Err(Skipped::Exponent);
    }
    if roca::is_fingerprint(modulus) {
        return Err(Skipped::Roca);
    }
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| Skipped::Numbers)?;
    Ok(PublicKey { key, modulus_bytes: modulus.len() })
}

fn is_safe_exponent(bytes: &[u8]) -> bool {
    let Some(exponent) = bytes
        .iter()
        .try_fold(0_u64, |number, &byte| number.checked_mul(256).map(|number| number + u64::from(byte)))
    else {
        return false;
    };
    exponent % 2 == 1 && EXPONENTS.contains(&exponent)
}
