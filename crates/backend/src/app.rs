//! The state that all handlers share.

use std::sync::Arc;

use axum::extract::FromRef;
use cognito_auth::{BuildError, ResourceServer, Verifier};

use crate::{
    Config,
    metrics::Metrics,
    rate_limit::RateLimiter,
    readiness::Readiness,
    services::{dynamodb::Store, s3::Bucket},
};

/// The shared state of the application. A clone is a handle to the same state.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: Config,
    resource_server: ResourceServer,
    store: Store,
    bucket: Option<Bucket>,
    rate_limiter: RateLimiter,
    metrics: Metrics,
    readiness: Readiness,
}

impl App {
    /// Builds an application that keeps its data behind these clients. Attachments need both `S3_BUCKET_NAME` and a
    /// client.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the configuration does not make a valid verifier.
    pub fn new(
        config: Config,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: Option<aws_sdk_s3::Client>,
    ) -> Result<Self, BuildError> {
        let verifier = verifier(&config)?;
        Self::with_verifier(config, verifier, dynamodb, s3)
    }

    /// Builds an application with the given verifier, such as one of `cognito_auth::testing`.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the URL of the resource metadata does not fit into a header.
    pub fn with_verifier(
        config: Config,
        verifier: Verifier,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: Option<aws_sdk_s3::Client>,
    ) -> Result<Self, BuildError> {
        let metrics = Metrics::default();
        let store = Store::new(dynamodb, &config.table_name, metrics.clone());
        let bucket = config.bucket_name.as_deref().zip(s3);
        let bucket = bucket.map(|(name, client)| Bucket::new(client, name, config.attachments.url_lifetime));
        let rate_limiter = RateLimiter::new(config.limits.requests_per_minute);
        let readiness = Readiness::new(verifier.clone(), store.clone());
        let resource_server = resource_server(&config, verifier)?;
        Ok(Self(Arc::new(Shared {
            config,
            resource_server,
            store,
            bucket,
            rate_limiter,
            metrics,
            readiness,
        })))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Authenticates and authorizes callers.
    pub fn resource_server(&self) -> &ResourceServer {
        &self.0.resource_server
    }

    /// The verifier of access tokens.
    pub fn verifier(&self) -> &Verifier {
        self.0.resource_server.verifier()
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The bucket with the attachments, if there is one.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.0.bucket.as_ref()
    }

    /// The rate limit of each caller.
    pub fn rate_limiter(&self) -> &RateLimiter {
        &self.0.rate_limiter
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The readiness check.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Fetches the pool's keys in the background, so that the first caller does not wait for them. The verifier logs a
    /// failure, and the next request fetches again.
    pub fn fetch_keys(&self) {
        let verifier = self.verifier().clone();
        tokio::spawn(async move { verifier.ready().await });
    }
}

impl FromRef<App> for ResourceServer {
    fn from_ref(app: &App) -> Self {
        app.resource_server().clone()
    }
}

impl FromRef<App> for Store {
    fn from_ref(app: &App) -> Self {
        app.store().clone()
    }
}

fn verifier(config: &Config) -> Result<Verifier, BuildError> {
    let cognito = &config.cognito;
    Verifier::builder(cognito.user_pool.clone())
        .client_ids(&cognito.app_client_ids)
        .resources([config.resource()])
        .build()
}

fn resource_server(config: &Config, verifier: Verifier) -> Result<ResourceServer, BuildError> {
    let builder = ResourceServer::builder(verifier).resource_metadata(config.resource_metadata_url());
    if config.cognito.require_scopes { builder.build() } else { builder.without_scope_checks().build() }
}
