//! Limits on what one request, one caller and one address may use at once.
//!
//! A request takes its caller's share first, then its body arrives, and only then it takes a slot: a slow client holds
//! nothing that others need.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cognito_auth::ResourceServer;
use http::{HeaderValue, StatusCode, header, request::Parts};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    App,
    client_address::client_address,
    config::Limits,
    models::owner::Owner,
    observe::RequestContext,
    problem::{Kind, Problem},
    rate_limit::{Permit, RateLimiter},
    rejection::Reason,
    server::{AddressBlock, Overflow, Peer},
};

/// Bodies up to this size are always accepted: 10 000 connections × 4 KiB = 40 MiB.
const SMALL_BODY_BYTES: u64 = 4 * 1024; // 4 KiB

/// What all larger bodies in memory may take together.
const LARGE_BODIES_KIB: usize = 32 * 1024; // 32 MiB

/// Answers up to this size fit into the send buffer; a caller's share is not held until they are sent.
const SMALL_ANSWER_BYTES: u64 = 8 * 1024; // 8 KiB

/// The limits of one server.
#[derive(Clone)]
pub(crate) struct RequestLimits(Arc<Shared>);

struct Shared {
    slots: Semaphore,
    large_bodies: Arc<Semaphore>,
    shares: Shares,
    body_bytes: usize,
    request_timeout: Duration,
    revocations_required: bool,
}

impl RequestLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        let body_kib = limits.body_bytes.div_ceil(1024);
        Self(Arc::new(Shared {
            slots: Semaphore::new(limits.concurrent_requests),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_KIB.max(2 * body_kib))),
            shares: Shares { limit: limits.concurrent_requests_per_caller, running: Arc::default() },
            body_bytes: limits.body_bytes,
            request_timeout: limits.request_timeout,
            revocations_required: limits.revocations_required,
        }))
    }
}

/// Reads the body and runs the request, within the limits. Without a resource server the routes are public.
pub(crate) async fn limit_request(
    State((app, server, limits)): State<(App, Option<ResourceServer>, RequestLimits)>,
    request: Request,
    next: Next,
) -> Response {
    if request.extensions().get::<Overflow>().is_some() {
        let problem = Problem::unavailable("The server has as many connections as it can hold.", 1);
        return closing(problem.rejection(Reason::Connections));
    }
    match run(&app, server.as_ref(), &limits.0, request, next).await {
        Ok(response) => response,
        Err(problem) if problem.status() == StatusCode::REQUEST_TIMEOUT => closing(problem),
        Err(problem) => problem.into_response(),
    }
}

async fn run(
    app: &App,
    server: Option<&ResourceServer>,
    limits: &Shared,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let deadline = Instant::now() + limits.request_timeout;
    let (mut parts, mut body) = request.into_parts();
    let share = match server {
        Some(server) => admit(app, server, limits, &mut parts, deadline).await?,
        None => None,
    };
    // Without a valid token the handler rejects the request and does not read the body.
    let is_read = share.is_some() || server.is_none();
    let mut body_memory = None;
    if is_read && !body.is_end_stream() {
        (body, body_memory) = collect(limits, body, deadline).await?;
    }
    let request = Request::from_parts(parts, body);
    let slot = limits.slots.try_acquire();
    let slot = slot.map_err(|_| {
        Problem::unavailable("The server has too much to do right now.", 1).rejection(Reason::Overload)
    })?;
    let response = tokio::time::timeout(limits.request_timeout, next.run(request)).await.map_err(|_| {
        let seconds = limits.request_timeout.as_secs();
        Problem::unavailable(format!("The request was not finished within {seconds} s."), 1)
    })?;
    drop((slot, body_memory));
    Ok(hold_until_sent(response, share))
}

/// Takes the caller's share, if there is a valid token.
async fn admit(
    app: &App,
    server: &ResourceServer,
    limits: &Shared,
    parts: &mut Parts,
    deadline: Instant,
) -> Result<Option<Share>, Problem> {
    app.revocations().ensure_current().await;
    let authentication = timeout_at(deadline, server.authenticate_request(parts)).await;
    let authentication = authentication.map_err(|_| {
        Problem::unavailable("The token could not be verified in time. Send the request again.", 1)
            .rejection(Reason::PendingKey)
    })?;
    let Ok(token) = authentication else { return Ok(None) };
    if let Some(context) = parts.extensions.get::<RequestContext>() {
        context.set_caller(&token);
    }
    if limits.revocations_required && app.revocations().is_stale() {
        return Err(Problem::unavailable("The server does not know which tokens are revoked right now.", 1));
    }
    limits.shares.take(&Owner::of(&token)).map(Some)
}

/// Collects the body before anything scarce is taken for the request.
async fn collect(
    limits: &Shared,
    body: Body,
    deadline: Instant,
) -> Result<(Body, Option<OwnedSemaphorePermit>), Problem> {
    let length = body.size_hint().exact();
    if length.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large());
    }
    let memory = body_memory(limits, length, deadline).await?;
    let collected = timeout_at(deadline, Limited::new(body, limits.body_bytes).collect()).await;
    let bytes: Bytes = collected.map_err(|_| too_slow())?.map_err(incomplete)?.to_bytes();
    Ok((Body::from(bytes), memory))
}

async fn body_memory(
    limits: &Shared,
    length: Option<u64>,
    deadline: Instant,
) -> Result<Option<OwnedSemaphorePermit>, Problem> {
    let bytes = length.unwrap_or(limits.body_bytes as u64);
    if bytes <= SMALL_BODY_BYTES {
        return Ok(None);
    }
    let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
    let permit = timeout_at(deadline, limits.large_bodies.clone().acquire_many_owned(kib)).await;
    match permit {
        Ok(Ok(permit)) => Ok(Some(permit)),
        _ => Err(Problem::unavailable("The server has too many large bodies to read right now.", 1)
            .rejection(Reason::LargeBodies)),
    }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than this server accepts.")
}

fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time. Send the request again.")
}

fn incomplete(error: Box<dyn std::error::Error + Send + Sync>) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    Problem::new(StatusCode::BAD_REQUEST, "The body did not arrive completely.").cause(error)
}

/// An answer after which the connection is closed (RFC 9110, section 15.5.9, asks for it with 408).
fn closing(problem: Problem) -> Response {
    problem.header(header::CONNECTION, HeaderValue::from_static("close")).into_response()
}

/// Counts an answer that a client has yet to read against its caller's share.
fn hold_until_sent(response: Response, share: Option<Share>) -> Response {
    match share {
        Some(share) if response.body().size_hint().lower() > SMALL_ANSWER_BYTES => {
            response.map(|body| Body::new(HeldAnswer { body, rest: Bytes::new(), _share: share }))
        }
        _ => response,
    }
}

/// An answer in parts, so that the connection asks for the next one only when it has sent most of the last.
struct HeldAnswer {
    body: Body,
    rest: Bytes,
    _share: Share,
}

impl http_body::Body for HeldAnswer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(SMALL_ANSWER_BYTES as usize);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        body.exact().map_or_else(SizeHint::default, |body| SizeHint::with_exact(rest + body))
    }
}

/// How many requests each caller has running; never more entries than requests.
#[derive(Clone)]
struct Shares {
    limit: usize,
    running: Arc<Mutex<HashMap<Owner, usize>>>,
}

/// One running request of a caller.
struct Share {
    shares: Shares,
    owner: Owner,
}

impl Shares {
    fn take(&self, owner: &Owner) -> Result<Share, Problem> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(owner.clone()).or_insert(0);
        if *count >= self.limit {
            let detail = format!("You may have {} requests running at once.", self.limit);
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
            let problem = problem.kind(Kind::TooManyConcurrentRequests).retry_after(1);
            return Err(problem.rejection(Reason::ConcurrentRequests));
        }
        *count += 1;
        Ok(Share { shares: self.clone(), owner: owner.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut running = self.shares.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.owner);
            }
        }
    }
}

/// The rejected requests that each address may send without a valid token.
#[derive(Clone)]
pub(crate) struct AddressLimit {
    limiter: RateLimiter<AddressBlock>,
    trusted_proxies: usize,
}

impl AddressLimit {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limiter = RateLimiter::new(limits.rejections_per_minute);
        Self { limiter, trusted_proxies: limits.trusted_proxies }
    }
}

/// Counts rejected requests without a valid token against their address. Beyond the limit the answer is 429 and the
/// connection is closed. Callers with a valid token are not affected by others at their address.
pub(crate) async fn limit_address(
    State(limit): State<AddressLimit>,
    request: Request,
    next: Next,
) -> Response {
    // A Lambda function has no connection; API Gateway limits there.
    let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
        return next.run(request).await;
    };
    let address = client_address(request.headers(), peer.ip(), limit.trusted_proxies);
    let context = request.extensions().get::<RequestContext>().cloned();
    let response = next.run(request).await;
    let has_caller = context.is_some_and(|context| context.has_caller());
    let status = response.status();
    // A key ID that nobody knows can be a 503, see `KeySetError::FetchPending`.
    if has_caller || !(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE) {
        return response;
    }
    match limit.limiter.check(&address.into(), 1) {
        Permit::Refused(_, wait) => {
            let detail = "Too many rejected requests came from your address.";
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds);
            closing(problem.rejection(Reason::AddressLimit))
        }
        Permit::Unlimited | Permit::Granted(_) => response,
    }
}
