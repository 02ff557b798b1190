//! Profiles: which API, which user pool, and how to sign in there.
//!
//! A setting comes from its flag, else from its environment variable, else from the profile in `config.toml`, else from
//! the profile that is built in: `local` (the default) and `local-machine` fit the stack of `cargo run`.

mod settings;

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use cognito_auth::UserPool;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use self::settings::{LOCAL, LOCAL_MACHINE, built_in};
pub(crate) use self::settings::{Settings, SignIn, TokenStore};
use crate::{arguments::Options, error::Error, http::is_loopback};

/// The one setting that is read from the environment alone: a flag would show in the list of processes, and files get
/// committed.
const SECRET_VARIABLE: &str = "ITEMS_CLIENT_SECRET";

const USER_SCOPES: &str = "openid email profile items/read items/write";
const MACHINE_SCOPES: &str = "items/read items/write";

/// A profile that is complete and valid.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) api_url: Url,
    pub(crate) domain: Url,
    pub(crate) pool: UserPool,
    pub(crate) client_id: String,
    pub(crate) scopes: String,
    pub(crate) grant: Grant,
    pub(crate) token_store: TokenStore,
    pub(crate) verbose: bool,
    is_default: bool,
}

/// How tokens are got.
#[derive(Debug)]
pub(crate) enum Grant {
    /// Authorization code with PKCE; without a redirect URI, any free port of 127.0.0.1 will do.
    AuthorizationCode { redirect_uri: Option<Url> },
    /// Client credentials (RFC 6749 §4.4). The secret is missing until it is needed.
    ClientCredentials { secret: Option<SecretString> },
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    default_profile: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Settings>,
}

impl ConfigFile {
    /// Where it is looked for.
    pub(crate) fn path() -> Result<PathBuf, Error> {
        let folder = dirs::config_dir()
            .ok_or_else(|| Error::Usage("set HOME: there is no folder to configure in".into()))?;
        Ok(folder.join("items").join("config.toml"))
    }

    /// The file's content; an empty one if there is none.
    pub(crate) fn load() -> Result<Self, Error> {
        let path = Self::path()?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io(format!("{} cannot be read", path.display()))(error)),
        };
        let file: Self = toml::from_str(&text).map_err(|error| {
            Error::Usage(format!("mend {}: {}", path.display(), error.to_string().trim_end()))
        })?;
        match file.profiles.keys().find(|name| !is_name(name)) {
            Some(name) => Err(Error::Usage(format!("mend {}: {}", path.display(), name_rule(name)))),
            None => Ok(file),
        }
    }

    /// The names of all profiles, those built in included.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
        names.extend([LOCAL, LOCAL_MACHINE]);
        names.sort_unstable();
        names.dedup();
        names
    }

    fn settings(&self, name: &str) -> Option<Settings> {
        let configured = self.profiles.get(name).cloned();
        match (configured, built_in(name)) {
            (Some(settings), Some(fallback)) => Some(settings.or(fallback)),
            (settings, fallback) => settings.or(fallback),
        }
    }
}

impl Profile {
    /// The profile that the command line, the environment and the file describe together.
    pub(crate) fn resolve(options: &Options) -> Result<Self, Error> {
        let file = ConfigFile::load()?;
        let default = file.default_profile.as_deref().unwrap_or(LOCAL);
        let name = options.profile.as_deref().unwrap_or(default);
        let known = file.settings(name).ok_or_else(|| {
            let names = file.names().join(", ");
            Error::Usage(format!(
                "there is no profile `{name}`: use one of {names}, or add it to the configuration file"
            ))
        })?;
        let settings = options.settings.clone().or(known);
        let profile = Self::build(name, settings, options.verbose)?;
        Ok(Self { is_default: name == default, ..profile })
    }

    /// What to type to sign in here.
    pub(crate) fn login_command(&self) -> String {
        match (&self.grant, self.is_default) {
            (Grant::ClientCredentials { .. }, _) => format!("export {SECRET_VARIABLE}=…"),
            (_, true) => "items login".to_owned(),
            (_, false) => format!("items login --profile {}", self.name),
        }
    }

    /// The issuer as sessions remember it.
    pub(crate) fn issuer(&self) -> String {
        self.pool.issuers().into_iter().next().unwrap_or_default()
    }

    fn build(name: &str, settings: Settings, verbose: bool) -> Result<Self, Error> {
        let missing = settings.missing();
        let (Some(api_url), Some(domain), Some(pool_id), Some(client_id)) =
            (settings.api_url, settings.domain, settings.user_pool_id, settings.client_id)
        else {
            let path = ConfigFile::path()?;
            let keys = missing.join(", ");
            return Err(Error::Usage(format!(
                "the profile `{name}` lacks {keys}: add them to {}",
                path.display()
            )));
        };
        let grant = match settings.sign_in.unwrap_or(SignIn::User) {
            SignIn::User => {
                Grant::AuthorizationCode { redirect_uri: settings.redirect_uri.map(loopback).transpose()? }
            }
            SignIn::Machine => Grant::ClientCredentials { secret: secret() },
        };
        Ok(Self {
            name: name.to_owned(),
            api_url: base_url("api_url", api_url)?,
            domain: base_url("domain", domain)?,
            pool: user_pool(&pool_id, settings.issuer.as_deref())?,
            client_id,
            scopes: scopes(&grant, settings.scopes)?,
            grant,
            token_store: settings.token_store.unwrap_or_default(),
            verbose,
            is_default: false,
        })
    }
}

fn secret() -> Option<SecretString> {
    std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty()).map(SecretString::from)
}

/// A name ends up in the names of files and of keyring entries.
fn is_name(name: &str) -> bool {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_plain && (1..=64).contains(&name.len()) && !name.starts_with('.')
}

fn name_rule(name: &str) -> String {
    format!("`{}` cannot name a profile: use 1 to 64 letters, digits, `-`, `_` and `.`", name.escape_debug())
}

/// Tokens travel to these URLs, so the transport must be authentic: https, or http within this machine.
fn base_url(key: &str, url: Url) -> Result<Url, Error> {
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_secure && is_plain {
        return Ok(url);
    }
    Err(Error::Usage(format!(
        "{key} must be a plain https URL (http for this machine only): mend the profile or the flag"
    )))
}

fn loopback(url: Url) -> Result<Url, Error> {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http"
        && is_local
        && url.port().is_some()
        && url.query().is_none()
        && url.fragment().is_none()
    {
        return Ok(url);
    }
    Err(Error::Usage(
        "redirect_uri must look like http://localhost:53682/callback: mend the profile or the flag".into(),
    ))
}

fn user_pool(id: &str, issuer: Option<&str>) -> Result<UserPool, Error> {
    let pool = UserPool::new(id).and_then(|pool| match issuer {
        Some(issuer) => pool.with_issuer(issuer),
        None => Ok(pool),
    });
    pool.map_err(|error| Error::Usage(format!("mend the profile: {error}")))
}

fn scopes(grant: &Grant, configured: Option<String>) -> Result<String, Error> {
    match grant {
        Grant::ClientCredentials { .. } => Ok(configured.unwrap_or_else(|| MACHINE_SCOPES.to_owned())),
        Grant::AuthorizationCode { .. } => {
            let scopes = configured.unwrap_or_else(|| USER_SCOPES.to_owned());
            if scopes.split(' ').any(|scope| scope == "openid") {
                return Ok(scopes);
            }
            Err(Error::Usage("scopes must contain `openid`, or nobody can tell who signed in: add it".into()))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A profile whose servers nobody reaches.
    pub(crate) fn unreachable_profile() -> Profile {
        let nowhere = || Url::parse("http://localhost:1").ok();
        let settings = Settings {
            api_url: nowhere(),
            domain: nowhere(),
            token_store: Some(TokenStore::File),
            ..local()
        };
        Profile::build("local", settings, false).unwrap()
    }

    fn local() -> Settings {
        built_in(LOCAL).unwrap()
    }

    #[test]
    fn the_built_in_profiles_are_complete() {
        for name in [LOCAL, LOCAL_MACHINE] {
            assert!(Profile::build(name, built_in(name).unwrap(), false).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_file_adds_to_a_built_in_profile_and_flags_win() {
        let file: ConfigFile =
            toml::from_str("profiles.local.scopes = 'openid'\nprofiles.x.client_id = 'c'").unwrap();
        let settings = file.settings("local").unwrap();
        assert_eq!(
            (settings.scopes.as_deref(), settings.client_id.as_deref()),
            (Some("openid"), Some("localweb"))
        );
        let flags = Settings { client_id: Some("flag".into()), ..Settings::default() };
        assert_eq!(flags.or(settings).client_id.as_deref(), Some("flag"));
        assert_eq!(file.settings("x").unwrap().missing(), ["api_url", "domain", "user_pool_id"]);
        assert!(file.settings("y").is_none());
        assert_eq!(file.names(), ["local", "local-machine", "x"]);
    }

    #[test]
    fn unknown_keys_and_secrets_in_the_file_are_refused() {
        assert!(toml::from_str::<ConfigFile>("profiles.x.client_secret = 's'").is_err());
        assert!(toml::from_str::<ConfigFile>("profile = 'x'").is_err());
    }

    #[test]
    fn tokens_do_not_travel_in_the_clear() {
        for url in [
            "http://api.example.com",
            "http://localhost.example.com",
            "https://u:p@a.example",
            "ftp://a.example",
        ] {
            let settings = Settings { api_url: Some(url.parse().unwrap()), ..local() };
            assert!(Profile::build("x", settings, false).is_err(), "{url}");
        }
        for url in ["https://api.example.com/v1", "http://127.0.0.1:8000", "http://[::1]:8000"] {
            let settings = Settings { api_url: Some(url.parse().unwrap()), ..local() };
            assert!(Profile::build("x", settings, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_redirect_uri_is_on_this_machine_and_has_a_port() {
        let build = |uri: &str| {
            let settings = Settings { redirect_uri: Some(uri.parse().unwrap()), ..local() };
            Profile::build("x", settings, false).is_ok()
        };
        assert!(build("http://localhost:53682/callback"));
        assert!(!build("http://localhost/callback"));
        assert!(!build("https://localhost:53682/callback"));
        assert!(!build("http://example.com:53682/callback"));
    }

    #[test]
    fn a_user_signs_in_with_openid() {
        let settings = Settings { scopes: Some("email items/read".into()), ..local() };
        assert!(Profile::build("x", settings, false).is_err());
    }

    #[test]
    fn names_fit_into_file_names() {
        assert!(is_name("prod-eu_1.a"));
        for name in ["", ".", "..", "a/b", "a b", "ü", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
