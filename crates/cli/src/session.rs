//! A sign-in: its tokens, and how long they last.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A token is refreshed when it has less time left than this: enough for the request that it is used for, and for clocks
/// that differ a little.
const REFRESH_BEFORE_SECONDS: i64 = 60;

/// The tokens of one profile.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Who issued the tokens, and to which client; they are used with no other.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) access_token: Token,
    /// When the access token expires, in seconds since 1970 by this machine's clock: the time of the request plus
    /// `expires_in`. This is right even if the clock is wrong, as long as it is wrong by the same amount.
    pub(crate) expires_at: i64,
    /// A machine has none; it requests another access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<Token>,
    /// The user that the ID token named at the sign-in; later ID tokens must name the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
}

/// What stays the same through all refreshes (OpenID Connect Core 1.0, section 12.2).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) sub: String,
    pub(crate) nonce: String,
}

/// A token. Its `Debug` output does not show it.
#[derive(Clone)]
pub(crate) struct Token(SecretString);

impl Session {
    /// Whether the access token can still be used for a request.
    pub(crate) fn is_fresh(&self) -> bool {
        self.expires_in() > REFRESH_BEFORE_SECONDS
    }

    pub(crate) fn has_expired(&self) -> bool {
        self.expires_in() == 0
    }

    /// Returns how many seconds the access token has left.
    pub(crate) fn expires_in(&self) -> i64 {
        (self.expires_at - unix_seconds()).max(0)
    }
}

/// Returns the seconds since 1970 by this machine's clock.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Token {
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|token| Self(token.into()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn session(expires_in: i64) -> Session {
        Session {
            issuer: "https://issuer.example".into(),
            client_id: "client".into(),
            access_token: "the-access-token".into(),
            expires_at: unix_seconds() + expires_in,
            refresh_token: Some("the-refresh-token".into()),
            id_token: None,
            identity: None,
        }
    }

    #[test]
    fn token_is_refreshed_in_its_last_minute() {
        assert!(session(65).is_fresh());
        assert!(!session(59).is_fresh());
        assert!(!session(59).has_expired());
        assert!(session(0).has_expired());
    }

    #[test]
    fn debug_output_shows_no_token() {
        assert_eq!(format!("{:?}", session(10).access_token), "Token(..)");
    }
}
