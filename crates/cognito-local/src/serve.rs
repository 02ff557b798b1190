//! Serves a pool on loopback addresses.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::pool::LocalPool;

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
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a listener on an address that is not a loopback address: other machines must not
/// reach a pool whose mailbox everybody can read.
pub async fn serve(
    pool: LocalPool,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listeners.iter().try_for_each(require_loopback)?;
    let (stop, stopping) = watch::channel(());
    let mut servers = JoinSet::new();
    for listener in listeners {
        let mut stopping = stopping.clone();
        let stopped = async move { drop(stopping.changed().await) };
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        servers.spawn(axum::serve(listener, pool.router()).with_graceful_shutdown(stopped).into_future());
    }
    shutdown.await;
    drop(stop);
    // Requests that take longer are cut off when the runtime ends.
    drop(tokio::time::timeout(SHUTDOWN_GRACE, servers.join_all()).await);
    Ok(())
}

fn require_loopback(listener: &TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("cannot serve a local user pool on {address}: it is not a loopback address");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
