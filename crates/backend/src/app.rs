//! The state that all handlers share.

use std::sync::Arc;

use axum::extract::FromRef;
use cognito_auth::{BuildError, ResourceServer, ResourceServerBuilder, Verifier, VerifierBuilder};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::{
    Config,
    auth::checked_scopes,
    domain::{Attachments, Items, Profiles, Revocations, Sweep},
    metrics::Metrics,
    rate_limit::RateLimiter,
    readiness::Readiness,
    services::{dynamodb::Store, s3::Bucket},
    telemetry,
};

/// The shared state of the application. A clone is a handle to the same state.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    config: Config,
    resource_server: ResourceServer,
    mcp_server: Option<ResourceServer>,
    store: Store,
    items: Items,
    attachments: Attachments,
    sweep: Sweep,
    profiles: Profiles,
    revocations: Revocations,
    tasks: TaskTracker,
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
        let verifier = Verifier::builder(config.cognito.user_pool.clone());
        let verifier = verifier.client_ids(&config.cognito.app_client_ids);
        Self::with_verifier(config, verifier, dynamodb, s3)
    }

    /// Builds an application with another verifier, such as one of `cognito_auth::testing`.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the URL of the resource metadata does not fit into a header.
    pub fn with_verifier(
        config: Config,
        verifier: VerifierBuilder,
        dynamodb: aws_sdk_dynamodb::Client,
        s3: Option<aws_sdk_s3::Client>,
    ) -> Result<Self, BuildError> {
        let metrics = Metrics::default();
        let store = Store::new(dynamodb, &config.table_name, metrics.clone());
        let bucket = config.bucket_name.as_deref().zip(s3);
        let bucket = bucket.map(|(name, client)| Bucket::new(client, name, config.attachments.url_lifetime));
        let rate_limiter = RateLimiter::new(config.limits.requests_per_minute);
        let revocations = Revocations::new(store.clone(), config.cognito.user_pool.id());
        let revoked = revocations.clone();
        let resources = std::iter::once(config.resource().to_owned())
            .chain(config.mcp.is_some().then(|| config.mcp_resource()));
        let verifier = verifier.resources(resources).deny_if(move |token| revoked.contains(token));
        let verifier = verifier.build()?;
        let tasks = TaskTracker::new();
        let required = config.limits.revocations_required.then(|| revocations.clone());
        let readiness = Readiness::new(verifier.clone(), store.clone(), required);
        let resource_server = resource_server(&config, verifier.clone())?;
        let mcp_server = config.mcp.as_ref().map(|_| mcp_server(&config, verifier)).transpose()?;
        let limits = config.attachments.clone();
        let items = Items::new(store.clone(), bucket.clone(), limits.clone(), tasks.clone());
        let sweep = Sweep::new(store.clone(), bucket.clone(), items.clone(), limits.clone());
        let attachments = Attachments::new(store.clone(), bucket, limits);
        let profiles = Profiles::new(store.clone());
        Ok(Self(Arc::new(Shared {
            config,
            resource_server,
            mcp_server,
            store,
            items,
            attachments,
            sweep,
            profiles,
            revocations,
            tasks,
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

    /// Authenticates and authorizes callers of the MCP endpoint, if there is one.
    pub(crate) fn mcp_server(&self) -> Option<&ResourceServer> {
        self.0.mcp_server.as_ref()
    }

    /// The verifier of access tokens.
    pub fn verifier(&self) -> &Verifier {
        self.0.resource_server.verifier()
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The items of every owner.
    pub fn items(&self) -> &Items {
        &self.0.items
    }

    /// The attachments of every owner's items.
    pub fn attachments(&self) -> &Attachments {
        &self.0.attachments
    }

    /// Removes what no request can remove.
    pub fn sweep(&self) -> &Sweep {
        &self.0.sweep
    }

    /// The profile of every owner.
    pub fn profiles(&self) -> &Profiles {
        &self.0.profiles
    }

    /// The sign-outs of the last 24 hours.
    pub(crate) fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }

    /// The rate limit of each caller.
    pub(crate) fn rate_limiter(&self) -> &RateLimiter {
        &self.0.rate_limiter
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The readiness check.
    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Starts the background work of a server: fetches the pool's keys, so that the first caller does not wait for them,
    /// and keeps the list of revoked tokens current. A failure is logged and repeated later.
    pub fn start(&self) {
        let verifier = self.verifier().clone();
        telemetry::observe_verifier(&verifier);
        tokio::spawn(async move { verifier.ready().await });
        tokio::spawn(self.revocations().clone().keep_current());
    }

    /// Reads the list of revoked tokens, for a second at most. A Lambda function has no background work; later reads come
    /// with its requests.
    pub async fn load_revocations(&self) {
        self.revocations().ensure_current().await;
    }

    /// Waits for work that goes on after its response, such as the removal of files. To be called when no more requests
    /// come.
    pub async fn finish(&self) {
        self.0.tasks.close();
        if tokio::time::timeout(self.config().limits.shutdown_timeout, self.0.tasks.wait()).await.is_err() {
            warn!("a removal did not finish in time; repeating the request or the next sweep finishes it");
        }
    }
}

impl FromRef<App> for ResourceServer {
    fn from_ref(app: &App) -> Self {
        app.resource_server().clone()
    }
}

impl FromRef<App> for Revocations {
    fn from_ref(app: &App) -> Self {
        app.revocations().clone()
    }
}

impl FromRef<App> for Items {
    fn from_ref(app: &App) -> Self {
        app.items().clone()
    }
}

impl FromRef<App> for Attachments {
    fn from_ref(app: &App) -> Self {
        app.attachments().clone()
    }
}

impl FromRef<App> for Profiles {
    fn from_ref(app: &App) -> Self {
        app.profiles().clone()
    }
}

impl FromRef<App> for Readiness {
    fn from_ref(app: &App) -> Self {
        app.readiness().clone()
    }
}

fn resource_server(config: &Config, verifier: Verifier) -> Result<ResourceServer, BuildError> {
    let builder = ResourceServer::builder(verifier).resource(config.resource());
    build(config, builder.resource_metadata(config.resource_metadata_url()))
}

/// The MCP endpoint is a resource of its own: a token that is bound to it opens none of the other routes.
fn mcp_server(config: &Config, verifier: Verifier) -> Result<ResourceServer, BuildError> {
    let builder = ResourceServer::builder(verifier).resource(config.mcp_resource());
    let builder = builder.resource_metadata(config.mcp_metadata_url());
    build(config, builder.challenge_scopes(checked_scopes(config).map(|(scope, _)| scope)))
}

/// Adds what holds for every resource.
fn build(config: &Config, builder: ResourceServerBuilder) -> Result<ResourceServer, BuildError> {
    let builder = match config.admin_max_age {
        Some(max_age) => builder.recent_sign_in(max_age),
        None => builder,
    };
    if config.cognito.require_scopes { builder.build() } else { builder.without_scope_checks().build() }
}
