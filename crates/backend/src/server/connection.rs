//! One connection from its first byte to its last.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, Version, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::ServiceExt;
use tracing::debug;

use super::{
    AddressBlock, Overflow, Peer, Server, Slot,
    stream::{Activity, ClientStream, MAX_HEAD_BYTES},
};
use crate::shares::Share;

/// How long a connection without a request may stay open when the server drains, or when it is one beyond the limit.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    share: Option<Share<AddressBlock>>,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        slot: Slot,
        share: Option<Share<AddressBlock>>,
    ) -> Self {
        Self { stream, peer, slot, share }
    }

    /// Serves requests until either side closes the connection.
    pub(super) async fn run(self, server: Arc<Server>) {
        let Self { stream, peer, slot, share } = self;
        let is_overflow = matches!(slot, Slot::Overflow(_));
        let activity = Arc::new(Activity::default());
        let (limits, stopping) = (&server.limits, server.stopping.clone());
        let stream = ClientStream::new(
            stream,
            peer.ip().into(),
            activity.clone(),
            server.buffers.clone(),
            limits.write_timeout,
            stopping,
        );
        let service = service_fn(|request| {
            activity.begin_request();
            let answer = answer(server.router.clone(), request, peer, is_overflow);
            let activity = activity.clone();
            async move {
                let response = answer.await;
                activity.end_request();
                Ok::<_, Infallible>(response)
            }
        });
        let header_timeout = if is_overflow {
            limits.header_timeout.min(FIRST_REQUEST_TIMEOUT)
        } else {
            limits.header_timeout
        };
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_buf_size(MAX_HEAD_BYTES)
                .keep_alive(!is_overflow)
                .serve_connection(TokioIo::new(stream), service)
        );
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = server.cut.cancelled() => return,
            () = server.draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    () = idle_too_long(&activity) => return,
                    () = server.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = result {
            debug!(%error, "a connection ended early");
        }
        drop((slot, share));
    }
}

/// Waits until a connection that should end has no request to finish.
async fn idle_too_long(activity: &Activity) {
    tokio::time::sleep(FIRST_REQUEST_TIMEOUT).await;
    while activity.is_active() {
        tokio::time::sleep(FIRST_REQUEST_TIMEOUT).await;
    }
}

async fn answer(
    router: axum::Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    is_overflow: bool,
) -> Response {
    if !has_valid_host(&request) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    request.extensions_mut().insert(Peer(peer));
    if is_overflow {
        request.extensions_mut().insert(Overflow);
    }
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// RFC 9112, section 3.2: HTTP/1.1 requests have exactly one `Host`, and no request has two.
fn has_valid_host(request: &Request<Incoming>) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() < Version::HTTP_11,
        1 => true,
        _ => false,
    }
}
