//! The local stack in this process, with a user pool whose responses a test can disturb.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use backend::{App, Config, services};
use cognito_local::{Clock, LocalPool, PoolConfig};
use local_cloud::{LocalDynamoDb, LocalS3, REGION, bind_loopback, credentials};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};

use crate::proxy::Proxy;

pub(crate) const ALICE: (&str, &str) = ("alice", "Wonder-land1");
pub(crate) const BOB: (&str, &str) = ("bob", "Builder-yes2");

/// A running stack. It ends with the test.
pub(crate) struct Stack {
    pub(crate) api_url: String,
    pub(crate) pool_url: String,
    pub(crate) pool: LocalPool,
    /// The pool's time, which can be moved.
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    /// Passes the connections to S3 on.
    pub(crate) s3_proxy: Proxy,
    api: Option<JoinHandle<()>>,
    api_address: SocketAddr,
    app: App,
    _dynamodb: LocalDynamoDb,
    _s3: LocalS3,
    s3_folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
}

/// Faults to inject at the user pool's endpoints, and counts of the requests to them.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    token_requests: AtomicUsize,
    revocations: AtomicUsize,
    next: Mutex<Vec<Fault>>,
}

/// A fault of one request to the token or revocation endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The request is processed, but the connection breaks before its response.
    LostResponse,
    /// The response is 503, and the request is not processed.
    Unavailable,
    /// The response is delayed.
    Slow(Duration),
}

impl Stack {
    pub(crate) fn start() -> Self {
        Self::with(|_| ())
    }

    /// Starts a stack with a changed configuration of the demo's user pool.
    pub(crate) fn with(change: impl FnOnce(&mut PoolConfig)) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut config = PoolConfig::demo(8000);
        change(&mut config);
        let parts = runtime.block_on(Parts::start(config));
        let Parts { pool, pool_url, clock, faults, dynamodb, s3, s3_folder, s3_proxy, api_listener, app } =
            parts;
        let api_address = api_listener.local_addr().unwrap();
        let mut stack = Self {
            api_url: format!("http://localhost:{}", api_address.port()),
            pool_url,
            pool,
            clock,
            faults,
            s3_proxy,
            api: None,
            api_address,
            app,
            _dynamodb: dynamodb,
            _s3: s3,
            s3_folder,
            runtime,
        };
        stack.serve_api(api_listener);
        stack
    }

    /// Stops the API and closes its port.
    pub(crate) fn stop_api(&mut self) {
        let api = self.api.take().unwrap();
        api.abort();
        let _ = self.runtime.block_on(api);
    }

    /// Starts the API again on the same port.
    pub(crate) fn restart_api(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.api_address)).unwrap();
        self.serve_api(listener);
    }

    /// Changes a byte of each attachment in S3's folder.
    pub(crate) fn corrupt_attachments(&self) {
        let mut folders = vec![self.s3_folder.path().join("s3/attachments")];
        let mut corrupted = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let mut bytes = std::fs::read(&path).unwrap();
                    bytes[0] ^= 1;
                    std::fs::write(&path, bytes).unwrap();
                    corrupted += 1;
                }
            }
        }
        assert_ne!(corrupted, 0);
    }

    pub(crate) fn secret_of_machine(&self) -> String {
        let client = self.pool.client("localmachine").unwrap();
        secrecy::ExposeSecret::expose_secret(&client.secret.unwrap()).to_owned()
    }

    fn serve_api(&mut self, listener: TcpListener) {
        let router = backend::router(&self.app);
        self.api = Some(self.runtime.spawn(async move { axum::serve(listener, router).await.unwrap() }));
    }
}

impl Faults {
    /// Injects a fault into each of the next requests.
    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.next.lock().unwrap().extend(faults);
    }

    /// Returns the number of requests to the token endpoint.
    pub(crate) fn token_requests(&self) -> usize {
        self.0.token_requests.load(Ordering::SeqCst)
    }

    pub(crate) fn revocations(&self) -> usize {
        self.0.revocations.load(Ordering::SeqCst)
    }

    fn take(&self) -> Option<Fault> {
        let mut next = self.0.next.lock().unwrap();
        (!next.is_empty()).then(|| next.remove(0))
    }
}

struct Parts {
    pool: LocalPool,
    pool_url: String,
    clock: Clock,
    faults: Faults,
    dynamodb: LocalDynamoDb,
    s3: LocalS3,
    s3_folder: tempfile::TempDir,
    s3_proxy: Proxy,
    api_listener: TcpListener,
    app: App,
}

impl Parts {
    async fn start(config: PoolConfig) -> Self {
        let api_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool_url = format!("http://localhost:{}", pool_listener.local_addr().unwrap().port());
        let clock = Clock::system();
        let pool =
            LocalPool::open_with_clock(None, pool_url.parse().unwrap(), config, clock.clone()).await.unwrap();
        let faults = Faults::default();
        let router = disturbed(pool.router(), &faults);
        tokio::spawn(async move { axum::serve(pool_listener, router).await.unwrap() });
        let credentials = credentials(None).unwrap();
        let listeners = bind_loopback(0).await.unwrap();
        let dynamodb = LocalDynamoDb::start(listeners, None, "items", &credentials).unwrap();
        let s3_folder = tempfile::tempdir().unwrap();
        let s3 = LocalS3::start(
            bind_loopback(0).await.unwrap(),
            Some(s3_folder.path()),
            "attachments",
            &credentials,
        )
        .unwrap();
        let s3_proxy = Proxy::start(s3.endpoint_url(), "X-Amz-Signature=").await;
        let api_url = format!("http://localhost:{}", api_listener.local_addr().unwrap().port());
        let app = app(&pool, &api_url, dynamodb.endpoint_url(), &s3_proxy.url, credentials);
        Self { pool, pool_url, clock, faults, dynamodb, s3, s3_folder, s3_proxy, api_listener, app }
    }
}

fn app(pool: &LocalPool, api_url: &str, dynamodb_url: &str, s3_url: &str, credentials: Credentials) -> App {
    let config = Config::from_variables(|name| {
        let value = match name {
            "COGNITO_USER_POOL_ID" => pool.pool_id(),
            "COGNITO_APP_CLIENT_ID" => "localweb,localmachine",
            "COGNITO_ISSUER" => pool.issuer(),
            "DYNAMODB_TABLE_NAME" => "items",
            "S3_BUCKET_NAME" => "attachments",
            "PUBLIC_URL" => api_url,
            "RATE_LIMIT_PER_MINUTE" => "0",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let aws = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let dynamodb = services::dynamodb::client_config(&aws).endpoint_url(dynamodb_url).build();
    let s3 = services::s3::client_config(&aws, true).endpoint_url(s3_url).build();
    let dynamodb = aws_sdk_dynamodb::Client::from_conf(dynamodb);
    App::new(config.unwrap(), dynamodb, Some(aws_sdk_s3::Client::from_conf(s3))).unwrap()
}

fn disturbed(router: Router, faults: &Faults) -> Router {
    router.layer(middleware::from_fn_with_state(faults.clone(), disturb))
}

async fn disturb(State(faults): State<Faults>, request: Request, next: Next) -> Response {
    let fault = match request.uri().path() {
        "/oauth2/token" => {
            faults.0.token_requests.fetch_add(1, Ordering::SeqCst);
            faults.take()
        }
        "/oauth2/revoke" => {
            faults.0.revocations.fetch_add(1, Ordering::SeqCst);
            faults.take()
        }
        _ => None,
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::Unavailable) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::Slow(time)) => {
            let response = next.run(request).await;
            tokio::time::sleep(time).await;
            response
        }
        Some(Fault::LostResponse) => {
            next.run(request).await;
            let cut = futures_util::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]);
            Body::from_stream(cut).into_response()
        }
    }
}
