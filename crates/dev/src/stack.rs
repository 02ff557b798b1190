use std::io;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use backend::{App, Config, config::ConfigError, services};
use local_cloud::{
    ACCESS_KEY_ID, LocalDynamoDb, LocalS3, LocalUserPool, PoolConfig, REGION, SECRET_ACCESS_KEY, StartError,
    bind_loopback,
};
use tokio::net::TcpListener;

use crate::arguments::Arguments;

const TABLE: &str = "items";
const BUCKET: &str = "attachments";

/// The backend with everything it needs, running but for the backend's own listeners.
pub(crate) struct Stack {
    pub(crate) app: App,
    pub(crate) api_listeners: Vec<TcpListener>,
    pub(crate) user_pool: LocalUserPool,
    pub(crate) dynamodb: LocalDynamoDb,
    pub(crate) s3: LocalS3,
    pub(crate) api_url: String,
}

/// Why the stack did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    #[error("port {port} is in use; choose another with {flag}, or stop what listens there")]
    PortInUse { port: u16, flag: &'static str },
    #[error("port {port} ({flag}) cannot be listened on")]
    Port { port: u16, flag: &'static str, source: io::Error },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Verifier(#[from] backend::BuildError),
    #[error("the system refuses")]
    Io(#[from] io::Error),
}

impl Stack {
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self, StackError> {
        // All ports are taken before anything is created, so that a busy one leaves nothing half-made.
        let api_listeners = bind("--api-port", arguments.api_port).await?;
        let cognito_listeners = bind("--cognito-port", arguments.cognito_port).await?;
        let dynamodb_listeners = bind("--dynamodb-port", arguments.dynamodb_port).await?;
        let s3_listeners = bind("--s3-port", arguments.s3_port).await?;

        let data_dir = arguments.data_dir();
        let api_port =
            api_listeners.first().map(TcpListener::local_addr).transpose()?.map_or(0, |addr| addr.port());
        let user_pool = LocalUserPool::start(cognito_listeners, data_dir, PoolConfig::demo(api_port)).await?;
        let dynamodb = LocalDynamoDb::start(dynamodb_listeners, data_dir, TABLE)?;
        let s3 = LocalS3::start(s3_listeners, data_dir, BUCKET)?;
        let api_url = format!("http://localhost:{api_port}");
        let app = app(&user_pool, &dynamodb, &s3, &api_url)?;
        Ok(Self { app, api_listeners, user_pool, dynamodb, s3, api_url })
    }
}

async fn bind(flag: &'static str, port: u16) -> Result<Vec<TcpListener>, StackError> {
    bind_loopback(port).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StackError::PortInUse { port, flag },
        _ => StackError::Port { port, flag, source },
    })
}

fn app(
    user_pool: &LocalUserPool,
    dynamodb: &LocalDynamoDb,
    s3: &LocalS3,
    api_url: &str,
) -> Result<App, StackError> {
    let pool = user_pool.pool();
    // The one without a secret comes first: it is the one that `/docs` signs in with.
    let mut clients = pool.clients();
    clients.sort_by_key(|client| client.secret.is_some());
    let client_ids: Vec<_> = clients.iter().map(|client| client.id.as_str()).collect();
    let config = Config::from_variables(|name| {
        let value = match name {
            "COGNITO_USER_POOL_ID" => pool.pool_id(),
            "COGNITO_APP_CLIENT_ID" => return Some(client_ids.join(",")),
            "COGNITO_DOMAIN" => user_pool.domain(),
            "COGNITO_ISSUER" => pool.issuer(),
            "DYNAMODB_TABLE_NAME" => TABLE,
            "S3_BUCKET_NAME" => BUCKET,
            "PUBLIC_URL" => api_url,
            _ => return None,
        };
        Some(value.to_owned())
    })?;
    let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "local");
    let aws = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(credentials))
        .build();
    let dynamodb = services::dynamodb::client_config(&aws).endpoint_url(dynamodb.endpoint_url()).build();
    let s3 = services::s3::client_config(&aws, true).endpoint_url(s3.endpoint_url()).build();
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb);
    Ok(App::new(config, dynamodb, Some(aws_sdk_s3::Client::from_conf(s3)))?)
}
