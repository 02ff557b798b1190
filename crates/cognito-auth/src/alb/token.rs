//! The rules for the token of a load balancer.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;

use super::AlbError;
use super::keys::PublicKeys;
use crate::claims::{Claims, Rules, TrustedPool, check_expiry};
use crate::error::{Part, VerifyError};
use crate::jose::{UNSUPPORTED_PARAMETERS, split};
use crate::json::excerpt;

/// Longer tokens do not fit into the 11 KiB that a load balancer allows for claims and access token.
const MAX_TOKEN_BYTES: usize = 16 * 1024; // 16 KiB

/// What a token must name.
pub(super) struct Checks {
    pub(super) load_balancers: Vec<String>,
    pub(super) pool: TrustedPool,
    pub(super) rules: Rules,
}

/// The verified claims of a user.
pub(super) struct UserClaims {
    pub(super) pool: Arc<str>,
    pub(super) load_balancer: String,
    pub(super) client_id: String,
    pub(super) sub: String,
    pub(super) username: Option<String>,
    pub(super) expires_at: i64,
    pub(super) payload: Vec<u8>,
}

/// The checked header of a token, which names the load balancer, the app client and the expiry.
struct Header {
    kid: String,
    load_balancer: String,
    client_id: String,
    expires_at: i64,
}

/// Verifies a token: its header first, so that only a token that names a configured load balancer causes a fetch.
pub(super) async fn verify(
    raw: &str,
    checks: &Checks,
    keys: &PublicKeys,
    now: i64,
) -> Result<UserClaims, AlbError> {
    let (size, limit) = (raw.len(), MAX_TOKEN_BYTES);
    if size > limit {
        return Err(VerifyError::TooLarge { size, limit }.into());
    }
    let (header, payload, signature) = split(raw)?;
    let signing_input = &raw.as_bytes()[..header.len() + 1 + payload.len()];
    let header = Header::parse(&decode(header, Part::Header)?, checks, now)?;
    let signature = decode(signature, Part::Signature)?;
    let key = keys.key(&header.kid).await?;
    key.verify(signing_input, &signature)?;
    user_claims(decode(payload, Part::Payload)?, header, checks, now)
}

/// Decodes canonical base64url with padding. Unlike other issuers a load balancer adds the padding, and signs it.
fn decode(text: &str, part: Part) -> Result<Vec<u8>, VerifyError> {
    BASE64_URL_SAFE.decode(text).map_err(|_| VerifyError::Encoding { part })
}

impl Header {
    fn parse(json: &[u8], checks: &Checks, now: i64) -> Result<Self, AlbError> {
        let header = Claims::parse(json)?;
        let algorithm = header.text("alg")?;
        if algorithm != "ES256" {
            return Err(AlbError::Algorithm { found: excerpt(&algorithm) });
        }
        if let Some(name) = UNSUPPORTED_PARAMETERS.into_iter().find(|name| header.raw(name).is_some()) {
            return Err(VerifyError::HeaderParameter { name }.into());
        }
        if let Some(typ) = header.optional_text("typ")?.filter(|typ| !typ.eq_ignore_ascii_case("JWT")) {
            return Err(VerifyError::Type { found: excerpt(&typ) }.into());
        }
        let kid = header.text("kid")?;
        if !is_uuid(&kid) {
            return Err(AlbError::KeyId);
        }
        let signer = header.text("signer")?;
        if !checks.load_balancers.iter().any(|arn| *arn == signer) {
            let name = signer.rsplit(':').next().unwrap_or_default();
            return Err(AlbError::Signer { found: excerpt(name) });
        }
        header.issuer(&checks.pool)?;
        let client_id = header.text("client")?;
        checks.rules.check_client(&client_id)?;
        let expires_at = header.optional_time("exp")?.ok_or(VerifyError::MissingClaim { claim: "exp" })?;
        check_expiry(expires_at, &checks.rules, now)?;
        Ok(Self {
            kid: kid.into_owned(),
            load_balancer: signer.into_owned(),
            client_id: client_id.into_owned(),
            expires_at,
        })
    }
}

/// Reads the claims, after the signature was verified. The load balancer takes them from the pool's userInfo endpoint,
/// and may add `exp` and `iss`.
fn user_claims(payload: Vec<u8>, header: Header, checks: &Checks, now: i64) -> Result<UserClaims, AlbError> {
    let claims = Claims::parse(&payload)?;
    if claims.raw("iss").is_some() {
        claims.issuer(&checks.pool)?;
    }
    if let Some(expires_at) = claims.optional_time("exp")? {
        check_expiry(expires_at, &checks.rules, now)?;
    }
    Ok(UserClaims {
        pool: Arc::clone(&checks.pool.id),
        load_balancer: header.load_balancer,
        client_id: header.client_id,
        sub: claims.non_empty_text("sub")?.into_owned(),
        username: claims.optional_text("username")?.map(Cow::into_owned),
        expires_at: header.expires_at,
        payload,
    })
}

/// Whether the text is a UUID in lower case, as AWS writes key IDs, so that it is safe in the path of a URL. Other
/// spellings would be other keys.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    lengths.eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
