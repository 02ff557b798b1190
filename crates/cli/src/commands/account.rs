//! `login`, `logout`, `whoami`, `token`.

use serde_json::{Value, json};

use super::Context;
use crate::{
    access::{AccessTokens, SignedOut},
    arguments::Login,
    error::Error,
    identity::{self, User},
    oauth::{self, SignedIn, UserPoolClient},
    output::{self, Format, plain},
    profile::Grant,
};

/// Prints an access token and nothing else.
pub(super) async fn token(tokens: &AccessTokens<'_>, format: Format) -> Result<(), Error> {
    let session = tokens.current().await?;
    match format {
        Format::Json => output::json(&json!({
            "access_token": session.access_token,
            "token_type": "Bearer",
            "expires_in": session.expires_in(),
        })),
        Format::Terminal | Format::Plain => output::line(session.access_token.expose()),
    }
}

impl Context<'_> {
    pub(super) async fn login(&self, options: &Login) -> Result<(), Error> {
        if matches!(self.profile.grant, Grant::ClientCredentials { .. }) {
            let login = self.profile.login_command();
            return Err(Error::Usage(format!(
                "a machine's profile signs in by itself: `{login}` and run any command"
            )));
        }
        let pool = UserPoolClient::new(self.profile)?;
        let keep = async |signed_in: SignedIn| {
            let name = name(&signed_in.user);
            let sub = signed_in.user.sub.clone();
            Ok((name, sub, self.tokens.start(signed_in).await?))
        };
        let (name, sub, protection) = oauth::sign_in(&pool, options, keep).await?;
        match self.format {
            Format::Json => output::json(&json!({
                "username": name, "sub": sub, "profile": self.profile.name, "tokens_in": protection,
            })),
            Format::Terminal | Format::Plain => output::line(&format!("Signed in as {name}.")),
        }
    }

    pub(super) async fn logout(&self) -> Result<(), Error> {
        let outcome = self.tokens.end().await?;
        match (self.format, outcome) {
            (Format::Json, outcome) => output::json(&json!({ "revoked": outcome == SignedOut::Revoked })),
            (_, SignedOut::Revoked) => output::line("Signed out."),
            (_, SignedOut::NothingToRevoke) => output::line("Nobody was signed in."),
        }
    }

    pub(super) async fn whoami(&self) -> Result<(), Error> {
        let caller = self.api.current_user().await?;
        // After the request, which may have refreshed the ID token.
        let user = identity::verify_stored(self.profile, &self.tokens.current().await?).await?;
        if user.as_ref().is_some_and(|user| caller["sub"] != user.sub.as_str()) {
            return Err(Error::OtherPerson { login: self.profile.login_command() });
        }
        let email = user.and_then(|user| user.email);
        match self.format {
            Format::Json => {
                let mut whoami = caller;
                whoami["email"] = json!(email);
                whoami["profile"] = json!(self.profile.name);
                whoami["api_url"] = json!(self.profile.api_url);
                output::json(&whoami)
            }
            Format::Terminal | Format::Plain => self.print_caller(&caller, email.as_deref()),
        }
    }

    fn print_caller(&self, caller: &Value, email: Option<&str>) -> Result<(), Error> {
        let text = |name: &str| plain(caller[name].as_str().unwrap_or("-"));
        let list = |name: &str| {
            let entries: Vec<_> =
                caller[name].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if entries.is_empty() { "-".to_owned() } else { plain(&entries.join(" ")) }
        };
        let is_machine = caller["kind"] == "machine";
        let name = if is_machine { text("client_id") } else { text("username") };
        let email = email.map(|email| format!(" <{}>", plain(email))).unwrap_or_default();
        output::line(&format!("{}{email}", output::bold(&name)))?;
        let profile = format!("{} ({})", self.profile.name, self.profile.api_url);
        for (label, value) in [
            ("kind", text("kind")),
            ("groups", list("groups")),
            ("scopes", list("scopes")),
            ("user pool", text("user_pool_id")),
            ("sub", text("sub")),
            ("profile", profile),
            ("token until", text("expires_at")),
        ] {
            output::line(&format!("{} {value}", output::dim(&output::fit(label, 12))))?;
        }
        Ok(())
    }
}

fn name(user: &User) -> String {
    plain(user.username.as_deref().or(user.email.as_deref()).unwrap_or(&user.sub))
}
