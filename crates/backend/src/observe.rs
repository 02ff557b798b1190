//! Observes every request: its ID, log line and metrics, and the body of a problem.
//!
//! This is the outermost layer. Never logged: tokens, claims that name a person, bodies, queries, presigned URLs. A caller
//! is logged as a keyed hash: it shows that two requests come from the same user, but not which user.

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use cognito_auth::AccessToken;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use opentelemetry::trace::FutureExt;
use tracing::{Instrument, Span, error_span, info};
use uuid::Uuid;

use crate::{
    metrics::Metrics,
    models::owner::Owner,
    problem::{PRIVATE, Problem},
    rate_limit::RateLimit,
    rejection::Sampler,
    telemetry::RequestSpan,
};

/// The header with the request ID, in requests and responses.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The target of audit events. They are logged whatever `RUST_LOG` says.
pub(crate) const AUDIT: &str = "audit";

/// What the log and the metrics need from the application.
#[derive(Clone)]
pub(crate) struct Observer {
    metrics: Metrics,
    key: Arc<hmac::Key>,
    rejections: Arc<Sampler>,
}

/// What the inner layers learn about a request, for the outermost one.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestContext(Arc<Findings>);

#[derive(Debug, Default)]
struct Findings {
    caller: OnceLock<AccessToken>,
    is_token_outdated: AtomicBool,
    rate_limit: OnceLock<RateLimit>,
    audit: OnceLock<Audit>,
    is_fault: AtomicBool,
}

/// An act that the log keeps for later questions: who did what to whom, and with which outcome.
#[derive(Debug)]
struct Audit {
    action: &'static str,
    subject: Owner,
}

impl Observer {
    /// `log_key` is the key of the hash of callers. Without one, a random key is used until the next start.
    pub(crate) fn new(metrics: Metrics, log_key: Option<&[u8]>) -> Self {
        let random = Uuid::new_v4();
        let key = hmac::Key::new(hmac::HMAC_SHA256, log_key.unwrap_or(random.as_bytes()));
        Self { metrics, key: Arc::new(key), rejections: Arc::new(Sampler::new()) }
    }

    fn caller_hash(&self, owner: &Owner) -> String {
        let tag = hmac::sign(&self.key, owner.partition_key().as_bytes());
        hex::encode(&tag.as_ref()[..8])
    }
}

impl RequestContext {
    /// Sets the caller.
    pub(crate) fn set_caller(&self, token: &AccessToken) {
        self.0.caller.get_or_init(|| token.clone());
    }

    /// Whether the request came with a valid token.
    pub(crate) fn has_caller(&self) -> bool {
        self.0.caller.get().is_some()
    }

    /// Notes that the token was valid before.
    pub(crate) fn set_token_outdated(&self) {
        self.0.is_token_outdated.store(true, Ordering::Relaxed);
    }

    /// Whether the request came with a token that has expired or was revoked.
    pub(crate) fn is_token_outdated(&self) -> bool {
        self.0.is_token_outdated.load(Ordering::Relaxed)
    }

    /// Makes this request an audit event: the caller performs the operation `action` on the data of `subject`. It is
    /// logged with the status of the response when the request ends.
    pub(crate) fn audit(&self, action: &'static str, subject: &Owner) {
        self.0.audit.get_or_init(|| Audit { action, subject: subject.clone() });
    }

    /// Notes that the server is at fault although the response does not say so: MCP reports failures with a status of 200.
    pub(crate) fn set_fault(&self) {
        self.0.is_fault.store(true, Ordering::Relaxed);
    }

    /// Sets the state of the caller's rate limit.
    pub(crate) fn set_rate_limit(&self, limit: RateLimit) {
        self.0.rate_limit.get_or_init(|| limit);
    }
}

/// For handlers; empty without the outermost layer.
impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// The layer around every request.
pub(crate) async fn observe(State(observer): State<Observer>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let trace = RequestSpan::start(&method, route.as_ref().map(MatchedPath::as_str), request.headers());
    let trace_id = match &trace {
        Some(trace) => Some(trace.trace_id()),
        None => trace_id(request.headers()).map(str::to_owned),
    };
    let context = RequestContext::default();
    request.extensions_mut().insert(context.clone());

    // The highest level, so that errors carry the request ID whatever `RUST_LOG` says.
    let span = error_span!("request", %request_id, trace_id);
    let mut record =
        Record { observer, context, method, route, started, span, trace, status: None, is_fault: false };
    let response = next.run(request).instrument(record.span.clone());
    let response = match &record.trace {
        Some(trace) => response.with_context(trace.context()).await,
        None => response.await,
    };
    let mut response = record.span.clone().in_scope(|| record.finish(response, &request_id));
    if record.context.has_caller() {
        response.headers_mut().insert(header::CACHE_CONTROL, PRIVATE);
    }
    if let Some(limit) = record.context.0.rate_limit.get() {
        add_rate_limit(response.headers_mut(), *limit);
    }
    record.status = Some(response.status());
    response
}

/// The record of a request for the log and the metrics, written when it ends.
struct Record {
    observer: Observer,
    context: RequestContext,
    method: Method,
    route: Option<MatchedPath>,
    started: Instant,
    span: Span,
    /// The span that is exported, if traces are.
    trace: Option<RequestSpan>,
    /// `None` if the client disconnected before there was a response.
    status: Option<StatusCode>,
    /// Whether the request failed by the server's fault.
    is_fault: bool,
}

/// The status for clients that disconnected before there was a response. Not a status of HTTP; nginx logs it, too.
const CLIENT_DISCONNECTED: u16 = 499;

impl Drop for Record {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let route = self.route.as_ref().map_or("", MatchedPath::as_str);
        let status = self.status.map_or(CLIENT_DISCONNECTED, |status| status.as_u16());
        self.observer.metrics.request(&self.method, route, status, elapsed);
        if let Some(trace) = &self.trace {
            trace.end(status, self.is_fault);
        }
        if self.is_fault {
            self.observer.metrics.fault(&self.method, route);
        }
        let _entered = self.span.enter();
        self.log_audit(status);
        if tracing::enabled!(tracing::Level::INFO) {
            self.log(route, status, elapsed);
        }
    }
}

impl Record {
    fn log(&self, route: &str, status: u16, elapsed: Duration) {
        let method = &self.method;
        let fault = self.is_fault.then_some(true);
        let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1000.0;
        match self.context.0.caller.get() {
            Some(token) => {
                let (user_pool, caller) =
                    (token.user_pool_id(), self.observer.caller_hash(&Owner::of(token)));
                info!(%method, route, status, fault, duration_ms, user_pool, caller, "request");
            }
            None => info!(%method, route, status, fault, duration_ms, "request"),
        }
    }

    fn log_audit(&self, status: u16) {
        let Findings { caller, audit, .. } = &*self.context.0;
        if let (Some(token), Some(Audit { action, subject })) = (caller.get(), audit.get()) {
            let (caller, user_pool) = (Owner::of(token), token.user_pool_id());
            let (caller, subject) = (self.observer.caller_hash(&caller), self.observer.caller_hash(subject));
            info!(target: AUDIT, action, user_pool, caller, subject, status, "audit");
        }
    }

    /// Writes the body of a problem, logs its cause once, and adds the request ID.
    fn finish(&mut self, mut response: Response, request_id: &str) -> Response {
        self.is_fault = self.context.0.is_fault.load(Ordering::Relaxed);
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            self.is_fault |= problem.is_fault();
            self.log_problem(&problem);
            response = render(&problem, &response, request_id);
        }
        if let Ok(value) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        response
    }

    /// Logs why a request failed or, for some, why it was rejected.
    fn log_problem(&self, problem: &Problem) {
        problem.log_cause();
        if let Some(reason) = problem.reason() {
            self.observer.metrics.rejection(reason);
            if let Some(left_out) = self.observer.rejections.sample(reason) {
                let (reason, cause) = (reason.name(), problem.cause_chain());
                info!(reason, cause, left_out, "rejected");
            }
        }
    }
}

/// Renders a problem. Headers of the inner layers, such as `Allow` and those of CORS, stay.
fn render(problem: &Problem, response: &Response, request_id: &str) -> Response {
    let mut rendered = problem.render(request_id);
    for name in response.headers().keys().filter(|name| *name != header::CONTENT_LENGTH) {
        if !rendered.headers().contains_key(name) {
            let values = response.headers().get_all(name).iter().cloned();
            rendered.headers_mut().extend(values.map(|value| (Some(name.clone()), value)));
        }
    }
    rendered
}

/// Returns the client's own request ID if it is harmless, otherwise a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_harmless = |id: &&str| {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (1..=128).contains(&id.len()) && is_plain
    };
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_harmless);
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Returns the ID of the trace that the request belongs to (W3C Trace Context, section 3.2).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace_id, parent_id) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_valid = is_hex(version, 2) && is_hex(trace_id, 32) && is_hex(parent_id, 16);
    (is_valid && version != "ff" && trace_id.bytes().any(|byte| byte != b'0')).then_some(trace_id)
}

/// Adds the headers of draft-ietf-httpapi-ratelimit-headers-10, sections 2 and 3.
fn add_rate_limit(headers: &mut HeaderMap, limit: RateLimit) {
    let policy = format!("\"caller\";q={};w=60", limit.per_minute);
    let standing = format!("\"caller\";r={};t={}", limit.remaining, limit.reset_seconds);
    if let (Ok(policy), Ok(standing)) = (HeaderValue::try_from(policy), HeaderValue::try_from(standing)) {
        headers.insert(HeaderName::from_static("ratelimit-policy"), policy);
        headers.insert(HeaderName::from_static("ratelimit"), standing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_a_safe_request_id_is_accepted() {
        assert_eq!(request_id(&headers("x-request-id", "abc-1.2_3")), "abc-1.2_3");
        for id in ["", "a b", "a\"b", "é", &"x".repeat(129)] {
            assert_ne!(request_id(&headers("x-request-id", id)), id);
        }
    }

    #[test]
    fn trace_id_is_taken_from_traceparent() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let valid = headers("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
        assert_eq!(trace_id(&valid), Some(trace));
        for invalid in ["", "00", "00-zz-00f067aa0ba902b7-01", &format!("ff-{trace}-00f067aa0ba902b7-01")] {
            assert_eq!(trace_id(&headers("traceparent", invalid)), None, "{invalid}");
        }
    }

    #[test]
    fn callers_are_distinguished_in_the_log_without_their_names() {
        let observer = Observer::new(Metrics::default(), Some(b"key"));
        let (alice, bob) = (Owner::user("p", "alice"), Owner::user("p", "bob"));
        assert_eq!(observer.caller_hash(&alice), observer.caller_hash(&alice));
        assert_ne!(observer.caller_hash(&alice), observer.caller_hash(&bob));
        assert_ne!(Observer::new(Metrics::default(), None).caller_hash(&alice), observer.caller_hash(&alice));
    }
}
