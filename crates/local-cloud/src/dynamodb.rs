use std::{path::Path, sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use axum::{Router, middleware};
use dynoxide::{Database, DynoxideError};
use serde_json::json;
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tracing::warn;

use crate::{StartError, data, guard, server::Server};

mod api;

/// How often items past their time to live are removed. DynamoDB itself takes up to days.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// DynamoDB's API on a SQLite file, with one table.
///
/// Requests must be signed with its credentials. Web pages cannot call it.
#[derive(Debug)]
pub struct LocalDynamoDb {
    server: Server,
}

impl LocalDynamoDb {
    /// Serves the database in `data_dir`, or one in memory, and creates `table` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`StartError::DynamoDb`] or [`StartError::Io`].
    pub fn start(
        listeners: Vec<TcpListener>,
        data_dir: Option<&Path>,
        table: &str,
        credentials: &Credentials,
    ) -> Result<Self, StartError> {
        let database = open(data_dir)?;
        create_table(&database, table)?;
        let state = Arc::new((database.clone(), credentials.clone()));
        let router = move || {
            tokio::spawn(sweep(database));
            let api = Router::new().fallback(api::handle).with_state(state);
            api.layer(middleware::from_fn(guard::reject_foreign_pages))
        };
        let server = Server::start("dynamodb", listeners, router);
        Ok(Self { server: server.map_err(StartError::io("cannot serve DynamoDB"))? })
    }

    /// The URL for the AWS SDK.
    pub fn endpoint_url(&self) -> &str {
        self.server.url()
    }

    /// Lets running requests finish, for half a second at most, and stops.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

fn open(data_dir: Option<&Path>) -> Result<Database, StartError> {
    let failed = |error: DynoxideError| StartError::DynamoDb(error.to_string());
    let Some(folder) = data_dir else { return Database::memory().map_err(failed) };
    let path = folder.join(data::DYNAMODB);
    data::create_folder(folder)
        .and_then(|()| data::create_private_database(&path))
        .map_err(StartError::io(format!("cannot create {}", path.display())))?;
    let path =
        path.to_str().ok_or_else(|| StartError::DynamoDb(format!("{} is not UTF-8", path.display())))?;
    Database::new(path).map_err(failed)
}

fn create_table(database: &Database, table: &str) -> Result<(), StartError> {
    let failed = |error: DynoxideError| StartError::DynamoDb(error.to_string());
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
        Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    let time_to_live = json!({
        "TableName": table,
        "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
    });
    let time_to_live = serde_json::from_value(time_to_live).map_err(malformed)?;
    database.update_time_to_live(time_to_live).map_err(failed)?;
    Ok(())
}

async fn sweep(database: Database) {
    let mut clock = tokio::time::interval(SWEEP_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(error) = database.sweep_ttl() {
            warn!(%error, "cannot remove items past their time to live");
        }
    }
}
