use std::{path::Path, thread, time::Duration};

use dynoxide::{Database, server::serve_with_shutdown};
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::MissedTickBehavior};
use tracing::warn;

use crate::{StartError, listener};

/// How often rows past their time to live are removed. DynamoDB itself takes hours.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long requests may take to finish when it stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// DynamoDB's API on a SQLite file, with one table.
#[derive(Debug)]
pub struct LocalDynamoDb {
    endpoint_url: String,
    stop: watch::Sender<bool>,
    stopped: tokio::sync::oneshot::Receiver<()>,
}

impl LocalDynamoDb {
    /// Serves the database in `data_dir`, or one in memory, and creates `table` if it is not there.
    ///
    /// It has a thread of its own, as SQLite waits for the disk at every write.
    ///
    /// # Errors
    ///
    /// [`StartError::DynamoDb`] or [`StartError::Io`].
    pub fn start(
        listeners: Vec<TcpListener>,
        data_dir: Option<&Path>,
        table: &str,
    ) -> Result<Self, StartError> {
        let database = open(data_dir)?;
        create_table(&database, table)?;
        let endpoint_url = listener::url(&listeners).map_err(StartError::io("the address of DynamoDB"))?;
        let listeners: Vec<_> = listeners
            .into_iter()
            .map(TcpListener::into_std)
            .collect::<Result<_, _>>()
            .map_err(StartError::io("the listener of DynamoDB"))?;
        let (stop, stopping) = watch::channel(false);
        let (done, stopped) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StartError::io("the thread of DynamoDB"))?;
        let serving = move || {
            runtime.block_on(serve(listeners, database, stopping));
            let _ = done.send(());
        };
        thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(serving)
            .map_err(StartError::io("the thread of DynamoDB"))?;
        Ok(Self { endpoint_url, stop, stopped })
    }

    /// Where the AWS SDK reaches it.
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint_url
    }

    /// Lets running requests finish, at most half a second, and stops.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.stopped.await;
    }
}

fn open(data_dir: Option<&Path>) -> Result<Database, StartError> {
    let refused = |error: dynoxide::DynoxideError| StartError::DynamoDb(error.to_string());
    let Some(folder) = data_dir else { return Database::memory().map_err(refused) };
    std::fs::create_dir_all(folder).map_err(StartError::io(format!("the folder {}", folder.display())))?;
    let path = folder.join("dynamodb.sqlite");
    let path =
        path.to_str().ok_or_else(|| StartError::DynamoDb(format!("{} is not UTF-8", path.display())))?;
    Database::new(path).map_err(refused)
}

fn create_table(database: &Database, table: &str) -> Result<(), StartError> {
    let refused = |error: dynoxide::DynoxideError| StartError::DynamoDb(error.to_string());
    let malformed = |error: serde_json::Error| StartError::DynamoDb(error.to_string());
    let request = json!({
        "TableName": table,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "S" },
        ],
    });
    match database.create_table(serde_json::from_value(request).map_err(malformed)?) {
        Ok(_) => {}
        Err(dynoxide::DynoxideError::ResourceInUseException(_)) => return Ok(()),
        Err(error) => return Err(refused(error)),
    }
    let time_to_live = json!({
        "TableName": table,
        "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
    });
    database
        .update_time_to_live(serde_json::from_value(time_to_live).map_err(malformed)?)
        .map_err(refused)?;
    Ok(())
}

async fn serve(listeners: Vec<std::net::TcpListener>, database: Database, stopping: watch::Receiver<bool>) {
    let mut servers = JoinSet::new();
    for listener in listeners {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let shutdown = stop_asked(stopping.clone());
                servers.spawn(serve_with_shutdown(listener, database.clone(), shutdown));
            }
            Err(error) => warn!(%error, "DynamoDB cannot listen"),
        }
    }
    tokio::spawn(sweep(database));
    stop_asked(stopping).await;
    let all = async { while servers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
}

async fn stop_asked(mut stopping: watch::Receiver<bool>) {
    // A sender that is gone asks as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn sweep(database: Database) {
    let mut clock = tokio::time::interval(SWEEP_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = database.sweep_ttl() {
            warn!(%error, "rows past their time to live were not removed");
        }
    }
}
