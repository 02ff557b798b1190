//! The settings of a profile, and the configuration file that names them.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Error;

/// The profiles `local` and `local-machine`.
const BUILT_IN: &str = include_str!("local.toml");

/// What can be set, by flag, variable or file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Base URL of the API
    #[arg(long, global = true, env = "ITEMS_API_URL", value_name = "URL", hide_short_help = true)]
    pub(crate) api_url: Option<Url>,
    /// Base URL of the user pool's hosted UI
    #[arg(long, global = true, env = "ITEMS_DOMAIN", value_name = "URL", hide_short_help = true)]
    pub(crate) domain: Option<Url>,
    /// ID of the user pool
    #[arg(long, global = true, env = "ITEMS_USER_POOL_ID", value_name = "ID", hide_short_help = true)]
    pub(crate) user_pool_id: Option<String>,
    /// Issuer of the tokens, if it is not the pool's issuer at Cognito
    #[arg(long, global = true, env = "ITEMS_ISSUER", value_name = "URL", hide_short_help = true)]
    pub(crate) issuer: Option<String>,
    /// ID of the app client
    #[arg(long, global = true, env = "ITEMS_CLIENT_ID", value_name = "ID", hide_short_help = true)]
    pub(crate) client_id: Option<String>,
    /// Scopes to request, separated by spaces [default: openid, email, profile and all scopes of the API]
    #[arg(long, global = true, env = "ITEMS_SCOPES", value_name = "SCOPES", hide_short_help = true)]
    pub(crate) scopes: Option<String>,
    /// Callback URL, if the pool does not accept any free port of 127.0.0.1
    #[arg(long, global = true, env = "ITEMS_REDIRECT_URI", value_name = "URL", hide_short_help = true)]
    pub(crate) redirect_uri: Option<Url>,
    /// How to sign in: as a user in the browser, or as a machine with client credentials
    #[arg(long, global = true, env = "ITEMS_SIGN_IN", value_name = "KIND", hide_short_help = true)]
    pub(crate) sign_in: Option<SignIn>,
    /// Where the tokens are stored
    #[arg(long, global = true, env = "ITEMS_TOKEN_STORE", value_name = "WHERE", hide_short_help = true)]
    pub(crate) token_store: Option<TokenStore>,
}

/// How to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignIn {
    /// A user, in the hosted UI
    User,
    /// A machine, with the secret in `ITEMS_CLIENT_SECRET`
    Machine,
}

/// Where the tokens are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenStore {
    /// In the keyring if there is one, else in a file
    #[default]
    Auto,
    /// In the keyring only
    Keyring,
    /// In a file that only its owner can read
    File,
}

impl Settings {
    /// Returns these settings, and the others where one is missing.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            api_url: self.api_url.or(others.api_url),
            domain: self.domain.or(others.domain),
            user_pool_id: self.user_pool_id.or(others.user_pool_id),
            issuer: self.issuer.or(others.issuer),
            client_id: self.client_id.or(others.client_id),
            scopes: self.scopes.or(others.scopes),
            redirect_uri: self.redirect_uri.or(others.redirect_uri),
            sign_in: self.sign_in.or(others.sign_in),
            token_store: self.token_store.or(others.token_store),
        }
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    pub(super) default_profile: Option<String>,
    #[serde(default)]
    pub(super) profiles: BTreeMap<String, Settings>,
}

impl ConfigFile {
    pub(crate) fn path() -> Result<PathBuf, Error> {
        let folder = dirs::config_dir();
        let folder = folder.ok_or_else(|| Error::usage("the home folder is unknown", "Set HOME."))?;
        Ok(folder.join("items").join("config.toml"))
    }

    /// Reads the file, if there is one, and adds the built-in profiles.
    pub(crate) fn load() -> Result<Self, Error> {
        let path = Self::path()?;
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(Error::io(format!("cannot read {}", path.display())))?,
        };
        Self::parse(&text).map_err(|error| {
            let error = error.to_string();
            Error::usage(format!("invalid configuration file {}: {}", path.display(), error.trim_end()), "")
        })
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let mut file: Self = toml::from_str(text)?;
        if let Some(name) = file.profiles.keys().find(|name| !is_name(name)) {
            let name = name.escape_debug();
            let rule = "a profile's name has 1 to 64 letters, digits, `-`, `_` and `.`";
            return Err(format!("`{name}` is not a name: {rule}").into());
        }
        let built_in: Self = toml::from_str(BUILT_IN)?;
        for (name, settings) in built_in.profiles {
            let configured = file.profiles.remove(&name).unwrap_or_default();
            file.profiles.insert(name, configured.or(settings));
        }
        Ok(file)
    }

    /// Returns the names of all profiles, including the built-in ones.
    pub(crate) fn names(&self) -> String {
        self.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// A profile's name is used in file names and as the name of its keyring entry.
fn is_name(name: &str) -> bool {
    let is_plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_plain && (1..=64).contains(&name.len()) && !name.starts_with('.')
}
