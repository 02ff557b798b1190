//! A sign-in: its tokens, and the rules of keeping them.

mod file;
mod keyring;
mod lock;
mod seal;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use self::{
    file::{Protection, SessionStore, create_private_folder, private_file, state_folder},
    keyring::KeyringError,
    lock::Lock,
};
use crate::clock;

/// A token is renewed when it has less left than this: enough for the request that it is got for to arrive, clocks that
/// differ a little included.
const RENEW_BEFORE_SECONDS: i64 = 60;

/// The tokens of one profile.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Who issued the tokens, and to which client: they go nowhere else.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) access_token: Token,
    /// When the tokens came, in seconds since 1970 by this machine's clock.
    pub(crate) received_at: i64,
    /// `received_at` and what the token endpoint gave as `expires_in`. It is right even where the clock is wrong, as long
    /// as the clock stays as wrong as it was.
    pub(crate) expires_at: i64,
    /// A machine has none: it asks for another access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<Token>,
    /// Whom the ID token named at the sign-in; later ones must name the same person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
}

/// What stays the same from the sign-in through all refreshes (OpenID Connect Core 1.0 §12.2).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) sub: String,
    pub(crate) nonce: String,
}

/// A token. Its `Debug` output shows nothing of it.
#[derive(Clone)]
pub(crate) struct Token(SecretString);

impl Session {
    /// Whether the access token can still be used for a request.
    ///
    /// A session from the future was stored before the clock was set back; nobody knows how long it lasts.
    pub(crate) fn is_fresh(&self) -> bool {
        let now = clock::unix_seconds();
        self.is_from_the_past(now) && now + RENEW_BEFORE_SECONDS < self.expires_at
    }

    /// Whether the access token has not expired yet, be it by a second.
    pub(crate) fn has_not_expired(&self) -> bool {
        let now = clock::unix_seconds();
        self.is_from_the_past(now) && now < self.expires_at
    }

    /// How many seconds the access token has left.
    pub(crate) fn expires_in(&self) -> i64 {
        (self.expires_at - clock::unix_seconds()).max(0)
    }

    fn is_from_the_past(&self, now: i64) -> bool {
        self.received_at <= now + RENEW_BEFORE_SECONDS
    }
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

impl From<String> for Token {
    fn from(token: String) -> Self {
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
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn session(expires_in: i64) -> Session {
        let now = clock::unix_seconds();
        Session {
            issuer: "https://issuer.example".into(),
            client_id: "client".into(),
            access_token: "the-access-token".to_owned().into(),
            received_at: now,
            expires_at: now + expires_in,
            refresh_token: Some("the-refresh-token".to_owned().into()),
            id_token: None,
            identity: None,
        }
    }

    #[test]
    fn a_token_is_renewed_in_its_last_minute() {
        assert!(session(65).is_fresh());
        assert!(!session(59).is_fresh());
        assert!(session(59).has_not_expired());
        assert!(!session(0).has_not_expired());
    }

    #[test]
    fn a_session_from_the_future_is_not_trusted_to_last() {
        let mut session = session(3600);
        session.received_at += 7200;
        session.expires_at += 7200;
        assert!(!session.is_fresh());
        assert!(!session.has_not_expired());
    }

    #[test]
    fn debug_output_shows_no_token() {
        assert_eq!(format!("{:?}", session(10).access_token), "Token(..)");
    }
}
