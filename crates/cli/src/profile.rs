//! Profiles: which API, which user pool, and how to sign in there.
//!
//! A setting comes from its flag, else from its environment variable, else from the profile in `config.toml`, else from
//! the built-in profile: `local` (the default) and `local-machine` fit the local stack.

mod settings;

use cognito_auth::UserPool;
use oauth2::ClientSecret;
use url::Url;

use self::settings::SignIn;
pub(crate) use self::settings::{ConfigFile, Settings, TokenStore};
use crate::{error::Error, http::is_loopback};

/// The secret is read from the environment only: a flag would show in the list of processes, and files get committed.
const SECRET_VARIABLE: &str = "ITEMS_CLIENT_SECRET";

const DEFAULT_PROFILE: &str = "local";

const FIX: &str = "Fix the profile or the flag.";

/// A profile that is complete and valid.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) api_url: Url,
    pub(crate) domain: Url,
    pub(crate) pool: UserPool,
    pub(crate) client_id: String,
    /// The scopes to request; if not set, those that the API's metadata names.
    pub(crate) scopes: Option<String>,
    pub(crate) grant: Grant,
    pub(crate) token_store: TokenStore,
    pub(crate) verbose: bool,
    is_default: bool,
}

/// How tokens are obtained.
#[derive(Debug)]
pub(crate) enum Grant {
    /// Authorization code with PKCE; without a redirect URI, with any free port of 127.0.0.1.
    AuthorizationCode { redirect_uri: Option<Url> },
    /// Client credentials (RFC 6749, section 4.4).
    ClientCredentials { secret: Option<ClientSecret> },
}

impl Profile {
    /// Builds the profile from the flags and variables in `given`, and from the configuration file.
    pub(crate) fn resolve(name: Option<&str>, given: Settings, verbose: bool) -> Result<Self, Error> {
        let file = ConfigFile::load()?;
        let default = file.default_profile.as_deref().unwrap_or(DEFAULT_PROFILE);
        let name = name.unwrap_or(default);
        let settings = file.profiles.get(name).ok_or_else(|| {
            let hint = format!("Use one of {}, or add it to the configuration file.", file.names());
            Error::usage(format!("there is no profile `{name}`"), hint)
        })?;
        let profile = Self::build(name, given.or(settings.clone()))?;
        Ok(Self { is_default: name == default, verbose, ..profile })
    }

    /// Returns the command that signs in with this profile.
    pub(crate) fn login_command(&self) -> String {
        match (&self.grant, self.is_default) {
            (Grant::ClientCredentials { .. }, _) => format!("export {SECRET_VARIABLE}=…"),
            (_, true) => "items login".to_owned(),
            (_, false) => format!("items login --profile {}", self.name),
        }
    }

    /// Returns the issuer as sessions store it.
    pub(crate) fn issuer(&self) -> String {
        self.pool.issuers().into_iter().next().unwrap_or_default()
    }

    fn build(name: &str, settings: Settings) -> Result<Self, Error> {
        let require = |key| {
            let path = ConfigFile::path().map(|path| path.display().to_string()).unwrap_or_default();
            move || Error::usage(format!("the profile `{name}` lacks {key}"), format!("Add it to {path}."))
        };
        let grant = match settings.sign_in.unwrap_or(SignIn::User) {
            SignIn::User => {
                Grant::AuthorizationCode { redirect_uri: settings.redirect_uri.map(loopback).transpose()? }
            }
            SignIn::Machine => Grant::ClientCredentials { secret: secret() },
        };
        let pool_id = settings.user_pool_id.ok_or_else(require("user_pool_id"))?;
        Ok(Self {
            name: name.to_owned(),
            api_url: base_url("api_url", settings.api_url.ok_or_else(require("api_url"))?)?,
            domain: base_url("domain", settings.domain.ok_or_else(require("domain"))?)?,
            pool: user_pool(&pool_id, settings.issuer.as_deref())?,
            client_id: settings.client_id.ok_or_else(require("client_id"))?,
            scopes: settings.scopes.map(|scopes| check_scopes(&grant, scopes)).transpose()?,
            grant,
            token_store: settings.token_store.unwrap_or_default(),
            verbose: false,
            is_default: false,
        })
    }
}

fn secret() -> Option<ClientSecret> {
    std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty()).map(ClientSecret::new)
}

/// Tokens are sent to these URLs, so the transport must be authentic: https, or http within this machine.
fn base_url(key: &str, url: Url) -> Result<Url, Error> {
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    let is_plain = url.username().is_empty() && url.password().is_none() && has_path_only(&url);
    if is_secure && is_plain {
        return Ok(url);
    }
    Err(Error::usage(format!("{key} must be a plain https URL (http for this machine only)"), FIX))
}

fn loopback(url: Url) -> Result<Url, Error> {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && is_local && url.port().is_some() && has_path_only(&url) {
        return Ok(url);
    }
    Err(Error::usage("redirect_uri must have the form http://localhost:53682/callback", FIX))
}

fn has_path_only(url: &Url) -> bool {
    url.query().is_none() && url.fragment().is_none()
}

fn user_pool(id: &str, issuer: Option<&str>) -> Result<UserPool, Error> {
    let pool = UserPool::new(id).and_then(|pool| match issuer {
        Some(issuer) => pool.with_issuer(issuer),
        None => Ok(pool),
    });
    pool.map_err(|error| Error::usage("invalid user pool", FIX).with_source(error))
}

fn check_scopes(grant: &Grant, scopes: String) -> Result<String, Error> {
    let is_user = matches!(grant, Grant::AuthorizationCode { .. });
    if is_user && !scopes.split(' ').any(|scope| scope == "openid") {
        return Err(Error::usage("scopes must contain `openid`, which requests the ID token", FIX));
    }
    Ok(scopes)
}
