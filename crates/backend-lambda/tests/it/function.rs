use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use cognito_auth::testing::{JwksServer, TestPool};
use local_cloud::{LocalDynamoDb, bind_loopback, credentials};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::runtime_api::RuntimeApi;

/// The binary in an environment as Lambda makes it, with a table and a user pool of its own.
pub(crate) struct Function {
    pub(crate) pool: TestPool,
    /// From the start of the process until it asked for its first event.
    pub(crate) cold_start: Duration,
    runtime_api: RuntimeApi,
    _process: Child,
    _table: LocalDynamoDb,
    _keys: JwksServer,
}

impl Function {
    pub(crate) async fn start() -> Self {
        let pool = TestPool::new();
        let keys = pool.serve().await;
        let url = keys.url();
        Self::start_with(pool, keys, &url, &[]).await
    }

    /// The function that sweeps.
    pub(crate) async fn start_sweep() -> Self {
        let pool = TestPool::new();
        let keys = pool.serve().await;
        let url = keys.url();
        Self::start_with(pool, keys, &url, &["sweep"]).await
    }

    /// The keys are at a port where nobody listens.
    pub(crate) async fn start_without_keys() -> Self {
        let pool = TestPool::new();
        let keys = pool.serve().await;
        Self::start_with(pool, keys, "http://127.0.0.1:9/jwks.json", &[]).await
    }

    async fn start_with(pool: TestPool, keys: JwksServer, jwks_url: &str, arguments: &[&str]) -> Self {
        let credentials = credentials(None).unwrap();
        let listeners = bind_loopback(0).await.unwrap();
        let table = LocalDynamoDb::start(listeners, None, "items", &credentials).unwrap();
        let runtime_api = RuntimeApi::start().await;
        let started = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_backend-lambda"))
            .args(arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "backend")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/backend")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", credentials.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key())
            .env("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint_url())
            .env("COGNITO_USER_POOL_ID", pool.id())
            .env("COGNITO_APP_CLIENT_ID", pool.client_id())
            .env("COGNITO_ISSUER", pool.issuer())
            .env("COGNITO_JWKS_URL", jwks_url)
            .env("DYNAMODB_TABLE_NAME", "items")
            .env("S3_BUCKET_NAME", "attachments")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        runtime_api.until_asked().await;
        let cold_start = started.elapsed();
        Self { pool, cold_start, runtime_api, _process: process, _table: table, _keys: keys }
    }

    pub(crate) async fn invoke(&self, event: Value) -> Value {
        self.runtime_api.invoke(event).await
    }
}
