//! The metrics as OpenTelemetry exports them, besides those for Prometheus.

use std::time::Duration;

use cognito_auth::{Stats, Verifier};
use http::Method;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};

use super::requests::method_name;

/// The buckets of latencies in seconds: from the fastest response with a cached token to the request timeout and beyond.
pub(crate) const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The instruments.
#[derive(Debug)]
pub(crate) struct Instruments {
    meter: Meter,
    request_duration: Histogram<f64>,
    faults: Counter<u64>,
    rejections: Counter<u64>,
    dynamodb_calls: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: Meter) -> Self {
        let request_duration = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("Time to the answer")
            .with_boundaries(LATENCY_BUCKETS.to_vec());
        Self {
            request_duration: request_duration.build(),
            faults: meter.u64_counter("backend.faults").build(),
            rejections: meter.u64_counter("backend.rejections").build(),
            dynamodb_calls: meter.u64_counter("backend.dynamodb.calls").build(),
            meter,
        }
    }

    /// Records a request.
    pub(crate) fn request(&self, method: &Method, route: &str, status: u16, elapsed: Duration) {
        let mut attributes = route_attributes(method, route);
        attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        self.request_duration.record(elapsed.as_secs_f64(), &attributes);
    }

    /// Counts a request that failed by the server's fault.
    pub(crate) fn fault(&self, method: &Method, route: &str) {
        self.faults.add(1, &route_attributes(method, route));
    }

    /// Counts a rejected request.
    pub(crate) fn rejection(&self, reason: &'static str) {
        self.rejections.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// Counts a call of DynamoDB.
    pub(crate) fn dynamodb_call(&self, operation: &str, outcome: &str) {
        let operation = KeyValue::new("db.operation.name", operation.to_owned());
        self.dynamodb_calls.add(1, &[operation, KeyValue::new("outcome", outcome.to_owned())]);
    }

    /// Reads the verifier's statistics at each export.
    pub(super) fn observe_verifier(&self, verifier: &Verifier) {
        let stats = verifier.clone();
        self.meter
            .u64_observable_counter("backend.token.verifications")
            .with_callback(move |observer| {
                for (outcome, count) in verifications(&stats.stats()) {
                    observer.observe(count, &[KeyValue::new("outcome", outcome)]);
                }
            })
            .build();
        let stats = verifier.clone();
        self.meter
            .f64_observable_gauge("backend.key_set.age")
            .with_unit("s")
            .with_callback(move |observer| {
                for pool in stats.stats().pools {
                    if let Some(age) = pool.key_set_age {
                        observer.observe(age.as_secs_f64(), &[KeyValue::new("user_pool", pool.user_pool_id)]);
                    }
                }
            })
            .build();
    }
}

/// Returns the number of verified tokens by outcome.
pub(crate) fn verifications(stats: &Stats) -> [(&'static str, u64); 4] {
    [
        ("accepted", stats.accepted),
        ("expired", stats.expired),
        ("refused", stats.rejected),
        ("keys_unavailable", stats.keys_unavailable),
    ]
}

fn route_attributes(method: &Method, route: &str) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new("http.request.method", method_name(method))];
    if !route.is_empty() {
        attributes.push(KeyValue::new("http.route", route.to_owned()));
    }
    attributes
}
