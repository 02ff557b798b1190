//! Traces and metrics, as a collector receives them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as AnyValue},
    trace::v1::{Span, span::SpanKind, status::StatusCode as SpanStatus},
};
use prost::Message;
use serde_json::{Value, json};

use crate::support::{Server, free_address};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A receiver of OTLP over HTTP.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<Bytes>>>,
    metrics: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    /// Starts it; returns its URL, too.
    async fn start() -> (Self, String) {
        async fn receive_traces(State(collector): State<Collector>, body: Bytes) {
            collector.traces.lock().unwrap().push(body);
        }
        async fn receive_metrics(State(collector): State<Collector>, body: Bytes) {
            collector.metrics.lock().unwrap().push(body);
        }
        let collector = Self::default();
        let router = Router::new()
            .route("/v1/traces", post(receive_traces))
            .route("/v1/metrics", post(receive_metrics))
            .with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, url)
    }

    fn spans(&self) -> Vec<Span> {
        let bodies = self.traces.lock().unwrap().clone();
        let requests = bodies.into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans).inspect(|resource| {
            let service = attribute(&resource.resource.as_ref().unwrap().attributes, "service.name");
            assert_eq!(service, Some(json!("backend")));
        });
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    fn metric_names(&self) -> BTreeSet<String> {
        let bodies = self.metrics.lock().unwrap().clone();
        let requests = bodies.into_iter().map(|body| ExportMetricsServiceRequest::decode(body).unwrap());
        let scopes =
            requests.flat_map(|request| request.resource_metrics).flat_map(|found| found.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name).collect()
    }

    /// Whether a text is anywhere in what was received.
    fn has_received(&self, text: &str) -> bool {
        let bodies = [&self.traces, &self.metrics].map(|bodies| bodies.lock().unwrap().clone());
        bodies.iter().flatten().any(|body| String::from_utf8_lossy(body).contains(text))
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Option<Value> {
    fn json(value: &AnyValue) -> Value {
        match value {
            AnyValue::StringValue(text) => json!(text),
            AnyValue::IntValue(number) => json!(number),
            AnyValue::ArrayValue(array) => {
                array.values.iter().filter_map(|value| value.value.as_ref()).map(json).collect()
            }
            other => panic!("{other:?}"),
        }
    }
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.as_ref()?.value.as_ref().map(json)
}

/// Stops the server, which exports what is left, and returns its log.
async fn stop(server: Server) -> String {
    server.terminate();
    // The collector and DynamoDB run on this test's own threads.
    let (status, log) = tokio::task::spawn_blocking(move || server.wait()).await.unwrap();
    assert!(status.success(), "{log}");
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_their_calls_are_spans_of_the_callers_trace() {
    let (collector, url) = Collector::start().await;
    let server = Server::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("LOG_FORMAT", "json")]).await;
    let (client, token) = (server.client(), server.token("wonderland-alice"));
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let items = format!("{}/items?limit=1", server.url);
    let new = json!({"title": "secret-title"});
    let create = client.post(&items).bearer_auth(&token).json(&new);
    let create = create.header("traceparent", &traceparent).header("tracestate", "secret=state");
    let created: Value = create.send().await.unwrap().json().await.unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    let attachments = format!("{}/items/{id}/attachments", server.url);
    let file = json!({"filename": "secret-file", "content_type": "text/plain", "size": 1});
    client.post(&attachments).bearer_auth(&token).json(&file).send().await.unwrap();
    client.get(&attachments).bearer_auth(&token).send().await.unwrap();
    client.get(&items).bearer_auth("secret-token").send().await.unwrap();
    let log = stop(server).await;

    let spans = collector.spans();
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
    };
    let request = named("POST /items");
    assert_eq!(
        (hex::encode(&request.trace_id), hex::encode(&request.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(request.kind(), SpanKind::Server);
    let of_request = |name| attribute(&request.attributes, name);
    assert_eq!(of_request("http.request.method"), Some(json!("POST")));
    assert_eq!(of_request("http.route"), Some(json!("/items")));
    assert_eq!(of_request("http.response.status_code"), Some(json!(201)));
    assert_eq!(of_request("url.scheme"), Some(json!("http")));

    let put = named("DynamoDB.PutItem");
    assert_eq!((&put.trace_id, &put.parent_span_id), (&request.trace_id, &request.span_id));
    assert_eq!(put.kind(), SpanKind::Client);
    assert_eq!(attribute(&put.attributes, "aws.attempts"), Some(json!(1)));
    let capacity = attribute(&put.attributes, "aws.dynamodb.consumed_capacity").unwrap();
    let capacity: Value = serde_json::from_str(capacity[0].as_str().unwrap()).unwrap();
    assert_eq!((&capacity["TableName"], capacity["CapacityUnits"].as_f64()), (&json!("items"), Some(1.0)));

    let list = named("S3.ListObjectsV2");
    assert_eq!(list.parent_span_id, named("GET /items/{id}/attachments").span_id);
    assert!(spans.iter().all(|span| span.name != "S3.PutObject"), "presigning is not a call");
    let rejected = named("GET /items");
    assert_eq!(attribute(&rejected.attributes, "http.response.status_code"), Some(json!(401)));
    assert_eq!(rejected.status.as_ref().map_or(0, |status| status.code), SpanStatus::Unset as i32);
    assert!(spans.iter().all(|span| !span.name.contains("/health")), "health checks are not traced");

    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: BTreeSet<_> = lines
        .filter(|line| line["message"] == "request" && line["route"] == "/items")
        .map(|line| line["span"]["trace_id"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(ids, BTreeSet::from([TRACE.to_owned(), hex::encode(&rejected.trace_id)]));

    let mut secrets = vec!["wonderland-", "secret", "limit=1", &id];
    secrets.extend(token.split('.'));
    for secret in secrets {
        assert!(!collector.has_received(secret), "{secret} is exported");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_request_and_its_attempts_are_errors() {
    let (collector, url) = Collector::start().await;
    let mut server = Server::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    let token = server.token("alice");
    server.stop_dynamodb().await;
    let answer =
        server.client().get(format!("{}/items", server.url)).bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    stop(server).await;
    let spans = collector.spans();
    let request = spans.iter().find(|span| span.name == "GET /items").unwrap();
    assert_eq!(request.status.as_ref().unwrap().code, SpanStatus::Error as i32);
    assert_eq!(attribute(&request.attributes, "error.type"), Some(json!("503")));
    let query = spans.iter().find(|span| span.name == "DynamoDB.Query").unwrap();
    assert_eq!(query.parent_span_id, request.span_id);
    assert_eq!(attribute(&query.attributes, "aws.attempts"), Some(json!(4)));
    assert!(attribute(&query.attributes, "error.type").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_exported() {
    let (collector, url) = Collector::start().await;
    let server =
        Server::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("OTEL_TRACES_EXPORTER", "none")]).await;
    let items = format!("{}/items", server.url);
    server.client().get(&items).bearer_auth(server.token("alice")).send().await.unwrap();
    server.client().get(&items).send().await.unwrap();
    stop(server).await;
    let names = collector.metric_names();
    for name in [
        "http.server.request.duration",
        "backend.rejections",
        "backend.dynamodb.calls",
        "backend.token.verifications",
        "backend.key_set.age",
    ] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    assert!(collector.spans().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreachable_collector_disturbs_neither_requests_nor_the_stop() {
    let endpoint = format!("http://{}", free_address());
    let server = Server::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    let items = format!("{}/items", server.url);
    let answer = server.client().get(&items).bearer_auth(server.token("alice")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK.as_u16());
    let started = Instant::now();
    stop(server).await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

/// The dashboard is of use only as long as the server counts what it shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dashboard_names_only_metrics_that_exist() {
    let address = free_address();
    let mut server = Server::start(&[("METRICS_ADDRESS", &address)]).await;
    let (client, items) = (server.client(), format!("{}/items", server.url));
    let token = server.token("alice");
    client.get(&items).bearer_auth("nonsense").send().await.unwrap();
    server.stop_dynamodb().await;
    assert_eq!(client.get(&items).bearer_auth(&token).send().await.unwrap().status(), 503);
    let text = client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    let names: BTreeSet<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();

    let dashboard = include_str!("../../../../deploy/grafana-dashboard.json");
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut shown = BTreeSet::new();
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let expression = target["expr"].as_str().unwrap();
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics: Vec<_> = words.filter(|word| is_metric(word)).collect();
        assert!(!metrics.is_empty(), "{expression}");
        for metric in metrics {
            assert!(names.contains(metric), "{metric} of {expression} is not in\n{text}");
            shown.insert(metric.to_owned());
        }
    }
    assert!(shown.len() >= 7, "{shown:?}");
}

/// All metrics of the server begin like this; functions and labels of PromQL do not.
fn is_metric(word: &str) -> bool {
    let prefixes = ["http_re", "http_faults", "token_", "key_set_", "dynamodb_"];
    prefixes.iter().any(|prefix| word.starts_with(prefix))
}
