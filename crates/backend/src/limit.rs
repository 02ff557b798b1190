//! Limits on what requests and callers may use at once.
//!
//! A request takes its caller's share first, then its body arrives, and only then it takes a slot: a slow client holds
//! nothing that others need.

use std::{
    hash::Hash,
    pin::Pin,
    sync::Arc,
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
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    App, auth,
    config::Limits,
    models::owner::Owner,
    problem::{Kind, Problem},
    rejection::Reason,
    server::{AddressBlock, Overflow},
    shares::{Share, Shares},
};

/// Bodies up to this size are always accepted: 10 000 connections × 4 KiB = 40 MiB.
const SMALL_BODY_BYTES: u64 = 4 * 1024; // 4 KiB

/// How long a rejected request's body is waited for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What all larger bodies in memory may take together, or two bodies of the largest size, if that is more.
const LARGE_BODIES_KIB: usize = 32 * 1024; // 32 MiB

/// The parts of it that one caller and one address may take, but at least one body of the largest size.
const CALLERS: usize = 16;
const ADDRESSES: usize = 4;

/// How long a request waits for a slot. The wait is short, because a late answer is worth less than an early rejection.
const SLOT_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a rejection for want of a slot is held back. Many clients repeat a request at once, and rejections that cost
/// as much as answers would leave little time for answers.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(900);

/// Answers up to this size fit into the send buffer; a caller's share is not held until they are sent.
const SMALL_ANSWER_BYTES: u64 = 8 * 1024; // 8 KiB

/// The limits of one server.
#[derive(Clone)]
pub(crate) struct RequestLimits(Arc<Shared>);

struct Shared {
    slots: Semaphore,
    large_bodies: LargeBodies,
    running: Shares<Owner>,
    running_per_caller: usize,
    body_bytes: usize,
    request_timeout: Duration,
    revocations_required: bool,
}

impl RequestLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Shared {
            slots: Semaphore::new(limits.concurrent_requests),
            large_bodies: LargeBodies::new(limits.body_bytes),
            running: Shares::new(limits.concurrent_requests_per_caller),
            running_per_caller: limits.concurrent_requests_per_caller,
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
        let client = (share.as_ref().map(Share::key), parts.extensions.get().copied());
        (body, body_memory) = collect(limits, body, client, deadline).await?;
    } else {
        body = drained(body).await;
    }
    let request = Request::from_parts(parts, body);
    let Ok(Ok(slot)) = timeout(SLOT_TIMEOUT, limits.slots.acquire()).await else {
        drop((request, body_memory));
        sleep(OVERLOAD_PAUSE).await;
        let problem = Problem::unavailable("The server has too much to do right now.", 1);
        return Err(problem.rejection(Reason::Overload));
    };
    let response = timeout(limits.request_timeout, next.run(request)).await.map_err(|_| {
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
) -> Result<Option<Share<Owner>>, Problem> {
    app.revocations().ensure_current().await;
    let authentication = timeout_at(deadline, auth::authenticate(server, parts)).await;
    let authentication = authentication.map_err(|_| {
        Problem::unavailable("The token could not be verified in time. Send the request again.", 1)
            .rejection(Reason::PendingKey)
    })?;
    let Ok(token) = authentication else { return Ok(None) };
    if limits.revocations_required && app.revocations().is_stale() {
        return Err(Problem::unavailable("The server does not know which tokens are revoked right now.", 1));
    }
    let running = limits.running.take(&Owner::of(&token), 1);
    running.map(Some).ok_or_else(|| {
        let detail = format!("You may have {} requests running at once.", limits.running_per_caller);
        too_many_at_once(detail).rejection(Reason::ConcurrentRequests)
    })
}

/// Reads a small body that nobody wants. A client that is still sending when the connection is closed never sees the
/// response: the first request of an AI client, for example, learns from its 401 where to sign in.
async fn drained(mut body: Body) -> Body {
    if body.size_hint().exact().is_none_or(|length| length > SMALL_BODY_BYTES) {
        return body;
    }
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(DRAIN_TIMEOUT, all).await;
    Body::empty()
}

/// Collects the body before anything scarce is taken for the request.
async fn collect(
    limits: &Shared,
    body: Body,
    client: Client<'_>,
    deadline: Instant,
) -> Result<(Body, Option<BodyMemory>), Problem> {
    let length = body.size_hint().exact();
    if length.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(too_large());
    }
    let bytes = length.unwrap_or(limits.body_bytes as u64);
    let memory = limits.large_bodies.take(bytes, client, deadline).await?;
    let collected = timeout_at(deadline, Limited::new(body, limits.body_bytes).collect()).await;
    let bytes: Bytes = collected.map_err(|_| too_slow())?.map_err(incomplete)?.to_bytes();
    Ok((Body::from(bytes), memory))
}

/// The memory for bodies of more than [`SMALL_BODY_BYTES`], in KiB.
struct LargeBodies {
    all: Arc<Semaphore>,
    by_caller: Shares<Owner>,
    by_address: Shares<AddressBlock>,
}

/// The caller and the address that send a body, as far as they are known.
type Client<'a> = (Option<&'a Owner>, Option<AddressBlock>);

/// The memory of one large body.
struct BodyMemory {
    _own: (Option<Share<Owner>>, Option<Share<AddressBlock>>),
    _all: OwnedSemaphorePermit,
}

impl LargeBodies {
    fn new(max_body_bytes: usize) -> Self {
        let largest = max_body_bytes.div_ceil(1024);
        let all = LARGE_BODIES_KIB.max(2 * largest);
        Self {
            all: Arc::new(Semaphore::new(all)),
            by_caller: Shares::new(largest.max(all / CALLERS)),
            by_address: Shares::new(largest.max(all / ADDRESSES)),
        }
    }

    /// Takes memory from the share of the client, and then waits until as much is free.
    async fn take(
        &self,
        bytes: u64,
        (caller, address): Client<'_>,
        deadline: Instant,
    ) -> Result<Option<BodyMemory>, Problem> {
        if bytes <= SMALL_BODY_BYTES {
            return Ok(None);
        }
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let own = (
            share_of(&self.by_caller, caller, kib as usize)?,
            share_of(&self.by_address, address.as_ref(), kib as usize)?,
        );
        match timeout_at(deadline, self.all.clone().acquire_many_owned(kib)).await {
            Ok(Ok(permit)) => Ok(Some(BodyMemory { _own: own, _all: permit })),
            _ => Err(Problem::unavailable("The server has too many large bodies to read right now.", 1)
                .rejection(Reason::LargeBodies)),
        }
    }
}

/// Takes an amount for a key, if there is one.
fn share_of<K: Clone + Eq + Hash>(
    shares: &Shares<K>,
    key: Option<&K>,
    amount: usize,
) -> Result<Option<Share<K>>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let share = shares.take(key, amount);
    share.map(Some).ok_or_else(|| {
        too_many_at_once("You, or your address, are sending too many large bodies at once.".to_owned())
            .rejection(Reason::LargeBodies)
    })
}

fn too_many_at_once(detail: String) -> Problem {
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
    problem.kind(Kind::TooManyConcurrentRequests).retry_after(1)
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
pub(crate) fn closing(problem: Problem) -> Response {
    problem.header(header::CONNECTION, HeaderValue::from_static("close")).into_response()
}

/// Counts an answer that a client has yet to read against its caller's share.
fn hold_until_sent(response: Response, share: Option<Share<Owner>>) -> Response {
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
    _share: Share<Owner>,
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
