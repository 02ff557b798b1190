//! `config`: what is in effect, and where it comes from.

use serde_json::json;

use crate::{
    arguments::Options,
    error::Error,
    output::{self, Format, dim, fit},
    profile::{ConfigFile, Grant, Profile},
    session,
};

/// Prints the profile in effect, all profiles' names, and the folders.
pub(super) fn show(options: &Options, format: Format) -> Result<(), Error> {
    let profile = Profile::resolve(options)?;
    let (file, state) = (ConfigFile::path()?, session::state_folder()?);
    let names = ConfigFile::load()?.names().join(", ");
    let (sign_in, redirect_uri) = match &profile.grant {
        Grant::AuthorizationCode { redirect_uri } => (
            "user",
            redirect_uri.as_ref().map_or("http://127.0.0.1:<free port>/callback", |uri| uri.as_str()),
        ),
        Grant::ClientCredentials { .. } => ("machine", "-"),
    };
    let issuers = profile.pool.issuers().join(" ");
    let entries = [
        ("profile", profile.name.as_str()),
        ("api_url", profile.api_url.as_str()),
        ("domain", profile.domain.as_str()),
        ("user_pool_id", profile.pool.id()),
        ("issuer", &issuers),
        ("client_id", &profile.client_id),
        ("scopes", &profile.scopes),
        ("sign_in", sign_in),
        ("redirect_uri", redirect_uri),
        ("profiles", &names),
        ("config_file", &file.to_string_lossy()),
        ("state_folder", &state.to_string_lossy()),
    ];
    if format == Format::Json {
        return output::json(&serde_json::Map::from_iter(
            entries.map(|(key, value)| (key.to_owned(), json!(value))),
        ));
    }
    entries.iter().try_for_each(|(key, value)| output::line(&format!("{} {value}", dim(&fit(key, 12)))))
}
