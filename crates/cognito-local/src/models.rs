//! The records that the pool keeps, and that its services hand to each other.

use std::collections::BTreeMap;

/// A user account.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) sub: String,
    pub(crate) username: String,
    pub(crate) password_hash: String,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) confirmed: bool,
    /// Counts the passwords of this user: sessions and codes of an earlier one are invalid.
    pub(crate) generation: i64,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) totp_secret: Option<Vec<u8>>,
}

/// A sign-in that a browser remembers.
pub(crate) struct Session {
    pub(crate) sub: String,
    pub(crate) generation: i64,
    pub(crate) auth_time: i64,
}

/// An authorization code. The store knows it by its digest.
#[derive(Clone)]
pub(crate) struct AuthorizationCode {
    pub(crate) sub: String,
    pub(crate) generation: i64,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) resource: Option<String>,
    pub(crate) nonce: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) auth_time: i64,
    pub(crate) expires_at: i64,
    pub(crate) used: bool,
    pub(crate) origin_jti: Option<String>,
}

/// The tokens that descend from one authorization code; they share an `origin_jti`.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(crate) origin_jti: String,
    pub(crate) event_id: String,
    pub(crate) sub: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) resource: Option<String>,
    pub(crate) auth_time: i64,
    pub(crate) expires_at: i64,
    pub(crate) revoked: bool,
}

/// A refresh token of a grant. The store knows it by its digest.
pub(crate) struct RefreshToken {
    pub(crate) origin_jti: String,
    pub(crate) retired_at_ms: Option<i64>,
}

/// The use of a token or a key: Cognito signs access tokens and ID tokens with different keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenUse {
    Access,
    Id,
}

impl TokenUse {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id => "id",
        }
    }
}

/// A signing key as it is stored.
pub(crate) struct StoredKey {
    pub(crate) kid: String,
    pub(crate) token_use: TokenUse,
    pub(crate) pkcs8: Vec<u8>,
}

/// A mail that the pool would have sent.
pub(crate) struct Mail {
    pub(crate) recipient: String,
    pub(crate) username: String,
    pub(crate) purpose: MailPurpose,
    pub(crate) code: String,
    pub(crate) sent_at: i64,
}

/// What a mailed code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailPurpose {
    /// To confirm a new account.
    Confirm,
    /// To set a new password.
    Reset,
}

impl MailPurpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Reset => "reset",
        }
    }

    /// How long a code is valid (Cognito Developer Guide, "Quotas": validity of codes).
    pub(crate) const fn lifetime_seconds(self) -> i64 {
        match self {
            Self::Confirm => 24 * 3600,
            Self::Reset => 3600,
        }
    }
}
