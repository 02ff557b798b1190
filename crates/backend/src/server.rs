//! Serves HTTP/1.1 within limits, and stops without losing a request.
//!
//! [`bind`] opens a listener; [`serve`] accepts on it until it is told to stop, drains, and returns.

mod addresses;
mod connection;
mod listener;
mod stream;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderValue, header};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

pub use self::addresses::AddressBlock;
use self::{connection::Connection, stream::Buffers};
use crate::{config::Limits, shares::Shares};

/// How long a listener waits after a failed `accept` (usually EMFILE).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections are still accepted and served one request each after the stop signal. Handshakes that are under way
/// and requests that are just being sent on open connections arrive within it.
const DRAIN: Duration = Duration::from_millis(250);

/// Connections beyond `MAX_CONNECTIONS` that are accepted nevertheless, so that health checks are answered; see [`Overflow`].
const RESERVED_CONNECTIONS: usize = 64;

/// The address at the other end of a request's connection: a client or a proxy. An extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Marks a request on a connection beyond `MAX_CONNECTIONS`. Only health checks are answered there.
#[derive(Debug, Clone, Copy)]
pub struct Overflow;

/// Opens a listener.
///
/// # Errors
///
/// I/O errors of the socket, such as an address in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves `router` on all `listeners` until `stop` completes, then drains and returns.
///
/// A connection is closed if its client takes longer than `limits.header_timeout` to send a request's head (idle time
/// included), or does not read an answer for `limits.write_timeout`. Every connection that was established before the
/// listener closed is served one request. After `limits.shutdown_timeout` the rest is cut off.
///
/// # Errors
///
/// If a listener's address cannot be read.
pub async fn serve(
    router: Router,
    listeners: Vec<TcpListener>,
    limits: &Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let stopping = CancellationToken::new();
    let router = router.layer(middleware::from_fn_with_state(stopping.clone(), close_when_stopping));
    let server = Arc::new(Server {
        router,
        limits: limits.clone(),
        slots: Arc::new(Semaphore::new(limits.connections)),
        reserve: Arc::new(Semaphore::new(RESERVED_CONNECTIONS)),
        connections_per_address: Shares::new(match limits.connections_per_address {
            0 => usize::MAX,
            limit => limit,
        }),
        buffers: Buffers::new(limits),
        stopping,
        draining: CancellationToken::new(),
        cut: CancellationToken::new(),
        connections: TaskTracker::new(),
    });
    let accepting = TaskTracker::new();
    for listener in listeners {
        debug!(address = %listener.local_addr()?, "listening");
        accepting.spawn(server.clone().accept(listener));
    }
    stop.await;
    server.stopping.cancel();
    accepting.close();
    accepting.wait().await;
    server.drain().await;
    Ok(())
}

/// Announces the last answer on a connection (RFC 9112, section 9.6).
async fn close_when_stopping(
    State(stopping): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if stopping.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What all connections of a server share.
struct Server {
    router: Router,
    limits: Limits,
    slots: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    connections_per_address: Shares<AddressBlock>,
    buffers: Buffers,
    /// From here on every answer is the last one on its connection.
    stopping: CancellationToken,
    /// From here on connections without a request are closed.
    draining: CancellationToken,
    /// Cuts off what did not finish in time.
    cut: CancellationToken,
    connections: TaskTracker,
}

/// The place of a connection among all others.
enum Slot {
    Regular(#[expect(dead_code, reason = "held until the connection ends")] OwnedSemaphorePermit),
    Overflow(#[expect(dead_code, reason = "held until the connection ends")] OwnedSemaphorePermit),
    /// Established before the listener closed, accepted after the stop signal.
    Last,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                () = self.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer, slot)) => self.admit(stream, peer, slot),
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        let serve_last = |stream, peer| self.spawn(Connection::new(stream, peer, Slot::Last, None));
        listener::close(listener, DRAIN, serve_last).await;
    }

    async fn next(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr, Slot)> {
        let slot = match self.slots.clone().try_acquire_owned() {
            Ok(permit) => Slot::Regular(permit),
            Err(_) => tokio::select! {
                biased;
                permit = self.slots.clone().acquire_owned() => Slot::Regular(permit.map_err(io::Error::other)?),
                permit = self.reserve.clone().acquire_owned() => Slot::Overflow(permit.map_err(io::Error::other)?),
            },
        };
        let (stream, peer) = listener.accept().await?;
        // The place in the reserve may have been taken long ago.
        let slot = match slot {
            Slot::Overflow(_) => self.slots.clone().try_acquire_owned().map_or(slot, Slot::Regular),
            regular => regular,
        };
        Ok((stream, peer, slot))
    }

    /// Serves the connection, or resets it if its address has too many.
    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        match self.connections_per_address.take(&peer.ip().into(), 1) {
            Some(share) => self.spawn(Connection::new(stream, peer, slot, Some(share))),
            None => stream::reset(&stream),
        }
    }

    fn spawn(self: &Arc<Self>, connection: Connection) {
        self.connections.spawn(connection.run(self.clone()));
    }

    async fn drain(&self) {
        self.draining.cancel();
        self.connections.close();
        if tokio::time::timeout(self.limits.shutdown_timeout, self.connections.wait()).await.is_err() {
            warn!("some requests did not finish in time and were cut off");
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
///
/// # Errors
///
/// If the signal handlers cannot be installed.
pub async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
