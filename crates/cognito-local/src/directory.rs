//! The clients and settings of the pool, from the validated configuration.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::validation::{ConfigError, Key, registered_urls};
use crate::config::{
    ClientConfig, ClientSecret, Mfa, OAuthFlow, PasswordPolicy, PoolConfig, RefreshTokenRotation,
    TokenLifetimes,
};
use crate::redirect::{Destination, RegisteredUrl};
use crate::secret::secrets_match;

pub(crate) struct Directory {
    clients: HashMap<String, Arc<Client>>,
    pub(crate) mfa: Mfa,
    pub(crate) self_sign_up: bool,
    pub(crate) password_policy: PasswordPolicy,
}

pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) secret: Option<SecretString>,
    flows: Vec<OAuthFlow>,
    callback_urls: Vec<RegisteredUrl>,
    logout_urls: Vec<RegisteredUrl>,
    scopes: Vec<String>,
    pub(crate) lifetimes: TokenLifetimes,
    pub(crate) rotation: Option<RefreshTokenRotation>,
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
            clients.insert(client.id.clone(), Arc::new(Client::parse(client, secret, &key)?));
        }
        Ok(Self {
            clients,
            mfa: config.mfa,
            self_sign_up: config.self_sign_up,
            password_policy: config.password_policy.clone(),
        })
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
            flows: config.flows.clone(),
            callback_urls: registered_urls(&config.callback_urls, &key.name("callback_urls"))?,
            logout_urls: registered_urls(&config.logout_urls, &key.name("logout_urls"))?,
            scopes: config.scopes.clone(),
            lifetimes: config.lifetimes.clone(),
            rotation: config.refresh_token_rotation,
        })
    }

    pub(crate) fn is_public(&self) -> bool {
        self.secret.is_none()
    }

    pub(crate) fn allows(&self, flow: OAuthFlow) -> bool {
        self.flows.contains(&flow)
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

    /// Compares digests, so that the time does not reveal the secret or its length.
    pub(crate) fn has_secret(&self, presented: &str) -> bool {
        self.secret.as_ref().is_some_and(|secret| {
            let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
            secrets_match(digest(secret.expose_secret()).as_ref(), digest(presented).as_ref())
        })
    }
}
