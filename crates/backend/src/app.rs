//! The application: what its handlers share, its routes, and the layers around them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use cognito_auth::Verifier;
use http::{HeaderName, HeaderValue, Method, header};
use tokio::sync::{Mutex, Semaphore};
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer, set_header::SetResponseHeaderLayer};
use tracing::{info, warn};

use crate::{
    Config,
    config::LogKey,
    metrics::{self, Metrics},
    observe::{Observer, observe},
    openapi,
    problem::Problem,
    rate_limit::RateLimiter,
    routes::{self, health::PartStatus},
    services::{dynamodb::Store, s3::Bucket},
};

/// What the handlers share. A clone is another handle to the same.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: Config,
    verifier: Verifier,
    store: Store,
    bucket: Option<Bucket>,
    rate_limiter: RateLimiter,
    metrics: Metrics,
    readiness: Mutex<Option<(Instant, PartStatuses)>>,
}

/// What was found of the keys and of the table.
type PartStatuses = (PartStatus, PartStatus);

/// How long a look at the parts holds: anybody may ask whether the server is ready, and asking must not become a load.
const READINESS_LIFETIME: Duration = Duration::from_secs(1);

impl App {
    /// An application that keeps its data behind these clients. Attachments need both `S3_BUCKET_NAME` and a client.
    ///
    /// # Errors
    ///
    /// [`cognito_auth::BuildError`] if no verifier can be made of the configuration.
    pub fn new(
        config: Config,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: Option<aws_sdk_s3::Client>,
    ) -> Result<Self, cognito_auth::BuildError> {
        let verifier = verifier(&config)?;
        Ok(Self::with_verifier(config, verifier, dynamodb, s3))
    }

    /// An application with a verifier of its own, such as one of `cognito_auth::testing`.
    pub fn with_verifier(
        config: Config,
        verifier: Verifier,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: Option<aws_sdk_s3::Client>,
    ) -> Self {
        let metrics = Metrics::default();
        let store = Store::new(dynamodb, &config.table_name, metrics.clone());
        let bucket = config.bucket_name.as_deref().zip(s3);
        let bucket = bucket.map(|(name, client)| Bucket::new(client, name, config.attachments.url_lifetime));
        let rate_limiter = RateLimiter::new(config.limits.requests_per_minute);
        Self(Arc::new(Shared {
            config,
            verifier,
            store,
            bucket,
            rate_limiter,
            metrics,
            readiness: Mutex::default(),
        }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whose tokens are accepted.
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The bucket with the attachments, if there is one.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.0.bucket.as_ref()
    }

    /// What `look` finds of the parts, or what was found within the last second. Whoever asks while another looks waits for
    /// what that one finds.
    pub(crate) async fn readiness(&self, look: impl Future<Output = PartStatuses>) -> PartStatuses {
        let mut known = self.0.readiness.lock().await;
        if let Some((found, parts)) = *known
            && found.elapsed() < READINESS_LIFETIME
        {
            return parts;
        }
        let parts = look.await;
        *known = Some((Instant::now(), parts));
        parts
    }

    /// Fetches the pool's keys in the background, so that the first caller does not wait for them. A failure, which the
    /// verifier logs, is no matter: whoever needs them tries again.
    pub fn fetch_keys(&self) {
        let verifier = self.verifier().clone();
        tokio::spawn(async move { verifier.ready().await });
    }

    /// How many requests a caller may make.
    pub fn rate_limiter(&self) -> &RateLimiter {
        &self.0.rate_limiter
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Says in the log what the server accepts, and what it does so unusually.
    pub fn announce(&self) {
        let config = self.config();
        info!(
            address = %config.bind_address,
            public_url = config.resource(),
            user_pool = config.cognito.user_pool.id(),
            table = config.table_name,
            bucket = config.bucket_name,
            "serving"
        );
        if !config.cognito.require_scopes {
            warn!(
                "COGNITO_REQUIRE_SCOPES is false: any valid access token may read and write its owner's data"
            );
        }
    }

    /// What Prometheus reads, for a listener of its own.
    pub fn metrics_router(&self) -> Router {
        let app = self.clone();
        Router::new().route("/metrics", get(move || async move { show_metrics(&app) }))
    }

    /// All routes with all layers.
    pub fn router(&self) -> Router {
        let limits = &self.config().limits;
        let slots = Arc::new(Semaphore::new(limits.concurrent_requests));
        // The checks of supervisors and balancers take no slot: a busy server is not a dead one.
        let (api, mut document) = openapi::routes(self.config().cognito.require_scopes)
            .layer(middleware::from_fn_with_state((slots, limits.request_timeout), limit))
            .merge(openapi::health_routes())
            .split_for_parts();
        openapi::finish(&mut document, self.config());
        let api = api
            .merge(openapi::documentation(document, self.config()))
            .method_not_allowed_fallback(routes::method_not_allowed)
            .fallback(routes::unknown_route)
            .with_state(self.clone());
        self.surround(api)
    }

    /// Puts the layers around routes that hold for every request: its id, log line and metrics, the bodies of problems,
    /// security headers, CORS, panics, and the size of a body.
    pub fn surround(&self, routes: Router) -> Router {
        let config = self.config();
        let set = |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
        let observer = Observer::new(self.metrics().clone(), config.log_key.as_ref().map(LogKey::bytes));
        routes.layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn_with_state(observer, observe))
                // What holds for every answer: it is data, to be read as what it says it is, and shown in no frame.
                .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
                .layer(set(header::REFERRER_POLICY, "no-referrer"))
                .layer(set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
                .option_layer(cors(config))
                .layer(CatchPanicLayer::custom(|_| Problem::panicked().into_response()))
                .layer(DefaultBodyLimit::max(config.limits.body_bytes)),
        )
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier().clone()
    }
}

impl FromRef<App> for Store {
    fn from_ref(app: &App) -> Self {
        app.store().clone()
    }
}

fn verifier(config: &Config) -> Result<Verifier, cognito_auth::BuildError> {
    let cognito = &config.cognito;
    let builder = Verifier::builder(cognito.user_pool.clone())
        .client_ids(&cognito.app_client_ids)
        .resources([config.resource()])
        .resource_metadata(config.resource_metadata_url());
    if cognito.require_scopes { builder.build() } else { builder.without_scope_checks().build() }
}

/// The web pages of these origins may call, with a token in a header; there are no cookies to send.
fn cors(config: &Config) -> Option<CorsLayer> {
    const ALLOWED: [&str; 7] = [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "traceparent",
        "x-request-id",
    ];
    const EXPOSED: [&str; 9] = [
        "accept-patch",
        "allow",
        "etag",
        "location",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "www-authenticate",
        "x-request-id",
    ];
    let layer = CorsLayer::new()
        .allow_origin(config.cors_allowed_origins.clone())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(ALLOWED.map(HeaderName::from_static))
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(600));
    (!config.cors_allowed_origins.is_empty()).then_some(layer)
}

fn show_metrics(app: &App) -> Response {
    match app.metrics().encode(&app.verifier().stats()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response(),
        Err(error) => {
            warn!(%error, "the metrics cannot be written");
            http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Turns away what would be one request too many, and ends one that takes too long.
async fn limit(
    State((slots, time)): State<(Arc<Semaphore>, Duration)>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_slot) = slots.try_acquire() else {
        return Problem::unavailable("The server has too much to do right now.", 1).into_response();
    };
    match tokio::time::timeout(time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("The request was not finished within {} s.", time.as_secs());
            Problem::unavailable(detail, 1).into_response()
        }
    }
}
