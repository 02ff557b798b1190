//! Verified ID tokens: what a client is told about the user who signed in. They open nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use crate::claims::{ClaimError, Claims, Rules, Times, TrustedPool, claim};
use crate::clock::system_time;
use crate::error::VerifyError;

/// An ID token that passed every rule. Cloning it is cheap.
///
/// It is for the client that asked for it and grants no access, so it is a type of its own: no extractor gives one, and
/// [`verify_access`](crate::Verifier::verify_access) refuses it. Its `Debug` output contains no claim about a person.
///
/// The claims are those of the Cognito developer guide, [understanding the identity token][guide]; those without an
/// accessor are read with [`claim`](Self::claim).
///
/// [guide]: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
#[derive(Clone)]
pub struct IdToken(Arc<Verified>);

struct Verified {
    pool: Arc<str>,
    issuer: Arc<str>,
    sub: String,
    client_id: String,
    username: Option<String>,
    groups: Vec<String>,
    nonce: Option<String>,
    at_hash: Option<String>,
    auth_time: Option<i64>,
    times: Times,
    payload: Vec<u8>,
}

impl IdToken {
    /// The user's id in the pool.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.0.sub
    }

    /// The id of the app client that the token is for (`aud`).
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// The user's name in the pool (`cognito:username`).
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// The groups the user is in (`cognito:groups`).
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.0.groups
    }

    /// The issuer, as the token spells it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The id of the pool whose key signed the token.
    #[must_use]
    pub fn user_pool_id(&self) -> &str {
        &self.0.pool
    }

    /// From this time on the token is refused.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.0.times.expires_at)
    }

    /// When the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        system_time(self.0.times.issued_at)
    }

    /// When the user signed in.
    #[must_use]
    pub fn auth_time(&self) -> Option<SystemTime> {
        self.0.auth_time.map(system_time)
    }

    /// Checks that the token answers the authentication request that carried this nonce. A client that sends a nonce
    /// must check it (OpenID Connect Core 1.0, section 3.1.3.7, step 11).
    ///
    /// # Errors
    ///
    /// [`IdTokenError::Nonce`] if the token carries another nonce, or none.
    pub fn check_nonce(&self, expected: &str) -> Result<(), IdTokenError> {
        if self.0.nonce.as_deref() == Some(expected) { Ok(()) } else { Err(IdTokenError::Nonce) }
    }

    /// Checks that the access token was issued together with this ID token, by `at_hash` (OpenID Connect Core 1.0,
    /// section 3.1.3.6): the left half of the SHA-256 of the access token, in base64url.
    ///
    /// # Errors
    ///
    /// [`IdTokenError::AccessTokenHash`] if the token carries another hash, or none.
    pub fn check_access_token(&self, access_token: &str) -> Result<(), IdTokenError> {
        let hash = digest(&SHA256, access_token.as_bytes());
        let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
        let expected = BASE64_URL_SAFE_NO_PAD.encode(left);
        if self.0.at_hash.as_ref() == Some(&expected) { Ok(()) } else { Err(IdTokenError::AccessTokenHash) }
    }

    /// Any other claim, such as `email` or `custom:tenant`; nothing if the token has none of this name.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claim is there but is no `T`. Its message does not quote the claim.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClaimError> {
        claim(&self.0.payload, name)
    }

    /// Checks the claims of a token that a key of `pool` signed.
    pub(crate) fn check(
        payload: Vec<u8>,
        pool: &TrustedPool,
        rules: &Rules,
        now: i64,
    ) -> Result<Self, VerifyError> {
        let claims = Claims::parse(&payload)?;
        let issuer = claims.issuer(pool)?;
        claims.check_token_use("id")?;
        let client_id = claims.text("aud")?;
        rules.check_client(&client_id)?;
        let times = claims.times(rules, now)?;
        let auth_time = claims.optional_time("auth_time")?;
        claims.check_unconstrained()?;
        Ok(Self(Arc::new(Verified {
            pool: Arc::clone(&pool.id),
            issuer,
            sub: claims.non_empty_text("sub")?.into_owned(),
            client_id: client_id.into_owned(),
            username: claims.optional_text("cognito:username")?.map(Cow::into_owned),
            groups: claims.groups()?,
            nonce: claims.optional_text("nonce")?.map(Cow::into_owned),
            at_hash: claims.optional_text("at_hash")?.map(Cow::into_owned),
            auth_time,
            times,
            payload,
        })))
    }
}

/// Why an ID token does not belong to a sign-in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdTokenError {
    /// The token was not issued for this authentication request.
    #[error("nonce is not the one of the authentication request")]
    Nonce,
    /// The token was not issued together with this access token.
    #[error("at_hash is not the hash of the access token")]
    AccessTokenHash,
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdToken")
            .field("user_pool_id", &self.user_pool_id())
            .field("client_id", &self.client_id())
            .field("expires_at", &self.0.times.expires_at)
            .finish_non_exhaustive()
    }
}
