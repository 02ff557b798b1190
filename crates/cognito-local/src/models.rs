//! The records that the pool keeps, and that its services hand to each other.

use std::collections::BTreeMap;

/// A user account.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) sub: String,
    pub(crate) username: String,
    pub(crate) credentials: Credentials,
    /// When a temporary password can no longer be used.
    pub(crate) password_expires_at: Option<i64>,
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) status: UserStatus,
    pub(crate) enabled: bool,
    pub(crate) created_at: i64,
    pub(crate) modified_at: i64,
    /// Counts the passwords of this user: sessions and codes of an earlier one are invalid.
    pub(crate) generation: i64,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) totp_secret: Option<Vec<u8>>,
    /// The secret of an app whose first code is awaited.
    pub(crate) totp_pending_secret: Option<Vec<u8>>,
    /// Whether sign-in asks for the app. An app can be set up before it is used.
    pub(crate) totp_enabled: bool,
    pub(crate) totp_preferred: bool,
}

impl User {
    /// Returns a confirmed, enabled user without attributes.
    pub(crate) fn new(sub: String, username: String, credentials: Credentials, now: i64) -> Self {
        Self {
            sub,
            username,
            credentials,
            password_expires_at: None,
            email: None,
            email_verified: false,
            status: UserStatus::Confirmed,
            enabled: true,
            created_at: now,
            modified_at: now,
            generation: 0,
            attributes: BTreeMap::new(),
            totp_secret: None,
            totp_pending_secret: None,
            totp_enabled: false,
            totp_preferred: false,
        }
    }

    /// Whether the user has confirmed the account, or an administrator has created it.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.status != UserStatus::Unconfirmed
    }

    /// Replaces the password, which ends the sessions, challenges and authorization codes of the old one.
    pub(crate) fn set_password(&mut self, credentials: Credentials, status: UserStatus) {
        self.credentials = credentials;
        self.status = status;
        self.password_expires_at = None;
        self.generation += 1;
    }
}

/// What is stored of a password.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) hash: String,
    pub(crate) srp: Option<SrpVerifier>,
}

/// The verifier of the Secure Remote Password protocol for one password, and its salt.
#[derive(Clone)]
pub(crate) struct SrpVerifier {
    pub(crate) salt: Vec<u8>,
    pub(crate) verifier: Vec<u8>,
}

/// The status of an account, in Cognito's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserStatus {
    Unconfirmed,
    Confirmed,
    /// An administrator has reset the password: a mailed code sets a new one.
    ResetRequired,
    /// The password is temporary: the first sign-in sets a new one.
    ForceChangePassword,
}

impl UserStatus {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unconfirmed => "UNCONFIRMED",
            Self::Confirmed => "CONFIRMED",
            Self::ResetRequired => "RESET_REQUIRED",
            Self::ForceChangePassword => "FORCE_CHANGE_PASSWORD",
        }
    }
}

/// A group of users.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) precedence: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) modified_at: i64,
}

/// A sign-in through the API that waits for the answer to a challenge.
pub(crate) struct ApiSession {
    pub(crate) client_id: String,
    /// The login as it was typed.
    pub(crate) login: String,
    /// `None` when such a user does not exist.
    pub(crate) sub: Option<String>,
    pub(crate) generation: i64,
    /// The challenge, as JSON.
    pub(crate) challenge: String,
    pub(crate) secret_block: Option<String>,
    pub(crate) used: bool,
    pub(crate) expires_at: i64,
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

/// The tokens that descend from one sign-in; they share an `origin_jti`.
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
    /// Whether the AWS API gave it. Those tokens have other claims.
    pub(crate) by_api: bool,
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
    /// To verify the address of an existing account.
    Verify,
    /// To sign in without a password.
    SignIn,
    /// The temporary password of an account that an administrator created.
    Invitation,
}

impl MailPurpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Reset => "reset",
            Self::Verify => "verify",
            Self::SignIn => "sign_in",
            Self::Invitation => "invitation",
        }
    }

    /// How long a code is valid (Cognito Developer Guide, "Quotas": validity of codes).
    pub(crate) const fn lifetime_seconds(self) -> i64 {
        match self {
            Self::Confirm | Self::Verify => 24 * 3600,
            Self::Reset => 3600,
            // As long as the longest session of a sign-in.
            Self::SignIn => 15 * 60,
            // It carries a password, whose time limit the account has.
            Self::Invitation => 0,
        }
    }
}
