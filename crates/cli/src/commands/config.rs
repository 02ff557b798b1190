//! `config`.

use serde_json::json;

use super::Context;
use crate::{
    error::Error,
    output::{self, Format},
    profile::{ConfigFile, Grant},
    store,
};

impl Context<'_> {
    /// Prints the profile in effect, the names of all profiles, and the paths.
    pub(super) fn config(&self) -> Result<(), Error> {
        let profile = self.profile;
        let (sign_in, redirect_uri) = match &profile.grant {
            Grant::AuthorizationCode { redirect_uri: Some(uri) } => ("user", uri.as_str()),
            Grant::AuthorizationCode { redirect_uri: None } => {
                ("user", "http://127.0.0.1:<free port>/callback")
            }
            Grant::ClientCredentials { .. } => ("machine", "-"),
        };
        let entries = [
            ("profile", profile.name.clone()),
            ("api_url", profile.api_url.to_string()),
            ("domain", profile.domain.to_string()),
            ("user_pool_id", profile.pool.id().to_owned()),
            ("issuer", profile.pool.issuers().join(" ")),
            ("client_id", profile.client_id.clone()),
            ("scopes", profile.scopes.clone().unwrap_or_else(|| "all".to_owned())),
            ("sign_in", sign_in.to_owned()),
            ("redirect_uri", redirect_uri.to_owned()),
            ("profiles", ConfigFile::load()?.names()),
            ("config_file", ConfigFile::path()?.display().to_string()),
            ("state_folder", store::state_folder()?.display().to_string()),
        ];
        if self.format != Format::Json {
            return output::fields(12, &entries);
        }
        output::json(&serde_json::Map::from_iter(entries.map(|(key, value)| (key.to_owned(), json!(value)))))
    }
}
