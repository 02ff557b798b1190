//! What a pool contains: clients, resource servers, groups, users.

mod client;
mod file;
pub(crate) mod validation;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use client::{AuthFlow, ClientConfig, ClientSecret, OAuthFlow, RefreshTokenRotation, TokenLifetimes};
pub use file::ConfigFileError;
pub use validation::ConfigError;

/// What a user pool contains.
///
/// Clients, resource servers and groups are taken from here each time the pool is opened. Users are created when the
/// pool does not know their name yet; afterwards only their groups follow the configuration, so a password that was
/// reset, or an authenticator app that was set up, is kept.
///
/// ```
/// use cognito_local::{ClientConfig, PoolConfig, UserConfig};
///
/// let config = PoolConfig {
///     pool_id: "eu-west-1_Example".into(),
///     clients: vec![ClientConfig {
///         id: "web".into(),
///         callback_urls: vec!["http://localhost:3000/callback".into()],
///         ..ClientConfig::default()
///     }],
///     users: vec![UserConfig {
///         username: "carol".into(),
///         password: "Str0ng-enough!".into(),
///         ..UserConfig::default()
///     }],
///     ..PoolConfig::default()
/// };
/// assert_eq!(config.clients[0].scopes, ["openid", "email", "profile"]);
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// `<region>_<id>`, as Cognito writes it. It ends the issuer's URL.
    pub pool_id: String,
    /// Whose URL the tokens name as their issuer.
    pub issuer: Issuer,
    /// App clients.
    pub clients: Vec<ClientConfig>,
    /// Resource servers, whose custom scopes clients may be allowed.
    pub resource_servers: Vec<ResourceServerConfig>,
    /// Names of the groups that users can be in.
    pub groups: Vec<String>,
    /// Users who exist from the start.
    pub users: Vec<UserConfig>,
    /// Whether sign-in asks for a code from an authenticator app.
    pub mfa: Mfa,
    /// Whether visitors can create their own account.
    pub self_sign_up: bool,
    /// What a new password must contain.
    pub password_policy: PasswordPolicy,
    /// How a sign-in by the flow `USER_AUTH` may begin (Cognito's `SignInPolicy`). Passwords are always allowed.
    pub first_factors: Vec<FirstFactor>,
    /// Whether passwords are also stored in the form that sign-in by the Secure Remote Password protocol
    /// (`USER_SRP_AUTH`) needs. Who steals the file can try passwords against that form much faster than against the
    /// argon2id hashes.
    pub store_srp_verifiers: bool,
    /// Whether the pool accepts no more than Cognito where it is otherwise more convenient: a callback URL matches only
    /// with its own port, `resource` must be the identifier of a resource server, and the token endpoint rejects it.
    pub strict: bool,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            pool_id: "us-east-1_LocalPool".to_owned(),
            issuer: Issuer::default(),
            clients: Vec::new(),
            resource_servers: Vec::new(),
            groups: Vec::new(),
            users: Vec::new(),
            mfa: Mfa::default(),
            self_sign_up: true,
            password_policy: PasswordPolicy::default(),
            first_factors: vec![FirstFactor::Password],
            store_srp_verifiers: true,
            strict: false,
        }
    }
}

impl PoolConfig {
    /// The pool of the laptop: clients `localweb` and `localmachine`, group `admins`, users `alice` (an admin) and `bob`,
    /// and the scopes `items/read` and `items/write`.
    ///
    /// `api_port` is where the API serves its `/docs`, whose sign-in `localweb` accepts.
    #[must_use]
    pub fn demo(api_port: u16) -> Self {
        Self {
            clients: vec![demo_web_client(api_port), demo_machine_client()],
            groups: vec!["admins".to_owned()],
            users: vec![
                UserConfig {
                    groups: vec!["admins".to_owned()],
                    ..demo_user("alice", "Alice", "Wonder-land1")
                },
                demo_user("bob", "Bob", "Builder-yes2"),
            ],
            ..Self::default()
        }
        .with_scopes(["items/read", "items/write"])
    }

    /// Adds scopes, `<resource server>/<scope>`, to the pool and to all of its clients. Other text is ignored.
    #[must_use]
    pub fn with_scopes<'a>(mut self, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        for scope in scopes {
            let Some((identifier, name)) = scope.rsplit_once('/') else { continue };
            let mut servers = self.resource_servers.iter_mut();
            match servers.find(|server| server.identifier == identifier) {
                Some(server) => add(&mut server.scopes, name),
                None => self.resource_servers.push(ResourceServerConfig {
                    identifier: identifier.to_owned(),
                    scopes: vec![name.to_owned()],
                }),
            }
            self.clients.iter_mut().for_each(|client| add(&mut client.scopes, scope));
        }
        self
    }
}

fn add(list: &mut Vec<String>, entry: &str) {
    if !list.iter().any(|known| known == entry) {
        list.push(entry.to_owned());
    }
}

fn demo_web_client(api_port: u16) -> ClientConfig {
    let urls = |path: &str| ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}{path}"));
    ClientConfig {
        id: "localweb".to_owned(),
        callback_urls: [format!("http://localhost:{api_port}/docs/oauth2-redirect.html")]
            .into_iter()
            .chain(urls("/callback"))
            .collect(),
        logout_urls: urls("/").into(),
        refresh_token_rotation: Some(RefreshTokenRotation::default()),
        auth_flows: vec![
            AuthFlow::UserSrpAuth,
            AuthFlow::UserPasswordAuth,
            AuthFlow::AdminUserPasswordAuth,
            AuthFlow::UserAuth,
        ],
        ..ClientConfig::default()
    }
}

fn demo_machine_client() -> ClientConfig {
    ClientConfig {
        id: "localmachine".to_owned(),
        secret: ClientSecret::Generated,
        flows: vec![OAuthFlow::ClientCredentials],
        scopes: Vec::new(),
        ..ClientConfig::default()
    }
}

fn demo_user(username: &str, name: &str, password: &str) -> UserConfig {
    UserConfig {
        username: username.to_owned(),
        password: password.to_owned(),
        email: Some(format!("{username}@example.com")),
        attributes: BTreeMap::from([("name".to_owned(), name.to_owned())]),
        ..UserConfig::default()
    }
}

/// The form of the issuer's URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Issuer {
    /// `<public url>/<pool id>`, where clients find the keys.
    #[default]
    Local,
    /// `https://cognito-idp.<region>.amazonaws.com/<pool id>`, for verifiers that accept nothing else. They need the keys
    /// of `<public url>/<pool id>/.well-known/jwks.json` in advance, or a proxy that sends them here.
    Aws,
}

/// How a sign-in by the flow `USER_AUTH` may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstFactor {
    /// A password, in clear or by the Secure Remote Password protocol.
    Password,
    /// A code that is mailed to the verified address.
    EmailOtp,
}

/// An API whose scopes clients can ask for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceServerConfig {
    /// Its identifier, a name or a URL: what stands before the last `/` of a scope.
    pub identifier: String,
    /// Names of its scopes, without the identifier.
    pub scopes: Vec<String>,
}

/// A user who exists from the start, confirmed.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserConfig {
    /// What the user signs in with.
    pub username: String,
    /// The first password.
    pub password: String,
    /// E-mail address, taken as verified; the user can sign in with it too.
    pub email: Option<String>,
    /// Groups, which must be among the pool's.
    pub groups: Vec<String>,
    /// Other attributes: the standard ones (`name`, `given_name`, …) and `custom:…`.
    pub attributes: BTreeMap<String, String>,
}

impl std::fmt::Debug for UserConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserConfig")
            .field("username", &self.username)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

/// Whether sign-in asks for a code from an authenticator app (Cognito's `MfaConfiguration`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mfa {
    /// Never.
    Off,
    /// From those who have set one up.
    #[default]
    Optional,
    /// From everybody: the first sign-in sets one up.
    Required,
}

/// What a new password must contain. The default is Cognito's.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Fewest characters, 6 to 99.
    pub minimum_length: u8,
    /// At least one of `a`–`z`.
    pub require_lowercase: bool,
    /// At least one of `A`–`Z`.
    pub require_uppercase: bool,
    /// At least one of `0`–`9`.
    pub require_numbers: bool,
    /// At least one of Cognito's special characters.
    pub require_symbols: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            minimum_length: 8,
            require_lowercase: true,
            require_uppercase: true,
            require_numbers: true,
            require_symbols: true,
        }
    }
}
