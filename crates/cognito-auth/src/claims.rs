//! The rules for the claims of a token whose signature was verified.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::VerifyError;
use crate::json::{Object, excerpt, text};
use crate::pool::UserPool;

/// The longest lifetime of access and ID tokens that an app client can be given (Cognito API, `AccessTokenValidity`
/// and `IdTokenValidity`).
const MAX_LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// 10000-01-01T00:00:00Z. Times from then on are mistakes, such as milliseconds.
const YEAR_10000: i64 = 253_402_300_800;

/// The part of a pool that the rules need.
#[derive(Debug)]
pub(crate) struct TrustedPool {
    pub(crate) id: Arc<str>,
    pub(crate) issuers: Vec<Arc<str>>,
}

impl TrustedPool {
    pub(crate) fn new(pool: &UserPool) -> Self {
        Self { id: pool.shared_id(), issuers: pool.issuers().into_iter().map(Arc::from).collect() }
    }
}

/// What a verifier accepts, besides its pools.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The app clients whose tokens are accepted; `None` for all of them.
    pub(crate) client_ids: Option<Vec<String>>,
    /// The values of `aud` that an access token may be bound to.
    pub(crate) resources: Vec<String>,
    pub(crate) clock_skew_seconds: i64,
}

impl Rules {
    pub(crate) fn check_client(&self, client_id: &str) -> Result<(), VerifyError> {
        match &self.client_ids {
            Some(allowed) if !allowed.iter().any(|id| id == client_id) => {
                Err(VerifyError::Client { found: excerpt(client_id) })
            }
            _ => Ok(()),
        }
    }
}

/// When a token was issued, becomes valid and expires, in Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    not_before: Option<i64>,
}

impl Times {
    /// Checks what depends on the time of day, which a cached token must pass again.
    pub(crate) fn check(&self, rules: &Rules, now: i64) -> Result<(), VerifyError> {
        let skew = rules.clock_skew_seconds;
        check_expiry(self.expires_at, rules, now)?;
        for (claim, time) in [("nbf", self.not_before), ("iat", Some(self.issued_at))] {
            if let Some(time) = time.filter(|time| *time > now + skew) {
                return Err(VerifyError::NotYetValid { claim, ahead: seconds(time - now) });
            }
        }
        Ok(())
    }

    fn check_lifetime(&self, rules: &Rules) -> Result<(), VerifyError> {
        let lifetime = self.expires_at - self.issued_at;
        if lifetime <= 0 {
            return Err(VerifyError::ClaimRange { claim: "exp" });
        }
        if lifetime > MAX_LIFETIME_SECONDS + rules.clock_skew_seconds {
            return Err(VerifyError::Lifetime { lifetime: seconds(lifetime) });
        }
        Ok(())
    }
}

/// The claims of a token. Each is read as the type that Cognito gives it, without conversion.
#[derive(Debug)]
pub(crate) struct Claims<'a>(Object<'a>);

impl<'a> Claims<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, VerifyError> {
        Object::parse(payload).map(Self).map_err(VerifyError::Claims)
    }

    /// Returns the issuer of this pool that the token names, byte by byte. The pool is the one whose key signed the token.
    pub(crate) fn issuer(&self, pool: &TrustedPool) -> Result<Arc<str>, VerifyError> {
        let found = self.text("iss")?;
        let issuer = pool.issuers.iter().find(|issuer| ***issuer == *found).map(Arc::clone);
        issuer.ok_or_else(|| VerifyError::Issuer { found: excerpt(&found), pool: pool.id.to_string() })
    }

    /// Checks the only claim that distinguishes access tokens from ID tokens (RFC 8725, section 3.12).
    pub(crate) fn check_token_use(&self, expected: &'static str) -> Result<(), VerifyError> {
        let found = self.text("token_use")?;
        if found == expected {
            return Ok(());
        }
        Err(VerifyError::TokenUse { expected, found: excerpt(&found) })
    }

    /// Reads and checks `exp` and `iat`, which every token of Cognito contains, and `nbf`, which none does.
    pub(crate) fn times(&self, rules: &Rules, now: i64) -> Result<Times, VerifyError> {
        let times = Times {
            expires_at: required("exp", self.optional_time("exp")?)?,
            issued_at: required("iat", self.optional_time("iat")?)?,
            not_before: self.optional_time("nbf")?,
        };
        times.check_lifetime(rules)?;
        times.check(rules, now)?;
        Ok(times)
    }

    /// Rejects a confirmation claim (RFC 7800, section 3.1): the proof of possession that it requires is not checked.
    pub(crate) fn check_unconstrained(&self) -> Result<(), VerifyError> {
        if self.0.member("cnf").is_some() { Err(VerifyError::SenderConstrained) } else { Ok(()) }
    }

    /// Returns the JSON text of a claim.
    pub(crate) fn raw(&self, claim: &str) -> Option<&'a RawValue> {
        self.0.member(claim)
    }

    pub(crate) fn text(&self, claim: &'static str) -> Result<Cow<'a, str>, VerifyError> {
        required(claim, self.optional_text(claim)?)
    }

    pub(crate) fn optional_text(&self, claim: &'static str) -> Result<Option<Cow<'a, str>>, VerifyError> {
        let wrong_type = || VerifyError::ClaimType { claim, expected: "a string" };
        self.0.member(claim).map(|raw| text(raw).ok_or_else(wrong_type)).transpose()
    }

    /// Returns a claim that identifies somebody, and that several users could share if it were empty.
    pub(crate) fn non_empty_text(&self, claim: &'static str) -> Result<Cow<'a, str>, VerifyError> {
        required(claim, self.optional_text(claim)?.filter(|text| !text.is_empty()))
    }

    /// Returns `cognito:groups`, which is absent if the user is not in a group.
    pub(crate) fn groups(&self) -> Result<Vec<String>, VerifyError> {
        Ok(self.typed("cognito:groups", "an array of strings")?.unwrap_or_default())
    }

    pub(crate) fn optional_time(&self, claim: &'static str) -> Result<Option<i64>, VerifyError> {
        let time: Option<i64> = self.typed(claim, "an integer")?;
        match time {
            Some(time) if !(0..YEAR_10000).contains(&time) => Err(VerifyError::ClaimRange { claim }),
            _ => Ok(time),
        }
    }

    fn typed<T: DeserializeOwned>(
        &self,
        claim: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, VerifyError> {
        let Some(raw) = self.0.member(claim) else { return Ok(None) };
        // The parser's message is dropped, because it quotes the value.
        serde_json::from_str(raw.get()).map(Some).map_err(|_| VerifyError::ClaimType { claim, expected })
    }
}

/// Checks `exp`: the token must not be accepted "on or after" this time (RFC 7519, section 4.1.4).
pub(crate) fn check_expiry(expires_at: i64, rules: &Rules, now: i64) -> Result<(), VerifyError> {
    if now - rules.clock_skew_seconds < expires_at {
        return Ok(());
    }
    Err(VerifyError::Expired { ago: seconds(now - expires_at) })
}

/// Returns the claim with any name, deserialized as a `T`.
pub(crate) fn claim<T: DeserializeOwned>(payload: &[u8], name: &str) -> Result<Option<T>, ClaimError> {
    let wrong_type = || ClaimError { subject: format!("the claim {}", excerpt(name)) };
    let claims = Claims::parse(payload).map_err(|_| wrong_type())?;
    let Some(raw) = claims.raw(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong_type())
}

/// Returns all claims, deserialized as a `T`.
pub(crate) fn all_claims<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ClaimError> {
    serde_json::from_slice(payload).map_err(|_| ClaimError { subject: "the set of claims".to_owned() })
}

/// A claim cannot be deserialized as the requested type.
///
/// It has no source, because the parser's message would quote the claim.
#[derive(Debug, thiserror::Error)]
#[error("{subject} cannot be read as the requested type")]
pub struct ClaimError {
    subject: String,
}

fn required<T>(claim: &'static str, value: Option<T>) -> Result<T, VerifyError> {
    value.ok_or(VerifyError::MissingClaim { claim })
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}
