//! What a profile is made of, and the profiles that are built in.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use url::Url;

/// The profile that is used when none is named.
pub(super) const LOCAL: &str = "local";
pub(super) const LOCAL_MACHINE: &str = "local-machine";

/// What can be set, by flag, variable or file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Base URL of the API
    #[arg(long, global = true, env = "ITEMS_API_URL", value_name = "URL", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_url: Option<Url>,
    /// Base URL of the user pool's hosted UI
    #[arg(long, global = true, env = "ITEMS_DOMAIN", value_name = "URL", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<Url>,
    /// The user pool's id
    #[arg(long, global = true, env = "ITEMS_USER_POOL_ID", value_name = "ID", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_pool_id: Option<String>,
    /// Issuer of the tokens, if it is not Cognito's own for the pool
    #[arg(long, global = true, env = "ITEMS_ISSUER", value_name = "URL", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    /// The app client's id
    #[arg(long, global = true, env = "ITEMS_CLIENT_ID", value_name = "ID", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    /// Scopes to ask for, with spaces between them
    #[arg(long, global = true, env = "ITEMS_SCOPES", value_name = "SCOPES", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<String>,
    /// Callback URL, if the pool does not accept any free port of 127.0.0.1
    #[arg(long, global = true, env = "ITEMS_REDIRECT_URI", value_name = "URL", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect_uri: Option<Url>,
    /// Who signs in: a user with the browser, or a machine with client credentials
    #[arg(long, global = true, env = "ITEMS_SIGN_IN", value_name = "WHO", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<SignIn>,
    /// Where tokens are kept
    #[arg(long, global = true, env = "ITEMS_TOKEN_STORE", value_name = "WHERE", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_store: Option<TokenStore>,
}

/// Who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignIn {
    /// A person, through the hosted UI
    User,
    /// A program, with the secret in `ITEMS_CLIENT_SECRET`
    Machine,
}

/// Where tokens are kept.
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
    /// These settings, and the others where there is none.
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

    pub(super) fn missing(&self) -> Vec<&'static str> {
        let present = [
            ("api_url", self.api_url.is_some()),
            ("domain", self.domain.is_some()),
            ("user_pool_id", self.user_pool_id.is_some()),
            ("client_id", self.client_id.is_some()),
        ];
        present.into_iter().filter(|(_, is_present)| !is_present).map(|(key, _)| key).collect()
    }
}

/// The local stack, as `cargo run` starts it.
pub(super) fn built_in(name: &str) -> Option<Settings> {
    let (client_id, sign_in) = match name {
        LOCAL => ("localweb", SignIn::User),
        LOCAL_MACHINE => ("localmachine", SignIn::Machine),
        _ => return None,
    };
    Some(Settings {
        api_url: Url::parse("http://localhost:8000").ok(),
        domain: Url::parse("http://localhost:9229").ok(),
        user_pool_id: Some("us-east-1_LocalPool".to_owned()),
        issuer: Some("http://localhost:9229/us-east-1_LocalPool".to_owned()),
        client_id: Some(client_id.to_owned()),
        sign_in: Some(sign_in),
        ..Settings::default()
    })
}
