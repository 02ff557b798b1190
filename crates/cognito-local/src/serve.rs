//! Serving a pool on loopback addresses.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::pool::LocalPool;

/// How long a client may take to send the head of a request, or to stay connected without sending one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in flight may take once the pool is told to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);
const MAX_CONNECTIONS: usize = 1024;

/// Serves `pool` on all `listeners` until `shutdown` is ready, then lets the requests in flight end, for half a second.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when a listener is bound to an address that is not a loopback address: a pool whose
/// mailbox anybody can read must not be reachable from other machines.
pub async fn serve(
    pool: LocalPool,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    for listener in &listeners {
        require_loopback(listener)?;
    }
    let mut connections = accept(listeners);
    let service = TowerToHyperService::new(pool.router());
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, permit) = tokio::select! {
            () = &mut shutdown => break,
            accepted = connections.recv() => match accepted {
                Some(accepted) => accepted,
                None => break,
            },
        };
        let connection = builder().serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(connections);
    // Whoever has not finished by then is cut off when the runtime ends.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await;
    Ok(())
}

fn require_loopback(listener: &TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("a local user pool listens on loopback addresses only, not on {address}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
}

type Accepted = (TcpStream, tokio::sync::OwnedSemaphorePermit);

/// Accepts on every listener, as long as the receiver is there.
fn accept(listeners: Vec<TcpListener>) -> mpsc::Receiver<Accepted> {
    let (sender, receiver) = mpsc::channel(1);
    let slots = std::sync::Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for listener in listeners {
        let (sender, slots) = (sender.clone(), slots.clone());
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = sender.closed() => return,
                    accepted = next_connection(&listener, &slots) => accepted,
                };
                if let Some(accepted) = accepted
                    && sender.send(accepted).await.is_err()
                {
                    return;
                }
            }
        });
    }
    receiver
}

async fn next_connection(listener: &TcpListener, slots: &std::sync::Arc<Semaphore>) -> Option<Accepted> {
    let permit = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(error) => {
            // Out of file descriptors, say: trying again at once would only burn the processor.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
