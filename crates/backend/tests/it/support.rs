//! An application for each test, and personas who send requests to it.

use std::sync::{Arc, LazyLock};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use axum::{Router, body::Body};
use backend::{App, Config, services};
use cognito_auth::testing::{TestPool, TokenBuilder};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use local_cloud::{LocalDynamoDb, LocalS3, REGION, bind_loopback};
use serde_json::Value;
use tower::ServiceExt;

mod process;
mod proxy;

pub(crate) use process::{Server, free_address, run};
pub(crate) use proxy::{Fault, FaultProxy};

pub(crate) const TABLE: &str = "items";
pub(crate) const BUCKET: &str = "attachments";

/// The paths whose responses are the same for everybody.
const PUBLIC: [&str; 4] = ["/docs", "/health", "/openapi.json", "/.well-known"];

/// What every table and bucket of this test process accepts.
pub(crate) static CREDENTIALS: LazyLock<Credentials> =
    LazyLock::new(|| local_cloud::credentials(None).unwrap());

/// An application with a table, a bucket and a user pool of its own.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) app: App,
    pub(crate) pool: TestPool,
    endpoint: String,
    _dynamodb: Option<LocalDynamoDb>,
    s3: LocalS3,
}

/// Somebody who sends requests.
#[derive(Clone)]
pub(crate) struct Persona {
    router: Router,
    authorization: Option<String>,
}

/// An answer. Whatever holds for all answers was asserted when it was made.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What a test changes of the configuration.
pub(crate) type Variables<'a> = &'a [(&'a str, &'a str)];

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With variables other than the defaults.
    pub(crate) async fn with(variables: Variables<'_>) -> Self {
        if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL_DYNAMODB") {
            let table = format!("items-{}", uuid::Uuid::new_v4());
            create_table(&endpoint, &table).await;
            let variables: Vec<_> =
                variables.iter().copied().chain([("DYNAMODB_TABLE_NAME", &*table)]).collect();
            return Self::build(&variables, None, &endpoint).await;
        }
        let dynamodb =
            LocalDynamoDb::start(bind_loopback(0).await.unwrap(), None, TABLE, &CREDENTIALS).unwrap();
        let endpoint = dynamodb.endpoint_url().to_owned();
        Self::build(variables, Some(dynamodb), &endpoint).await
    }

    /// With a proxy in front of the embedded DynamoDB that breaks connections on demand.
    pub(crate) async fn with_faults(variables: Variables<'_>) -> (Self, FaultProxy) {
        let dynamodb =
            LocalDynamoDb::start(bind_loopback(0).await.unwrap(), None, TABLE, &CREDENTIALS).unwrap();
        let proxy = FaultProxy::start(dynamodb.endpoint_url()).await;
        let endpoint = proxy.url().to_owned();
        (Self::build(variables, Some(dynamodb), &endpoint).await, proxy)
    }

    async fn build(variables: Variables<'_>, dynamodb: Option<LocalDynamoDb>, endpoint: &str) -> Self {
        let s3 = LocalS3::start(bind_loopback(0).await.unwrap(), None, BUCKET, &CREDENTIALS).unwrap();
        let pool = TestPool::new();
        let app = application(&pool, variables, endpoint, s3.endpoint_url());
        let endpoint = endpoint.to_owned();
        Self { router: backend::router(&app), app, pool, endpoint, _dynamodb: dynamodb, s3 }
    }

    /// Another server over the same table and user pool.
    pub(crate) fn another_server(&self) -> App {
        let table = [("DYNAMODB_TABLE_NAME", &*self.app.config().table_name)];
        application(&self.pool, &table, &self.endpoint, self.s3.endpoint_url())
    }

    /// A router over the same table that trusts another user pool.
    pub(crate) fn router_for(&self, pool: &TestPool) -> Router {
        let table = [("DYNAMODB_TABLE_NAME", &*self.app.config().table_name)];
        backend::router(&application(pool, &table, &self.endpoint, self.s3.endpoint_url()))
    }

    /// Runs the binary `backend` on the same table and bucket, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> std::process::Output {
        let variables = [
            ("COGNITO_USER_POOL_ID", self.pool.id()),
            ("COGNITO_APP_CLIENT_ID", self.pool.client_id()),
            ("DYNAMODB_TABLE_NAME", &*self.app.config().table_name),
            ("S3_BUCKET_NAME", BUCKET),
            ("AWS_ENDPOINT_URL_DYNAMODB", &*self.endpoint),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
            ("AWS_ACCESS_KEY_ID", CREDENTIALS.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secret_access_key()),
            ("AWS_REGION", REGION),
        ];
        run(arguments, &variables)
    }

    /// Somebody without a token.
    pub(crate) fn anonymous(&self) -> Persona {
        Persona::anonymous(self.router.clone())
    }

    /// A user who may read and write.
    pub(crate) fn user(&self, name: &str) -> Persona {
        self.bearer(&self.token(name).access_token())
    }

    /// A user who may read and write, and is an administrator.
    pub(crate) fn admin(&self) -> Persona {
        self.bearer(&self.token("root").in_group("admins").access_token())
    }

    /// Somebody who sends this as their token.
    pub(crate) fn bearer(&self, token: &str) -> Persona {
        Persona { authorization: Some(format!("Bearer {token}")), ..self.anonymous() }
    }

    /// A token with both scopes, to be changed.
    pub(crate) fn token(&self, name: &str) -> TokenBuilder {
        self.pool.user(name).scope("items/read").scope("items/write")
    }

    /// The metrics as Prometheus reads them.
    pub(crate) fn metrics(&self) -> String {
        self.app.metrics().encode(&self.app.verifier().stats()).unwrap()
    }

    /// How many calls of DynamoDB were answered with success since the start.
    pub(crate) fn calls(&self) -> u64 {
        const OPERATIONS: [&str; 6] =
            ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "TransactWriteItems"];
        let outcomes = ["ok", "ConditionalCheckFailedException", "TransactionCanceledException"];
        let count = |operation| outcomes.map(|outcome| self.app.metrics().dynamodb_calls(operation, outcome));
        OPERATIONS.iter().flat_map(|operation| count(operation)).sum()
    }
}

fn application(pool: &TestPool, variables: Variables<'_>, dynamodb: &str, s3: &str) -> App {
    let config = config(pool, variables);
    let aws = aws();
    let dynamodb = services::dynamodb::client_config(&aws).endpoint_url(dynamodb).build();
    let s3 = services::s3::client_config(&aws, true).endpoint_url(s3).build();
    let verifier = pool.verifier_builder();
    let (dynamodb, s3) = (aws_sdk_dynamodb::Client::from_conf(dynamodb), aws_sdk_s3::Client::from_conf(s3));
    App::with_verifier(config, verifier, dynamodb, Some(s3)).unwrap()
}

impl Persona {
    /// Somebody without a token, at another router.
    pub(crate) fn anonymous(router: Router) -> Self {
        Self { router, authorization: None }
    }

    /// The same persona at another router.
    pub(crate) fn at(&self, router: Router) -> Self {
        Self { router, ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, if_match: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, &[("if-match", if_match)], Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    /// Creates an item and returns its id.
    #[track_caller]
    pub(crate) fn create_item(&self, title: &str) -> impl Future<Output = String> {
        let (persona, body) = (self.clone(), serde_json::json!({ "title": title }));
        async move {
            let answer = persona.post("/items", body).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            answer.json()["id"].as_str().unwrap().to_owned()
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().unwrap().insert(name, value.parse().unwrap());
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send_raw(request.body(body).unwrap()).await
    }

    /// Sends a request as it is, but for the token.
    pub(crate) async fn send_raw(&self, mut request: Request<Body>) -> Answer {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
        }
        let is_public = PUBLIC.iter().any(|path| request.uri().path().starts_with(path));
        let belongs_to_a_caller = !is_public && request.method() != Method::OPTIONS;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.assert_invariants();
        if belongs_to_a_caller {
            assert_eq!(answer.header("cache-control"), "private, no-store", "{answer:?}");
        }
        answer
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of a header, or "".
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The pointer of the first mistake.
    #[track_caller]
    pub(crate) fn pointer(&self) -> String {
        self.json()["errors"][0]["pointer"]
            .as_str()
            .unwrap_or_else(|| panic!("no pointer: {self:?}"))
            .to_owned()
    }

    /// Readiness is the one error that is not a problem: it names the parts in the shape of its success.
    fn is_readiness(&self) -> bool {
        let body = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        self.header("content-type") == "application/json" && body["status"] == "unavailable"
    }

    #[track_caller]
    fn assert_invariants(&self) {
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{self:?}");
        if self.status.is_client_error() || self.status.is_server_error() {
            if self.status == StatusCode::SERVICE_UNAVAILABLE && self.is_readiness() {
                return;
            }
            assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
            if self.body.is_empty() {
                return; // The answer to HEAD.
            }
            let problem = self.json();
            assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
            assert_eq!(problem["request_id"], self.header("x-request-id"), "{self:?}");
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        }
        let challenge = self.header("www-authenticate");
        let needs_challenge = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let is_complete = challenge.starts_with("Bearer ") && challenge.contains("resource_metadata=\"http");
        assert!(is_complete || !needs_challenge, "{self:?}");
        let says_when = !self.header("retry-after").is_empty();
        let must_say = matches!(self.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(says_when || !must_say, "{self:?}");
    }
}

pub(crate) fn config(pool: &TestPool, variables: Variables<'_>) -> Config {
    let defaults = [
        ("COGNITO_USER_POOL_ID", pool.id()),
        ("COGNITO_APP_CLIENT_ID", pool.client_id()),
        ("COGNITO_DOMAIN", "http://localhost:9229"),
        ("DYNAMODB_TABLE_NAME", TABLE),
        ("S3_BUCKET_NAME", BUCKET),
        ("RATE_LIMIT_PER_MINUTE", "0"),
        ("CONCURRENT_REQUESTS_PER_CALLER", "1000"),
    ];
    let lookup = |name: &str| {
        let mut all = variables.iter().chain(&defaults);
        all.find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
    };
    Config::from_variables(lookup).unwrap()
}

pub(crate) fn aws() -> SdkConfig {
    let credentials = CREDENTIALS.clone();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// Runs `count` of these at once and waits for all.
pub(crate) async fn all_at_once<T, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let (barrier, future) = (barrier.clone(), make(number));
            tokio::spawn(async move {
                barrier.wait().await;
                future.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// The table as `infra/` makes it, at a DynamoDB that is not the embedded one.
async fn create_table(endpoint: &str, table: &str) {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    let client = aws_sdk_dynamodb::Client::from_conf(
        services::dynamodb::client_config(&aws()).endpoint_url(endpoint).build(),
    );
    let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        request = request.attribute_definitions(attribute.build().unwrap()).key_schema(key.build().unwrap());
    }
    request.send().await.unwrap();
}
