//! Metrics for Prometheus, served if `METRICS_ADDRESS` is set.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use cognito_auth::Stats;
use http::Method;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use crate::{
    rejection::Reason,
    telemetry::{self, LATENCY_BUCKETS, verifications},
};

/// The media type of the OpenMetrics text format, which Prometheus reads.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics. A clone is a handle to the same metrics.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    rejections: Family<ReasonLabels, Counter>,
    faults: Family<RouteLabels, Counter>,
    dynamodb_calls: Family<CallLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    user_pool: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    user_pool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: String,
    outcome: String,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(latency_histogram),
            rejections: Family::default(),
            faults: Family::default(),
            dynamodb_calls: Family::default(),
        }
    }
}

impl Metrics {
    /// Counts a request. Routes are counted as declared, and unknown methods together, so that clients cannot create
    /// series.
    pub fn request(&self, method: &Method, route: &str, status: u16, elapsed: Duration) {
        if let Some(instruments) = telemetry::instruments() {
            instruments.request(method, route, status, elapsed);
        }
        let labels = RouteLabels::new(method, route);
        self.0.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
        let RouteLabels { method, route } = labels;
        self.0.requests.get_or_create(&RequestLabels { method, route, status }).inc();
    }

    /// Counts a rejected request.
    pub(crate) fn rejection(&self, reason: Reason) {
        if let Some(instruments) = telemetry::instruments() {
            instruments.rejection(reason.name());
        }
        self.0.rejections.get_or_create(&ReasonLabels { reason: reason.name() }).inc();
    }

    /// Counts a request that failed by the server's fault.
    pub(crate) fn fault(&self, method: &Method, route: &str) {
        if let Some(instruments) = telemetry::instruments() {
            instruments.fault(method, route);
        }
        self.0.faults.get_or_create(&RouteLabels::new(method, route)).inc();
    }

    /// Counts a call of DynamoDB.
    pub fn dynamodb_call(&self, operation: &str, outcome: &str) {
        if let Some(instruments) = telemetry::instruments() {
            instruments.dynamodb_call(operation, outcome);
        }
        let labels = CallLabels { operation: operation.to_owned(), outcome: outcome.to_owned() };
        self.0.dynamodb_calls.get_or_create(&labels).inc();
    }

    /// Returns the number of calls of DynamoDB since startup, by operation and outcome.
    pub fn dynamodb_calls(&self, operation: &str, outcome: &str) -> u64 {
        let labels = CallLabels { operation: operation.to_owned(), outcome: outcome.to_owned() };
        self.0.dynamodb_calls.get(&labels).map_or(0, |counter| counter.get())
    }

    /// Returns all metrics, also the verifier's, in the OpenMetrics text format.
    ///
    /// # Errors
    ///
    /// If a value cannot be written as text.
    pub fn encode(&self, verifier: &Stats) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        registry.register("http_requests", "Requests by route and status", self.0.requests.clone());
        registry.register("http_request_duration_seconds", "Time to the answer", self.0.durations.clone());
        registry.register("http_rejections", "Rejected requests by reason", self.0.rejections.clone());
        registry.register("http_faults", "Requests that the server failed", self.0.faults.clone());
        registry.register("dynamodb_calls", "Calls of DynamoDB by outcome", self.0.dynamodb_calls.clone());
        register_verifier(&mut registry, verifier);
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl RouteLabels {
    fn new(method: &Method, route: &str) -> Self {
        let is_known = matches!(
            *method,
            Method::GET
                | Method::HEAD
                | Method::POST
                | Method::PUT
                | Method::PATCH
                | Method::DELETE
                | Method::OPTIONS
        );
        let method = if is_known { method.as_str() } else { "other" };
        Self { method: method.to_owned(), route: route.to_owned() }
    }
}

fn register_verifier(registry: &mut Registry, stats: &Stats) {
    let tokens = Family::<OutcomeLabels, Counter>::default();
    for (outcome, count) in verifications(stats) {
        tokens.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
    }
    registry.register("token_verifications", "Access tokens by what became of them", tokens);
    let hits = ConstCounter::new(stats.cache_hits);
    registry.register("token_cache_hits", "Accepted tokens that were verified before", hits);
    let fetches = Family::<FetchLabels, Counter>::default();
    let ages = Family::<PoolLabels, Gauge<f64, AtomicU64>>::default();
    for pool in &stats.pools {
        let label = |outcome| FetchLabels { user_pool: pool.user_pool_id.clone(), outcome };
        fetches.get_or_create(&label("ok")).inc_by(pool.fetches.saturating_sub(pool.failed_fetches));
        fetches.get_or_create(&label("failed")).inc_by(pool.failed_fetches);
        if let Some(age) = pool.key_set_age {
            let labels = PoolLabels { user_pool: pool.user_pool_id.clone() };
            ages.get_or_create(&labels).set(age.as_secs_f64());
        }
    }
    registry.register("key_set_fetches", "Fetches of the key set by outcome", fetches);
    registry.register("key_set_age_seconds", "Time since the key set was fetched", ages);
}

fn latency_histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}
