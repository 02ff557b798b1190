//! The clients and settings of the pool, from the validated configuration.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::config::validation::{ConfigError, Key, registered_urls};
use crate::config::{
    AuthFlow, ClientConfig, ClientSecret, FirstFactor, Mfa, OAuthFlow, PasswordPolicy, PoolConfig,
    RefreshTokenRotation, TokenLifetimes,
};
use crate::redirect::{Destination, RegisteredUrl};
use crate::secret::secrets_match;

pub(crate) struct Directory {
    clients: HashMap<String, Arc<Client>>,
    pub(crate) mfa: Mfa,
    pub(crate) self_sign_up: bool,
    pub(crate) password_policy: PasswordPolicy,
    pub(crate) first_factors: Vec<FirstFactor>,
    /// The origins of the clients' callback URLs.
    web_origins: BTreeSet<String>,
    /// The resources that a token can be bound to; `None` stands for all.
    resources: Option<Vec<String>>,
}

pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) secret: Option<SecretString>,
    previous_secret: Option<SecretString>,
    /// What the pool says of the client.
    pub(crate) config: ClientConfig,
    flows: Vec<OAuthFlow>,
    callback_urls: Vec<RegisteredUrl>,
    logout_urls: Vec<RegisteredUrl>,
    scopes: Vec<String>,
    pub(crate) lifetimes: TokenLifetimes,
    pub(crate) rotation: Option<RefreshTokenRotation>,
    auth_flows: Vec<AuthFlow>,
    pub(crate) auth_session_seconds: i64,
    pub(crate) hides_existence: bool,
}

fn web_origins(clients: &[ClientConfig]) -> BTreeSet<String> {
    let urls = clients.iter().flat_map(|client| &client.callback_urls);
    let origins = urls.filter_map(|url| url::Url::parse(url).ok()).map(|url| url.origin());
    origins.filter(url::Origin::is_tuple).map(|origin| origin.ascii_serialization()).collect()
}

impl Directory {
    /// `kept_secret` gives the secret of a client whose secret was generated.
    pub(crate) fn parse<E: From<ConfigError>>(
        config: &PoolConfig,
        mut kept_secret: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Self, E> {
        config.validate()?;
        let mut clients = HashMap::new();
        for (index, client) in config.clients.iter().enumerate() {
            let key = Key::default().name("clients").index(index);
            let secret = match &client.secret {
                ClientSecret::None => None,
                ClientSecret::Fixed(secret) => Some(secret.clone().into()),
                ClientSecret::Generated => Some(kept_secret(&client.id)?.into()),
            };
            let mut parsed = Client::parse(client, secret, &key)?;
            if config.strict {
                parsed.callback_urls.iter_mut().for_each(RegisteredUrl::require_port);
            }
            clients.insert(client.id.clone(), Arc::new(parsed));
        }
        Ok(Self {
            clients,
            mfa: config.mfa,
            self_sign_up: config.self_sign_up,
            password_policy: config.password_policy.clone(),
            first_factors: config.first_factors.clone(),
            web_origins: web_origins(&config.clients),
            resources: config
                .strict
                .then(|| config.resource_servers.iter().map(|server| server.identifier.clone()).collect()),
        })
    }

    /// Whether a page of this origin may call the API: its host is this machine, or a client has a callback URL there.
    pub(crate) fn is_origin_of_application(&self, origin: &str) -> bool {
        let host = url::Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
        let host = host.unwrap_or_default();
        let this_machine =
            matches!(&*host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost");
        this_machine || self.web_origins.contains(origin)
    }

    /// Whether a token can be bound to this resource.
    pub(crate) fn has_resource(&self, resource: &str) -> bool {
        self.resources.as_ref().is_none_or(|known| known.iter().any(|known| known == resource))
    }

    /// Whether the pool accepts no more than Cognito.
    pub(crate) fn is_strict(&self) -> bool {
        self.resources.is_some()
    }

    pub(crate) fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.clients.get(id)
    }

    /// In the order of their ids.
    pub(crate) fn clients(&self) -> Vec<&Arc<Client>> {
        let mut clients: Vec<_> = self.clients.values().collect();
        clients.sort_by(|a, b| a.id.cmp(&b.id));
        clients
    }
}

impl Client {
    fn parse(config: &ClientConfig, secret: Option<SecretString>, key: &Key) -> Result<Self, ConfigError> {
        Ok(Self {
            id: config.id.clone(),
            name: config.name.clone().unwrap_or_else(|| config.id.clone()),
            secret,
            previous_secret: match &config.previous_secret {
                ClientSecret::Fixed(secret) => Some(secret.clone().into()),
                ClientSecret::None | ClientSecret::Generated => None,
            },
            config: config.clone(),
            flows: config.flows.clone(),
            callback_urls: registered_urls(&config.callback_urls, &key.name("callback_urls"))?,
            logout_urls: registered_urls(&config.logout_urls, &key.name("logout_urls"))?,
            scopes: config.scopes.clone(),
            lifetimes: config.lifetimes.clone(),
            rotation: config.refresh_token_rotation,
            auth_flows: config.auth_flows.clone(),
            auth_session_seconds: i64::from(config.auth_session_minutes) * 60,
            hides_existence: config.prevent_user_existence_errors,
        })
    }

    pub(crate) fn is_public(&self) -> bool {
        self.secret.is_none()
    }

    pub(crate) fn allows(&self, flow: OAuthFlow) -> bool {
        self.flows.contains(&flow)
    }

    pub(crate) fn allows_auth(&self, flow: AuthFlow) -> bool {
        let rotates = flow == AuthFlow::RefreshTokenAuth && self.rotation.is_some();
        !rotates && self.auth_flows.contains(&flow)
    }

    /// Where a sign-in ends, when the client registered it.
    pub(crate) fn callback(&self, url: &str) -> Option<Destination> {
        Destination::find(url, &self.callback_urls)
    }

    /// Where a sign-out ends, when the client registered it.
    pub(crate) fn logout(&self, url: &str) -> Option<Destination> {
        Destination::find(url, &self.logout_urls)
    }

    pub(crate) fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether `presented` is the base64 of HMAC-SHA256(secret, username ‖ client ID), which proves the secret.
    pub(crate) fn has_secret_hash(&self, username: &str, presented: &str) -> bool {
        let Ok(presented) = STANDARD.decode(presented) else { return false };
        let message = format!("{username}{}", self.id);
        self.secrets().any(|secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::verify(&key, message.as_bytes(), &presented).is_ok()
        })
    }

    /// Compares digests, so that the time does not reveal the secret or its length.
    pub(crate) fn has_secret(&self, presented: &str) -> bool {
        let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
        self.secrets().any(|secret| secrets_match(digest(secret).as_ref(), digest(presented).as_ref()))
    }

    /// The secrets that are accepted: one, or two while it is being replaced.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secret.iter().chain(&self.previous_secret).map(ExposeSecret::expose_secret)
    }
}
