//! Validation of the configuration.

use std::collections::BTreeSet;
use std::fmt;

use super::{
    ClientConfig, ClientSecret, OAuthFlow, PoolConfig, ResourceServerConfig, TokenLifetimes, UserConfig,
};
use crate::redirect::RegisteredUrl;

/// Scopes that every pool has (Cognito Developer Guide, "Scopes, M2M, and resource servers").
const RESERVED_SCOPES: [&str; 5] = ["openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"];

/// A value of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    pub(crate) key: Key,
    problem: String,
}

impl ConfigError {
    fn new(key: Key, problem: impl Into<String>) -> Self {
        Self { key, problem: problem.into() }
    }

    /// What is wrong, without the key.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// Where in the configuration, as `clients[0].callback_urls[1]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key(pub(crate) Vec<KeyPart>);

#[derive(Clone, Debug)]
pub(crate) enum KeyPart {
    Name(&'static str),
    Index(usize),
}

impl Key {
    pub(crate) fn name(&self, name: &'static str) -> Self {
        self.with(KeyPart::Name(name))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(KeyPart::Index(index))
    }

    fn with(&self, part: KeyPart) -> Self {
        Self(self.0.iter().cloned().chain([part]).collect())
    }

    fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.clone(), problem)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.0.iter().enumerate() {
            match part {
                KeyPart::Name(name) if position == 0 => f.write_str(name)?,
                KeyPart::Name(name) => write!(f, ".{name}")?,
                KeyPart::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl PoolConfig {
    /// Checks what the types cannot: formats, ranges, and that every name that is used exists.
    ///
    /// # Errors
    /// [`ConfigError`] names the first value that is wrong, and how to fix it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let root = Key::default();
        check_pool_id(&self.pool_id, &root.name("pool_id"))?;
        check_each(&self.resource_servers, &root.name("resource_servers"), check_resource_server)?;
        check_each(&self.groups, &root.name("groups"), check_group)?;
        let scopes = self.known_scopes();
        check_each(&self.clients, &root.name("clients"), |client, key| check_client(client, &scopes, key))?;
        check_each(&self.users, &root.name("users"), |user, key| check_user(user, self, key))?;
        check_unique(self.clients.iter().map(|c| c.id.clone()), &root.name("clients"), "id")?;
        check_unique(self.users.iter().map(|u| u.username.to_lowercase()), &root.name("users"), "username")?;
        if !(6..=99).contains(&self.password_policy.minimum_length) {
            return Err(root.name("password_policy").name("minimum_length").error("must be 6 to 99"));
        }
        Ok(())
    }

    fn known_scopes(&self) -> BTreeSet<String> {
        let custom = self
            .resource_servers
            .iter()
            .flat_map(|server| server.scopes.iter().map(|scope| format!("{}/{scope}", server.identifier)));
        RESERVED_SCOPES.into_iter().map(str::to_owned).chain(custom).collect()
    }
}

fn check_each<T>(
    values: &[T],
    key: &Key,
    check: impl Fn(&T, &Key) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    values.iter().enumerate().try_for_each(|(index, value)| check(value, &key.index(index)))
}

fn check_unique(
    names: impl Iterator<Item = String>,
    key: &Key,
    member: &'static str,
) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name.clone()) {
            return Err(key.index(index).name(member).error(format!("`{name}` occurs twice")));
        }
    }
    Ok(())
}

/// `[\w-]+_[0-9a-zA-Z]+`, at most 55 characters (Cognito API Reference, `UserPoolId`).
fn check_pool_id(id: &str, key: &Key) -> Result<(), ConfigError> {
    let good = id.len() <= 55
        && id.rsplit_once('_').is_some_and(|(region, name)| {
            !region.is_empty()
                && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric())
        });
    if good { Ok(()) } else { Err(key.error(format!("`{id}` is not `<region>_<letters and digits>`"))) }
}

fn check_resource_server(server: &ResourceServerConfig, key: &Key) -> Result<(), ConfigError> {
    // The characters of a scope-token (RFC 6749, section 3.3), which are also Cognito's.
    let token = |text: &str| {
        (1..=256).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
    };
    if !token(&server.identifier) {
        return Err(key.name("identifier").error("must be 1 to 256 characters without spaces or quotes"));
    }
    check_each(&server.scopes, &key.name("scopes"), |scope, key| {
        if token(scope) && !scope.contains('/') {
            return Ok(());
        }
        Err(key.error(format!("`{scope}` must be 1 to 256 characters without spaces, quotes or `/`")))
    })
}

/// Cognito API Reference, `GroupName`: 1 to 128 characters, none of them white space.
fn check_group(group: &String, key: &Key) -> Result<(), ConfigError> {
    let good = (1..=128).contains(&group.chars().count())
        && !group.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        Ok(())
    } else {
        Err(key.error(format!("`{group}` must be 1 to 128 characters without spaces")))
    }
}

fn check_client(client: &ClientConfig, scopes: &BTreeSet<String>, key: &Key) -> Result<(), ConfigError> {
    let id = &client.id;
    // `[\w+]+`, at most 128 (Cognito API Reference, `ClientId`).
    let good = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'+');
    if !good || !(1..=128).contains(&id.len()) {
        return Err(key.name("id").error(format!("`{id}` must be 1 to 128 letters, digits, `_` or `+`")));
    }
    if matches!(&client.secret, ClientSecret::Fixed(secret) if secret.is_empty()) {
        return Err(key.name("secret").error("must not be empty"));
    }
    let previous_is_usable = match (&client.previous_secret, &client.secret) {
        (ClientSecret::None, _) => true,
        (ClientSecret::Fixed(previous), secret) => {
            !previous.is_empty() && !matches!(secret, ClientSecret::None)
        }
        (ClientSecret::Generated, _) => false,
    };
    if !previous_is_usable {
        let problem = "must be `{ fixed = \"…\" }` beside a secret, and must not be empty";
        return Err(key.name("previous_secret").error(problem));
    }
    if matches!(client.secret, ClientSecret::None) && client.flows.contains(&OAuthFlow::ClientCredentials) {
        return Err(key.name("flows").error("`client_credentials` needs a client with a secret"));
    }
    registered_urls(&client.callback_urls, &key.name("callback_urls"))?;
    registered_urls(&client.logout_urls, &key.name("logout_urls"))?;
    if client.flows.contains(&OAuthFlow::Code) && client.callback_urls.is_empty() {
        return Err(key.name("callback_urls").error("a client with flow `code` needs at least one"));
    }
    if client.scopes.is_empty() {
        return Err(key.name("scopes").error("a client needs at least one"));
    }
    check_each(&client.scopes, &key.name("scopes"), |scope, key| {
        if scopes.contains(scope) {
            return Ok(());
        }
        Err(key.error(format!("`{scope}` is not a scope of a resource server of this pool")))
    })?;
    check_lifetimes(&client.lifetimes, &key.name("lifetimes"))?;
    if !(3..=15).contains(&client.auth_session_minutes) {
        return Err(key.name("auth_session_minutes").error("must be 3 to 15"));
    }
    match client.refresh_token_rotation {
        Some(rotation) if rotation.retry_grace_period_seconds > 60 => Err(key
            .name("refresh_token_rotation")
            .name("retry_grace_period_seconds")
            .error("must be 0 to 60")),
        _ => Ok(()),
    }
}

/// The ranges of Cognito ("Using the refresh token", "App clients": token validity).
fn check_lifetimes(lifetimes: &TokenLifetimes, key: &Key) -> Result<(), ConfigError> {
    let day = 24 * 3600;
    let limits = [
        ("access_token_seconds", lifetimes.access_token_seconds, 300, day),
        ("id_token_seconds", lifetimes.id_token_seconds, 300, day),
        ("refresh_token_seconds", lifetimes.refresh_token_seconds, 3600, 3650 * day),
    ];
    for (name, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            return Err(key.name(name).error(format!("must be {least} to {most}")));
        }
    }
    Ok(())
}

fn check_user(user: &UserConfig, pool: &PoolConfig, key: &Key) -> Result<(), ConfigError> {
    if let Some(problem) = username_problem(&user.username) {
        return Err(key.name("username").error(problem));
    }
    if let Some(problem) = pool.password_policy.violations(&user.password).first() {
        return Err(key.name("password").error(*problem));
    }
    if user.email.as_deref().is_some_and(|email| !is_email(email)) {
        return Err(key.name("email").error("is not an e-mail address"));
    }
    check_each(&user.groups, &key.name("groups"), |group, key| {
        if pool.groups.contains(group) {
            return Ok(());
        }
        Err(key.error(format!("`{group}` is not a group of this pool")))
    })?;
    let reserved = user.attributes.keys().find(|name| !is_settable_attribute(name));
    reserved.map_or(Ok(()), |name| Err(key.name("attributes").error(format!("`{name}` cannot be set"))))
}

/// Returns why `username` is invalid (Cognito API Reference, `Username`).
pub(crate) fn username_problem(username: &str) -> Option<&'static str> {
    if username.is_empty() || username.chars().count() > 128 {
        return Some("Username must be 1 to 128 characters");
    }
    if username.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("Username must not contain spaces");
    }
    // Otherwise a username could equal the address of another user and be found instead.
    is_email(username)
        .then_some("Username cannot be of email format, since user pool is configured for email alias")
}

/// One `@` with something on both sides, as far as an address can be judged without sending to it.
pub(crate) fn is_email(text: &str) -> bool {
    text.len() <= 254
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && text.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !local.contains('@')
                && !domain.is_empty()
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        })
}

/// The standard attributes of OpenID Connect that Cognito has, and custom ones; not those that the pool sets itself.
pub(crate) fn is_settable_attribute(name: &str) -> bool {
    const STANDARD: [&str; 16] = [
        "address",
        "birthdate",
        "family_name",
        "gender",
        "given_name",
        "locale",
        "middle_name",
        "name",
        "nickname",
        "phone_number",
        "picture",
        "preferred_username",
        "profile",
        "updated_at",
        "website",
        "zoneinfo",
    ];
    STANDARD.contains(&name) || name.strip_prefix("custom:").is_some_and(|rest| !rest.is_empty())
}

/// Parses URLs, or reports the invalid one.
pub(crate) fn registered_urls(urls: &[String], key: &Key) -> Result<Vec<RegisteredUrl>, ConfigError> {
    let parse = |(index, url): (usize, &String)| {
        RegisteredUrl::parse(url).map_err(|e| key.index(index).error(format!("`{url}` {e}")))
    };
    urls.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(change: impl FnOnce(&mut PoolConfig)) -> String {
        let mut config = PoolConfig::demo(8000);
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn demo_pool_is_valid() {
        PoolConfig::demo(8000).validate().unwrap();
        PoolConfig::default().validate().unwrap();
    }

    #[test]
    fn errors_name_key_and_solution() {
        assert_eq!(
            error_of(|c| c.pool_id = "Pool".into()),
            "pool_id: `Pool` is not `<region>_<letters and digits>`"
        );
        assert_eq!(
            error_of(|c| c.clients[0].scopes.push("items/delete".into())),
            "clients[0].scopes[5]: `items/delete` is not a scope of a resource server of this pool"
        );
        assert_eq!(
            error_of(|c| c.clients[0].callback_urls[1] = "http://example.com/".into()),
            "clients[0].callback_urls[1]: `http://example.com/` must be https, http on a loopback host, or a scheme of \
             the application's own"
        );
        assert_eq!(
            error_of(|c| c.users[1].username = "ALICE".into()),
            "users[1].username: `alice` occurs twice"
        );
        assert_eq!(
            error_of(|c| c.users[1].password = "short".into()),
            "users[1].password: Password not long enough"
        );
        assert_eq!(
            error_of(|c| c.users[1].groups.push("wheel".into())),
            "users[1].groups[0]: `wheel` is not a group of this pool"
        );
        assert_eq!(
            error_of(|c| c.clients[0].lifetimes.access_token_seconds = 299),
            "clients[0].lifetimes.access_token_seconds: must be 300 to 86400"
        );
        assert_eq!(
            error_of(|c| c.clients[0].previous_secret = ClientSecret::Fixed("old".into())),
            "clients[0].previous_secret: must be `{ fixed = \"…\" }` beside a secret, and must not be empty"
        );
        assert_eq!(
            error_of(|c| c.clients[1].secret = ClientSecret::None),
            "clients[1].flows: `client_credentials` needs a client with a secret"
        );
        assert!(error_of(|c| drop(c.users[0].attributes.insert("sub".into(), "x".into()))).contains("`sub`"));
    }

    #[test]
    fn username_must_not_be_an_email_address() {
        assert!(username_problem("alice@example.com").is_some());
        assert!(username_problem("al ice").is_some());
        assert!(username_problem("").is_some());
        assert_eq!(username_problem("älice-1_x"), None);
    }
}
