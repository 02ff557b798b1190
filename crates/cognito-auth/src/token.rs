//! What verified access tokens and ID tokens have in common.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::claims::{ClaimError, Claims, Rules, Times, TrustedPool, all_claims, claim};
use crate::clock::system_time;
use crate::error::VerifyError;

/// A token that passed every rule: an [`AccessToken`](crate::AccessToken) or an [`IdToken`](crate::IdToken). Cloning
/// it is cheap.
///
/// A user is identified by [`user_pool_id`](Self::user_pool_id) and [`sub`](Self::sub) together, because two pools can
/// issue the same `sub`. The `Debug` output contains no claim and no part of the token.
pub struct Token<K>(Arc<Verified<K>>);

struct Verified<K> {
    pool: Arc<str>,
    issuer: Arc<str>,
    sub: String,
    client_id: String,
    username: Option<String>,
    groups: Vec<String>,
    jti: Option<String>,
    origin_jti: Option<String>,
    auth_time: Option<i64>,
    times: Times,
    payload: Vec<u8>,
    /// The claims that only this kind of token has.
    own: K,
}

/// How one kind of token differs from the other.
pub(crate) trait Kind: Sized {
    /// The value of `token_use`.
    const TOKEN_USE: &'static str;
    /// The claim that names the app client.
    const CLIENT_ID: &'static str;
    /// The claim that names the user.
    const USERNAME: &'static str;

    /// Checks and reads the claims that only this kind has.
    fn read(claims: &Claims<'_>, rules: &Rules) -> Result<Self, VerifyError>;

    /// Reads `sub`; `is_user` is whether the token names a user.
    fn subject(claims: &Claims<'_>, is_user: bool, client_id: &str) -> Result<String, VerifyError>;
}

impl<K> Token<K> {
    /// Returns the user's ID in the pool. For a machine client it is the ID of the app client.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.0.sub
    }

    /// Returns the ID of the app client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// Returns the user's name in the pool; `None` for a machine client.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// Returns the groups that the user is in (`cognito:groups`).
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.0.groups
    }

    /// Whether the user is in the group with exactly this name.
    #[must_use]
    pub fn in_group(&self, group: &str) -> bool {
        self.0.groups.iter().any(|name| name == group)
    }

    /// Returns the issuer, as the token spells it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Returns the ID of the pool whose key signed the token.
    #[must_use]
    pub fn user_pool_id(&self) -> &str {
        &self.0.pool
    }

    /// Returns the token's ID. App clients without token revocation issue tokens without one.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.0.jti.as_deref()
    }

    /// Returns the ID of the sign-in that the token goes back to, through any number of refreshes.
    ///
    /// A token that is verified offline stays valid when its refresh token is revoked or its user is signed out
    /// everywhere. A deny list of these IDs rejects it.
    #[must_use]
    pub fn origin_jti(&self) -> Option<&str> {
        self.0.origin_jti.as_deref()
    }

    /// Returns the time from which the token is rejected.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.0.times.expires_at)
    }

    /// Returns when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        system_time(self.0.times.issued_at)
    }

    /// Returns when the user signed in. A refreshed token keeps the time of the sign-in.
    #[must_use]
    pub fn auth_time(&self) -> Option<SystemTime> {
        self.0.auth_time.map(system_time)
    }

    /// Returns the claim with this name, such as `email` or `custom:tenant`; `None` if the token does not contain it.
    /// Each call parses the claims again.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claim cannot be deserialized as a `T`. Its message does not quote the claim.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClaimError> {
        claim(&self.0.payload, name)
    }

    /// Deserializes all claims as a `T`, which names those that it needs.
    ///
    /// A pre token generation trigger (event versions 2 and 3) can add claims of any JSON type to access tokens:
    ///
    /// ```
    /// use cognito_auth::AccessToken;
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Tenant {
    ///     #[serde(rename = "custom:tenant")]
    ///     id: String,
    ///     #[serde(default)]
    ///     features: Vec<String>,
    /// }
    ///
    /// fn may_export(token: &AccessToken) -> bool {
    ///     token.claim_as::<Tenant>().is_ok_and(|tenant| tenant.features.iter().any(|name| name == "export"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the claims cannot be deserialized as a `T`. Its message does not quote them.
    pub fn claim_as<T: DeserializeOwned>(&self) -> Result<T, ClaimError> {
        all_claims(&self.0.payload)
    }

    /// Checks the claims of a token that a key of `pool` signed.
    pub(crate) fn check(
        payload: Vec<u8>,
        pool: &TrustedPool,
        rules: &Rules,
        now: i64,
    ) -> Result<Self, VerifyError>
    where
        K: Kind,
    {
        let claims = Claims::parse(&payload)?;
        let issuer = claims.issuer(pool)?;
        claims.check_token_use(K::TOKEN_USE)?;
        let client_id = claims.text(K::CLIENT_ID)?;
        rules.check_client(&client_id)?;
        let own = K::read(&claims, rules)?;
        let times = claims.times(rules, now)?;
        let auth_time = claims.optional_time("auth_time")?;
        claims.check_unconstrained()?;
        let username = claims.optional_text(K::USERNAME)?;
        Ok(Self(Arc::new(Verified {
            pool: Arc::clone(&pool.id),
            issuer,
            sub: K::subject(&claims, username.is_some(), &client_id)?,
            groups: claims.groups()?,
            jti: claims.optional_text("jti")?.map(Cow::into_owned),
            origin_jti: claims.optional_text("origin_jti")?.map(Cow::into_owned),
            client_id: client_id.into_owned(),
            username: username.map(Cow::into_owned),
            auth_time,
            times,
            payload,
            own,
        })))
    }

    pub(crate) fn own(&self) -> &K {
        &self.0.own
    }

    pub(crate) fn auth_time_seconds(&self) -> Option<i64> {
        self.0.auth_time
    }

    pub(crate) fn times(&self) -> Times {
        self.0.times
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.0.payload.len()
    }

    /// Writes the `Debug` output: a log may show which pool was involved, but none of the claims.
    pub(crate) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name).field("user_pool_id", &self.0.pool).finish_non_exhaustive()
    }
}

impl<K> Clone for Token<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
