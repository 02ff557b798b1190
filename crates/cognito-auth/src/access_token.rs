//! Verified access tokens: who the caller is, through which app client, and with which rights.

use std::borrow::Cow;
use std::fmt;

use crate::claims::{Claims, Rules};
use crate::error::VerifyError;
use crate::json::excerpt;
use crate::token::{Kind, Token};

/// An access token that passed every rule. It grants access to an API.
///
/// The claims are described in the Cognito developer guide, [understanding the access token][guide].
///
/// [guide]: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
pub type AccessToken = Token<Access>;

/// The claims that only access tokens have.
pub struct Access {
    scope: String,
    audience: Option<String>,
}

/// The user or machine client that a token was issued for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal<'a> {
    /// A user of the pool.
    User {
        /// The user's ID in the pool, which never changes.
        sub: &'a str,
        /// The user's name in the pool; `<provider>_<id>` for federated users.
        username: &'a str,
        /// The groups that the user is in.
        groups: &'a [String],
    },
    /// An app client on its own behalf, by the client credentials grant (RFC 6749, section 4.4).
    Machine {
        /// The app client's ID.
        client_id: &'a str,
    },
}

impl Token<Access> {
    /// Returns the granted scopes, in the token's order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        // Scopes are delimited by spaces and nothing else (RFC 6749, section 3.3).
        self.own().scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether exactly this scope was granted, such as `items/read`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().any(|granted| granted == scope)
    }

    /// Returns the resource that the token is bound to (`aud`, RFC 8707), if it is bound.
    #[must_use]
    pub fn audience(&self) -> Option<&str> {
        self.own().audience.as_deref()
    }

    /// Returns the user or the machine client that the token was issued for.
    ///
    /// Cognito names the user in every token of a user, and only there. If a token without a name has a `sub` other than
    /// its app client's ID, it is still the token of a user, whose name is then the `sub`. Users are therefore never
    /// mistaken for their app client.
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
}

impl Kind for Access {
    const TOKEN_USE: &'static str = "access";
    const CLIENT_ID: &'static str = "client_id";
    const USERNAME: &'static str = "username";

    fn read(claims: &Claims<'_>, rules: &Rules) -> Result<Self, VerifyError> {
        let audience = audience(claims, rules)?;
        Ok(Self { scope: claims.optional_text("scope")?.unwrap_or_default().into_owned(), audience })
    }

    /// Users always have a `sub`. AWS does not promise one for machine clients, whose identity is the app client.
    fn subject(claims: &Claims<'_>, is_user: bool, client_id: &str) -> Result<String, VerifyError> {
        if !is_user && claims.raw("sub").is_none() {
            return Ok(client_id.to_owned());
        }
        claims.non_empty_text("sub").map(Cow::into_owned)
    }
}

/// An access token with `aud` is bound to that resource (RFC 8707), and Cognito binds it to one only. A token that is
/// bound to the API of somebody else must not grant access to this one.
fn audience(claims: &Claims<'_>, rules: &Rules) -> Result<Option<String>, VerifyError> {
    let Some(raw) = claims.raw("aud") else { return Ok(None) };
    let audience = claims.text("aud")?;
    if rules.resources.iter().any(|resource| *resource == audience) {
        return Ok(Some(audience.into_owned()));
    }
    Err(VerifyError::Audience { found: excerpt(raw.get()) })
}

impl fmt::Debug for Token<Access> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.debug("AccessToken", f)
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
