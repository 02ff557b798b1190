//! Verified access tokens: who calls, through which app client, and with which rights.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::claims::{ClaimError, Claims, Rules, Times, TrustedPool, claim};
use crate::clock::system_time;
use crate::error::VerifyError;
use crate::json::excerpt;

/// An access token that passed every rule. Cloning it is cheap.
///
/// A user is identified by [`user_pool_id`](Self::user_pool_id) and [`sub`](Self::sub) together: two pools can give
/// out the same `sub`. Its `Debug` output contains no claim about a person and no part of the token.
///
/// The claims are those of the Cognito developer guide, [understanding the access token][guide].
///
/// [guide]: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
#[derive(Clone)]
pub struct AccessToken(Arc<Verified>);

struct Verified {
    pool: Arc<str>,
    issuer: Arc<str>,
    sub: String,
    client_id: String,
    username: Option<String>,
    groups: Vec<String>,
    scope: String,
    jti: Option<String>,
    origin_jti: Option<String>,
    auth_time: Option<i64>,
    times: Times,
    payload: Vec<u8>,
}

/// Who a token speaks for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal<'a> {
    /// A user of the pool.
    User {
        /// The user's unchangeable id in the pool.
        sub: &'a str,
        /// The user's name in the pool; `<provider>_<id>` for federated users.
        username: &'a str,
        /// The groups the user is in.
        groups: &'a [String],
    },
    /// An app client on its own behalf, by the client credentials grant (RFC 6749, section 4.4).
    Machine {
        /// The app client's id.
        client_id: &'a str,
    },
}

impl AccessToken {
    /// The user's id in the pool. For a machine it is the id of the app client.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.0.sub
    }

    /// The id of the app client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// The user's name in the pool; nothing for a machine.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.0.username.as_deref()
    }

    /// The groups the user is in (`cognito:groups`).
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.0.groups
    }

    /// Whether the user is in the group of exactly this name.
    #[must_use]
    pub fn in_group(&self, group: &str) -> bool {
        self.0.groups.iter().any(|name| name == group)
    }

    /// The scopes that were granted, as the token lists them.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        // Scopes are delimited by spaces and nothing else (RFC 6749, section 3.3).
        self.0.scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether exactly this scope was granted, such as `items/read`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
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

    /// The token's own id; older app clients do without.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.0.jti.as_deref()
    }

    /// The id of the sign-in that the token goes back to, through however many refreshes. Revoking a refresh token or
    /// signing a user out everywhere does not reach tokens that are verified offline; a deny-list of these ids does.
    #[must_use]
    pub fn origin_jti(&self) -> Option<&str> {
        self.0.origin_jti.as_deref()
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

    /// When the user signed in. A refreshed token keeps the time of the sign-in.
    #[must_use]
    pub fn auth_time(&self) -> Option<SystemTime> {
        self.0.auth_time.map(system_time)
    }

    /// Whether a user or a machine calls.
    ///
    /// Cognito names a user in every token of a user, and in no other. Should a token have lost the name, a `sub` that is
    /// not the app client's id still tells the user, whose name is then that `sub`: users of one client are never taken
    /// for one machine.
    #[must_use]
    pub fn principal(&self) -> Principal<'_> {
        match self.username() {
            Some(username) => Principal::User { sub: self.sub(), username, groups: self.groups() },
            None if self.sub() != self.client_id() => {
                Principal::User { sub: self.sub(), username: self.sub(), groups: self.groups() }
            }
            None => Principal::Machine { client_id: self.client_id() },
        }
    }

    /// Any other claim, such as one that a pre token generation trigger added; nothing if the token has none of this
    /// name. It is read from the claims at each call.
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
        claims.check_token_use("access")?;
        let client_id = claims.text("client_id")?;
        rules.check_client(&client_id)?;
        check_audience(&claims, rules)?;
        let times = claims.times(rules, now)?;
        let auth_time = claims.optional_time("auth_time")?;
        claims.check_unconstrained()?;
        let username = claims.optional_text("username")?;
        Ok(Self(Arc::new(Verified {
            pool: Arc::clone(&pool.id),
            issuer,
            sub: subject(&claims, username.is_some(), &client_id)?,
            groups: claims.groups()?,
            scope: claims.optional_text("scope")?.unwrap_or_default().into_owned(),
            jti: claims.optional_text("jti")?.map(Cow::into_owned),
            origin_jti: claims.optional_text("origin_jti")?.map(Cow::into_owned),
            client_id: client_id.into_owned(),
            username: username.map(Cow::into_owned),
            auth_time,
            times,
            payload,
        })))
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
}

/// An access token that carries `aud` is bound to that resource (RFC 8707), and Cognito binds to one only. It must be
/// ours, as a token for somebody else's API must not open this one.
fn check_audience(claims: &Claims<'_>, rules: &Rules) -> Result<(), VerifyError> {
    let Some(raw) = claims.raw("aud") else { return Ok(()) };
    let audience = claims.text("aud")?;
    if rules.resources.iter().any(|resource| *resource == audience) {
        return Ok(());
    }
    Err(VerifyError::Audience { found: excerpt(raw.get()) })
}

/// Users always have a `sub`. AWS does not promise one for machines, whose identity is the app client.
fn subject(claims: &Claims<'_>, is_user: bool, client_id: &str) -> Result<String, VerifyError> {
    if !is_user && claims.raw("sub").is_none() {
        return Ok(client_id.to_owned());
    }
    claims.non_empty_text("sub").map(Cow::into_owned)
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("user_pool_id", &self.user_pool_id())
            .field("client_id", &self.client_id())
            .field("scope", &self.0.scope)
            .field("expires_at", &self.0.times.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Principal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { .. } => f.debug_struct("User").finish_non_exhaustive(),
            Self::Machine { client_id } => f.debug_struct("Machine").field("client_id", client_id).finish(),
        }
    }
}
