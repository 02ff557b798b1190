use std::path::Path;

use cognito_local::{LocalPool, PoolConfig};
use tokio::net::TcpListener;
use url::Url;

use crate::{StartError, data, server, server::Server};

/// A user pool with its hosted UI.
pub struct LocalUserPool {
    pool: LocalPool,
    server: Server,
}

impl LocalUserPool {
    /// Serves the pool in `data_dir`, or one in memory; creates it from `config` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`StartError::UserPool`] or [`StartError::Io`].
    pub async fn start(
        listeners: Vec<TcpListener>,
        data_dir: Option<&Path>,
        config: PoolConfig,
    ) -> Result<Self, StartError> {
        let file = data_dir.map(|folder| folder.join(data::COGNITO));
        if let (Some(folder), Some(file)) = (data_dir, &file) {
            data::create_folder(folder)
                .and_then(|()| data::create_private_database(file))
                .map_err(StartError::io(format!("cannot create {}", file.display())))?;
        }
        let failed = || StartError::io("cannot serve the user pool");
        let url = server::url(&listeners).map_err(failed())?;
        let url = Url::parse(&url).map_err(std::io::Error::other).map_err(failed())?;
        let pool = LocalPool::open(file.as_deref(), url, config).await?;
        let router = pool.router();
        let server = Server::start("user-pool", listeners, move || router).map_err(failed())?;
        Ok(Self { pool, server })
    }

    /// The pool itself.
    pub fn pool(&self) -> &LocalPool {
        &self.pool
    }

    /// The base URL of the hosted UI.
    pub fn domain(&self) -> &str {
        self.server.url()
    }

    /// Lets running requests finish, for half a second at most, and stops.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
