//! What the local user pool contains, and what the backend is told about it.

use std::path::Path;

use local_cloud::{ClientConfig, LocalUserPool, PoolConfig, ResourceServerConfig};

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
    mcp_callback: String,
}

/// The demo pool with the scopes of the backend, and what AI clients need: an app client, and a resource server whose
/// identifier is the URL of the MCP endpoint.
fn demo(api_port: u16) -> PoolConfig {
    let mut config = PoolConfig::demo(api_port);
    config.clients.push(ClientConfig {
        id: "localmcp".to_owned(),
        name: Some("AI client".to_owned()),
        callback_urls: vec![format!("http://localhost:{api_port}/oauth/callback")],
        scopes: Vec::new(),
        ..ClientConfig::default()
    });
    config.resource_servers.push(ResourceServerConfig {
        identifier: format!("http://localhost:{api_port}/mcp"),
        scopes: Vec::new(),
    });
    config.with_scopes(backend::auth::scopes().map(|(scope, _)| scope))
}

impl PoolSetup {
    /// The pool of a file, or the demo pool with the scopes of the backend.
    pub(crate) fn new(file: Option<PoolConfig>, api_port: u16) -> Self {
        let config = file.unwrap_or_else(|| demo(api_port));
        let api = format!("http://localhost:{api_port}");
        Self {
            config,
            docs_callback: format!("{api}/docs/oauth2-redirect.html"),
            mcp_callback: format!("{api}/oauth/callback"),
        }
    }

    /// The client that `/docs` signs in with: the first one that has its callback URL.
    pub(crate) fn docs_client(&self) -> Option<&str> {
        let mut clients = self.config.clients.iter();
        clients.find(|client| client.callback_urls.contains(&self.docs_callback)).map(|client| &*client.id)
    }

    /// The client that AI clients sign in with: the first one that has the callback URL of the backend's broker.
    fn mcp_client(&self) -> Option<&str> {
        let mut clients = self.config.clients.iter();
        clients.find(|client| client.callback_urls.contains(&self.mcp_callback)).map(|client| &*client.id)
    }

    /// The value that a variable has by default.
    pub(crate) fn variable(&self, name: &str, user_pool: &LocalUserPool) -> Option<String> {
        let pool = user_pool.pool();
        match name {
            "COGNITO_USER_POOL_ID" => Some(pool.pool_id().to_owned()),
            "COGNITO_APP_CLIENT_ID" => Some(self.client_ids(user_pool)),
            "COGNITO_DOMAIN" => Some(user_pool.domain().to_owned()),
            "COGNITO_ISSUER" => Some(pool.issuer().to_owned()),
            "MCP_CLIENT_ID" => self.mcp_client().map(str::to_owned),
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
