//! App clients, as they are configured.

use serde::Deserialize;

/// An application that signs users in, or that calls an API as itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// The `client_id`: letters, digits, `_` and `+`, at most 128.
    pub id: String,
    /// How the sign-in pages name the application; the id when absent.
    pub name: Option<String>,
    /// Whether the client authenticates itself with a secret.
    pub secret: ClientSecret,
    /// The secret that `secret` replaces: it is accepted until every server has the new one.
    pub previous_secret: ClientSecret,
    /// Grants the client may use. Refresh tokens come with [`OAuthFlow::Code`].
    pub flows: Vec<OAuthFlow>,
    /// Where sign-in may end, character for character. An `http` URL of `localhost`, `127.0.0.1` or `[::1]` without a
    /// port stands for any port, as RFC 8252, section 7.3 allows.
    pub callback_urls: Vec<String>,
    /// Where sign-out may end; the same rules.
    pub logout_urls: Vec<String>,
    /// Scopes the client may ask for: `openid`, `email`, `phone`, `profile`, `aws.cognito.signin.user.admin`, and
    /// `<resource server>/<scope>`.
    pub scopes: Vec<String>,
    /// How long the client's tokens are valid.
    pub lifetimes: TokenLifetimes,
    /// Whether a refresh yields a new refresh token; `None`: the first stays in use, which is Cognito's default.
    pub refresh_token_rotation: Option<RefreshTokenRotation>,
    /// How the client may sign users in through the AWS API (Cognito's `ExplicitAuthFlows`).
    pub auth_flows: Vec<AuthFlow>,
    /// How long a user may take to answer a challenge of the AWS API: 3 to 15 minutes.
    pub auth_session_minutes: u8,
    /// Whether the AWS API hides from this client which users exist. Cognito's own default is `false`.
    pub prevent_user_existence_errors: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: None,
            secret: ClientSecret::None,
            previous_secret: ClientSecret::None,
            flows: vec![OAuthFlow::Code],
            callback_urls: Vec::new(),
            logout_urls: Vec::new(),
            scopes: ["openid", "email", "profile"].map(str::to_owned).into(),
            lifetimes: TokenLifetimes::default(),
            refresh_token_rotation: None,
            auth_flows: vec![AuthFlow::UserSrpAuth, AuthFlow::RefreshTokenAuth],
            auth_session_minutes: 3,
            prevent_user_existence_errors: true,
        }
    }
}

/// Whether an app client has a secret.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientSecret {
    /// A public client: it runs where a secret cannot be kept, and must use PKCE.
    #[default]
    None,
    /// A secret made when the pool is first opened, and kept.
    Generated,
    /// This secret.
    Fixed(String),
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Generated => "Generated",
            Self::Fixed(_) => "Fixed([redacted])",
        })
    }
}

/// A grant that an app client may use (Cognito's `AllowedOAuthFlows`, without the implicit grant).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OAuthFlow {
    /// Users sign in through the hosted UI; the client exchanges a code.
    Code,
    /// The client gets tokens for itself; it needs a secret.
    ClientCredentials,
}

/// A way to sign users in through the AWS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthFlow {
    /// The Secure Remote Password protocol: the password does not leave the client.
    UserSrpAuth,
    /// Username and password.
    UserPasswordAuth,
    /// Username and password, sent by a server with AWS credentials.
    AdminUserPasswordAuth,
    /// The user chooses among the first factors of the pool.
    UserAuth,
    /// A refresh token. Without effect for a client with refresh token rotation, as in Cognito.
    RefreshTokenAuth,
}

/// How long tokens are valid. The defaults are Cognito's.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenLifetimes {
    /// Access token: 300 (5 min) to 86 400 (1 day).
    pub access_token_seconds: u32,
    /// ID token: 300 (5 min) to 86 400 (1 day).
    pub id_token_seconds: u32,
    /// Refresh token: 3 600 (1 h) to 315 360 000 (10 years).
    pub refresh_token_seconds: u32,
}

impl Default for TokenLifetimes {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            id_token_seconds: 3600,
            refresh_token_seconds: 30 * 24 * 3600, // 30 days.
        }
    }
}

/// Refresh token rotation: each refresh yields a new refresh token and retires the one presented.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefreshTokenRotation {
    /// How long a retired refresh token is still accepted, for clients that retry: 0 to 60. A retired token presented
    /// later is taken for stolen, and ends every token of that sign-in.
    pub retry_grace_period_seconds: u8,
}

impl Default for RefreshTokenRotation {
    fn default() -> Self {
        Self { retry_grace_period_seconds: 10 }
    }
}
