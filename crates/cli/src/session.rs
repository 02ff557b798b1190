//! A sign-in: its tokens, and how long they last.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A token is refreshed when it has less time left than this: enough for the request that it is used for, and for clocks
/// that differ a little.
const REFRESH_BEFORE_SECONDS: i64 = 60;

/// The tokens of one profile.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The issuer of the tokens and the client that they were issued to. They are not used with any other.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) access_token: Token,
    /// When the access token expires, in seconds since 1970 by this machine's clock: the time of the request plus
    /// `expires_in`. This is right even if the clock is wrong, as long as it is wrong by the same amount.
    pub(crate) expires_at: i64,
    /// Machine clients do not have one; they request another access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<Token>,
    /// The user that the ID token named at the sign-in. Later ID tokens must name the same user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
}

/// The claims that stay the same through all refreshes (OpenID Connect Core 1.0, section 12.2).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) sub: String,
    pub(crate) nonce: String,
}

/// A token. Its `Debug` output does not show it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Token(String);

impl Session {
    /// Whether the access token can still be used for a request.
    pub(crate) fn is_fresh(&self) -> bool {
        self.expires_in() > REFRESH_BEFORE_SECONDS
    }

    /// Returns how many seconds the access token has left.
    pub(crate) fn expires_in(&self) -> i64 {
        (self.expires_at - OffsetDateTime::now_utc().unix_timestamp()).max(0)
    }
}

impl Token {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&String> for Token {
    fn from(token: &String) -> Self {
        Self(token.clone())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
