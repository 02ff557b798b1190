//! `login`, `logout`, `whoami`, `token`.

use serde_json::{Value, json};

use super::Context;
use crate::{
    arguments::Login,
    error::Error,
    identity,
    output::{self, Format, plain},
    sign_in::sign_in,
};

impl Context<'_> {
    pub(super) async fn login(&self, options: &Login) -> Result<(), Error> {
        let prompt = options.reauthenticate.then_some("login");
        let (user, location) = sign_in(self.profile, self.tokens, !options.no_browser, prompt).await?;
        let (name, sub) = (user.name(), user.sub);
        let profile = &self.profile.name;
        self.format.print(
            &json!({ "username": name, "sub": sub, "profile": profile, "tokens_in": location }),
            &format!("Signed in as {name}."),
        )
    }

    pub(super) async fn logout(&self) -> Result<(), Error> {
        let is_revoked = self.tokens.end().await?;
        let text = if is_revoked { "Signed out." } else { "Not signed in." };
        self.format.print(&json!({ "revoked": is_revoked }), text)
    }

    /// Prints an access token and nothing else.
    pub(super) async fn token(&self) -> Result<(), Error> {
        let session = self.tokens.current().await?;
        let token = &session.access_token;
        self.format.print(
            &json!({ "access_token": token, "token_type": "Bearer", "expires_in": session.expires_in() }),
            token.expose(),
        )
    }

    pub(super) async fn whoami(&self) -> Result<(), Error> {
        let mut caller = self.api.current_user().await?;
        // After the request, which may have refreshed the ID token.
        let user = identity::verify_stored(self.profile, &self.tokens.current().await?).await?;
        caller["email"] = json!(user.and_then(|user| user.email));
        caller["profile"] = json!(self.profile.name);
        caller["api_url"] = json!(self.profile.api_url);
        if self.format == Format::Json { output::json(&caller) } else { print_caller(&caller) }
    }
}

fn print_caller(caller: &Value) -> Result<(), Error> {
    let text = |name: &str| caller[name].as_str().unwrap_or("-").to_owned();
    let list = |name: &str| {
        let entries: Vec<_> =
            caller[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if entries.is_empty() { "-".to_owned() } else { entries.join(" ") }
    };
    let name = if caller["kind"] == "machine" { text("client_id") } else { text("username") };
    let email = caller["email"].as_str().map(|email| format!(" <{}>", plain(email))).unwrap_or_default();
    output::line(&format!("{}{email}", output::bold(&plain(&name))))?;
    output::fields(
        12,
        &[
            ("kind", text("kind")),
            ("groups", list("groups")),
            ("scopes", list("scopes")),
            ("user pool", text("user_pool_id")),
            ("sub", text("sub")),
            ("profile", format!("{} ({})", text("profile"), text("api_url"))),
            ("token until", text("expires_at")),
        ],
    )
}
