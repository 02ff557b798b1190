//! Serves a pool on loopback addresses.

mod limits;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::limits::LimitedListener;
use crate::pool::LocalPool;

const MAX_CONNECTIONS: usize = 1024;
/// How long a client can take to send a request, idle time included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long running requests can take after the stop signal.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Listens on `port` of `127.0.0.1`, and of `::1` where the machine has IPv6.
///
/// # Errors
/// The error of the operating system when it cannot listen on `127.0.0.1`.
pub async fn bind_loopback(port: u16) -> io::Result<Vec<TcpListener>> {
    let v4 = TcpListener::bind(("127.0.0.1", port)).await?;
    let port = v4.local_addr()?.port();
    let v6 = TcpListener::bind(("::1", port)).await.ok();
    Ok(std::iter::once(v4).chain(v6).collect())
}

/// Serves `pool` on all `listeners` until `shutdown` is ready, and then gives running requests half a second.
///
/// Serves up to 1,024 connections at a time, and closes a connection whose client takes longer than 30 seconds to send
/// a request.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a listener on an address that is not a loopback address: other machines must not
/// reach a pool whose mailbox everybody can read.
pub async fn serve(
    pool: LocalPool,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listeners.iter().try_for_each(require_loopback)?;
    serve_on_any_address(pool, listeners, shutdown).await;
    Ok(())
}

/// Like [`serve`], on any address: for a container, whose own loopback address nobody else can reach.
///
/// Whoever can reach `listeners` can read the mailbox of the pool. Publish the container's port on `127.0.0.1` only.
pub async fn serve_on_any_address(
    pool: LocalPool,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(());
    let mut servers = JoinSet::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for listener in listeners {
        let mut stopping = stopping.clone();
        let stopped = async move { drop(stopping.changed().await) };
        let permits = permits.clone();
        let listener = LimitedListener { listener, permits, request_timeout: REQUEST_TIMEOUT };
        servers.spawn(axum::serve(listener, pool.router()).with_graceful_shutdown(stopped).into_future());
    }
    shutdown.await;
    drop(stop);
    // Requests that take longer are cut off when the runtime ends.
    drop(tokio::time::timeout(SHUTDOWN_GRACE, servers.join_all()).await);
}

fn require_loopback(listener: &TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("cannot serve a local user pool on {address}: it is not a loopback address");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
