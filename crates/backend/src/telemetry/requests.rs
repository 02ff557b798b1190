//! A span for each request, by the semantic conventions for HTTP servers:
//! <https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server>
//!
//! `url.path` and `url.query` are left out, because they name users and items.

use http::{HeaderMap, Method};
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::TELEMETRY;

/// The span of a request.
pub(crate) struct RequestSpan(Context);

impl RequestSpan {
    /// Starts the span, if traces are exported. It continues the trace of `traceparent`. Health checks have none.
    pub(crate) fn start(method: &Method, route: Option<&str>, headers: &HeaderMap) -> Option<Self> {
        let telemetry = TELEMETRY.get()?;
        let tracer = telemetry.tracer.as_ref()?;
        if route.is_some_and(|route| route.starts_with("/health/")) {
            return None;
        }
        let method = method_name(method);
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", telemetry.scheme.clone()),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Traceparent(headers));
        let span = tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes);
        let span = span.start_with_context(tracer, &parent);
        Some(Self(parent.with_span(span)))
    }

    /// Returns the context in which the request is handled.
    pub(crate) fn context(&self) -> Context {
        self.0.clone()
    }

    /// Returns the ID of the trace.
    pub(crate) fn trace_id(&self) -> String {
        self.0.span().span_context().trace_id().to_string()
    }

    /// Ends the span.
    pub(crate) fn end(&self, status: u16, is_fault: bool) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if is_fault {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Returns the method as the conventions name it, so that callers cannot create series and names of spans.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Reads `traceparent` alone: `tracestate` holds whatever its sender wants to.
struct Traceparent<'a>(&'a HeaderMap);

impl Extractor for Traceparent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        if name == "traceparent" { self.0.get(name)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}
