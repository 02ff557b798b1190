use std::io;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedCredentialsProvider};
use backend::{
    App, Config, services,
    telemetry::{self, Export},
};
use local_cloud::{Credentials, LocalDynamoDb, LocalS3, LocalUserPool, REGION, bind_loopback};
use tokio::net::TcpListener;

use crate::{
    arguments::Arguments,
    error::StackError,
    pool::{self, PoolSetup},
    progress::{self, step},
};

const TABLE: &str = "items";
const BUCKET: &str = "attachments";
const API_PORT: u16 = 8000;

/// Pages of this machine may call the API, whatever their port.
const LOOPBACK_ORIGINS: &str = "http://localhost:*,http://127.0.0.1:*,http://[::1]:*,\
    https://localhost:*,https://127.0.0.1:*,https://[::1]:*";

/// Looks a variable up; one that is empty counts as not set.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The backend with everything that it needs, running except for the backend's own listeners.
pub(crate) struct Stack {
    pub(crate) app: App,
    pub(crate) api_listeners: Vec<TcpListener>,
    pub(crate) metrics_listener: Option<TcpListener>,
    /// Absent where `COGNITO_USER_POOL_ID` names a pool elsewhere.
    pub(crate) user_pool: Option<LocalUserPool>,
    /// Absent where `AWS_ENDPOINT_URL_DYNAMODB` names one elsewhere.
    pub(crate) dynamodb: Option<LocalDynamoDb>,
    /// Absent where `AWS_ENDPOINT_URL_S3` names one elsewhere.
    pub(crate) s3: Option<LocalS3>,
    pub(crate) credentials: Credentials,
    pub(crate) api_url: String,
    /// Whether the first client can sign in on `/docs`.
    pub(crate) docs_can_sign_in: bool,
    pub(crate) export: Export,
}

/// All ports, taken before anything is created or deleted, so that a busy one changes nothing.
struct Listeners {
    api: Vec<TcpListener>,
    metrics: Option<TcpListener>,
    cognito: Option<Vec<TcpListener>>,
    dynamodb: Option<Vec<TcpListener>>,
    s3: Option<Vec<TcpListener>>,
}

impl Stack {
    pub(crate) async fn start(arguments: &Arguments, lookup: Lookup<'_>) -> Result<Self, StackError> {
        let pool_file = arguments.pool.as_deref().map(pool::read).transpose()?;
        let listeners = Listeners::bind(arguments, lookup).await?;
        let data_dir = arguments.data_dir();
        if let (true, Some(folder)) = (arguments.reset, data_dir) {
            local_cloud::remove_data(folder)
                .map_err(|source| StackError::Reset { folder: folder.to_owned(), source })?;
            progress::print(&format!("  Deleted the data in {}\n", folder.display()));
        }
        let credentials = local_cloud::credentials(data_dir)?;
        let api_port =
            listeners.api.first().map(TcpListener::local_addr).transpose()?.map_or(0, |a| a.port());
        let setup = PoolSetup::new(pool_file, api_port);
        let table = lookup("DYNAMODB_TABLE_NAME").unwrap_or_else(|| TABLE.to_owned());
        let bucket = lookup("S3_BUCKET_NAME").unwrap_or_else(|| BUCKET.to_owned());
        let user_pool = match listeners.cognito {
            Some(listeners) => {
                let start = LocalUserPool::start(listeners, data_dir, setup.config.clone());
                Some(step("User pool with its keys and users", start).await?)
            }
            None => None,
        };
        let dynamodb = match listeners.dynamodb {
            Some(listeners) => {
                let start = async { LocalDynamoDb::start(listeners, data_dir, &table, &credentials) };
                Some(step(&format!("DynamoDB with table {table}"), start).await?)
            }
            None => None,
        };
        let s3 = match listeners.s3 {
            Some(listeners) => {
                let start = async { LocalS3::start(listeners, data_dir, &bucket, &credentials) };
                Some(step(&format!("S3 with bucket {bucket}"), start).await?)
            }
            None => None,
        };
        let local_url = format!("http://localhost:{api_port}");
        let config = Config::from_variables(|name| {
            lookup(name).or_else(|| match name {
                "DYNAMODB_TABLE_NAME" => Some(TABLE.to_owned()),
                "S3_BUCKET_NAME" => Some(BUCKET.to_owned()),
                "PUBLIC_URL" => Some(local_url.clone()),
                "CORS_ALLOWED_ORIGINS" => Some(LOOPBACK_ORIGINS.to_owned()),
                "MCP" => Some("true".to_owned()),
                // A secret of this machine that is kept with the data.
                "MCP_BROKER_KEY" => Some(format!("broker {}", credentials.secret_access_key())),
                _ => setup.variable(name, user_pool.as_ref()?),
            })
        })?;
        let export = telemetry::start(config.telemetry, config.public_url.scheme())?;
        let api_url = config.resource().to_owned();
        let aws = aws(lookup, &credentials, dynamodb.is_some() && s3.is_some()).await;
        let app = app(config, &aws, &credentials, dynamodb.as_ref(), s3.as_ref())?;
        let docs_can_sign_in = user_pool.is_none() || setup.docs_client().is_some();
        let (api_listeners, metrics_listener) = (listeners.api, listeners.metrics);
        Ok(Self {
            app,
            api_listeners,
            metrics_listener,
            user_pool,
            dynamodb,
            s3,
            credentials,
            api_url,
            docs_can_sign_in,
            export,
        })
    }
}

impl Stack {
    /// Whether an AI client that knows only the URL can sign users in.
    pub(crate) fn mcp_can_sign_in(&self) -> bool {
        self.app.config().mcp.as_ref().is_some_and(|mcp| mcp.sign_in.is_some())
    }
}

impl Listeners {
    async fn bind(arguments: &Arguments, lookup: Lookup<'_>) -> Result<Self, StackError> {
        let local = |variable: &str| lookup(variable).is_none() && lookup("AWS_ENDPOINT_URL").is_none();
        let api = match (arguments.api_port, lookup("BIND_ADDRESS")) {
            (None, Some(address)) => vec![bind_address("BIND_ADDRESS", address).await?],
            (port, _) => bind("--api-port", port.unwrap_or(API_PORT)).await?,
        };
        let metrics = match lookup("METRICS_ADDRESS") {
            Some(address) => Some(bind_address("METRICS_ADDRESS", address).await?),
            None => None,
        };
        let cognito = match lookup("COGNITO_USER_POOL_ID") {
            Some(_) => None,
            None => Some(bind("--cognito-port", arguments.cognito_port).await?),
        };
        let dynamodb = match local("AWS_ENDPOINT_URL_DYNAMODB") {
            true => Some(bind("--dynamodb-port", arguments.dynamodb_port).await?),
            false => None,
        };
        let s3 = match local("AWS_ENDPOINT_URL_S3") {
            true => Some(bind("--s3-port", arguments.s3_port).await?),
            false => None,
        };
        Ok(Self { api, metrics, cognito, dynamodb, s3 })
    }
}

async fn bind(flag: &'static str, port: u16) -> Result<Vec<TcpListener>, StackError> {
    bind_loopback(port).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StackError::PortInUse { port, flag },
        _ => StackError::Port { port, flag, source },
    })
}

async fn bind_address(variable: &'static str, address: String) -> Result<TcpListener, StackError> {
    let bound = TcpListener::bind(&address).await;
    bound.map_err(|source| StackError::Address { address, variable, source })
}

/// The SDK's configuration for the local services, or for what the environment names where one is elsewhere.
async fn aws(lookup: Lookup<'_>, credentials: &Credentials, all_local: bool) -> SdkConfig {
    if !all_local {
        return aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    }
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(lookup("AWS_REGION").unwrap_or_else(|| REGION.to_owned())))
        .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
        .build()
}

fn app(
    config: Config,
    aws: &SdkConfig,
    credentials: &Credentials,
    dynamodb: Option<&LocalDynamoDb>,
    s3: Option<&LocalS3>,
) -> Result<App, StackError> {
    let provider = SharedCredentialsProvider::new(credentials.clone());
    let mut for_dynamodb = services::dynamodb::client_config(aws);
    if let Some(local) = dynamodb {
        for_dynamodb = for_dynamodb.endpoint_url(local.endpoint_url()).credentials_provider(provider.clone());
    }
    let mut for_s3 = services::s3::client_config(aws, true);
    if let Some(local) = s3 {
        for_s3 = for_s3.endpoint_url(local.endpoint_url()).credentials_provider(provider);
    }
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(for_dynamodb.build());
    Ok(App::new(config, dynamodb, Some(aws_sdk_s3::Client::from_conf(for_s3.build())))?)
}
