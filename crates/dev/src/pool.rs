//! What the local user pool contains, and what the backend is told about it.

use std::path::Path;

use local_cloud::{LocalUserPool, PoolConfig};

use crate::error::StackError;

/// Reads a pool file.
pub(crate) fn read(path: &Path) -> Result<PoolConfig, StackError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| StackError::PoolFile { path: path.to_owned(), source })?;
    PoolConfig::from_toml(&text)
        .map_err(|error| StackError::Pool { path: path.to_owned(), mistake: error.to_string() })
}

/// The configuration of the pool.
pub(crate) struct PoolSetup {
    pub(crate) config: PoolConfig,
    docs_callback: String,
}

impl PoolSetup {
    /// The pool of a file, or the demo pool with the scopes of the backend.
    pub(crate) fn new(file: Option<PoolConfig>, api_port: u16) -> Self {
        let demo = || PoolConfig::demo(api_port).with_scopes(backend::auth::scopes().map(|(scope, _)| scope));
        let config = file.unwrap_or_else(demo);
        Self { config, docs_callback: format!("http://localhost:{api_port}/docs/oauth2-redirect.html") }
    }

    /// The client that `/docs` signs in with: the first one that has its callback URL.
    pub(crate) fn docs_client(&self) -> Option<&str> {
        let mut clients = self.config.clients.iter();
        clients.find(|client| client.callback_urls.contains(&self.docs_callback)).map(|client| &*client.id)
    }

    /// The value that a variable has by default.
    pub(crate) fn variable(&self, name: &str, user_pool: &LocalUserPool) -> Option<String> {
        let pool = user_pool.pool();
        match name {
            "COGNITO_USER_POOL_ID" => Some(pool.pool_id().to_owned()),
            "COGNITO_APP_CLIENT_ID" => Some(self.client_ids(user_pool)),
            "COGNITO_DOMAIN" => Some(user_pool.domain().to_owned()),
            "COGNITO_ISSUER" => Some(pool.issuer().to_owned()),
            _ => None,
        }
    }

    /// All clients. `/docs` signs in with the first.
    fn client_ids(&self, user_pool: &LocalUserPool) -> String {
        let mut clients = user_pool.pool().clients();
        let docs_client = self.docs_client();
        clients.sort_by_key(|client| (docs_client != Some(&*client.id), client.secret.is_some()));
        clients.iter().map(|client| &*client.id).collect::<Vec<_>>().join(",")
    }
}
