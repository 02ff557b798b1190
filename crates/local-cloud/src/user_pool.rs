use std::{path::Path, time::Duration};

use cognito_local::{LocalPool, PoolConfig};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tracing::warn;
use url::Url;

use crate::{StartError, listener};

/// How long requests may take to finish when it stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// A user pool with its hosted UI.
pub struct LocalUserPool {
    pool: LocalPool,
    domain: String,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl LocalUserPool {
    /// Serves the pool in `data_dir`, or one in memory, made of `config` where it does not exist yet.
    ///
    /// # Errors
    ///
    /// [`StartError::UserPool`] or [`StartError::Io`].
    pub async fn start(
        listeners: Vec<TcpListener>,
        data_dir: Option<&Path>,
        config: PoolConfig,
    ) -> Result<Self, StartError> {
        if let Some(folder) = data_dir {
            std::fs::create_dir_all(folder)
                .map_err(StartError::io(format!("the folder {}", folder.display())))?;
        }
        let domain = listener::url(&listeners).map_err(StartError::io("the address of the user pool"))?;
        let url = Url::parse(&domain).map_err(|error| StartError::Io {
            what: "the address of the user pool".to_owned(),
            source: std::io::Error::other(error),
        })?;
        let file = data_dir.map(|folder| folder.join("cognito.sqlite"));
        let pool = LocalPool::open(file.as_deref(), url, config).await?;
        let (stop, mut stopping) = watch::channel(false);
        let asked = async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let serving = cognito_local::serve(pool.clone(), listeners, asked);
        let serving = tokio::spawn(async move {
            if let Err(error) = serving.await {
                warn!(%error, "the local user pool failed");
            }
        });
        Ok(Self { pool, domain, stop, serving })
    }

    /// The pool itself.
    pub fn pool(&self) -> &LocalPool {
        &self.pool
    }

    /// The base URL of the hosted UI.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Lets running requests finish, at most half a second, and stops.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let abort = self.serving.abort_handle();
        if tokio::time::timeout(STOP_TIMEOUT, self.serving).await.is_err() {
            abort.abort();
        }
    }
}
