//! Serving: connections with limits, and stopping without losing a request.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderValue, header};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;
use tracing::{debug, warn};

use crate::config::Limits;

/// About the largest head of a request, by whole reads: a 16 KiB token, and three times as much for all else. Then 431.
const MAX_HEAD_BYTES: usize = 64 * 1024; // 64 KiB

/// How long a client may leave an answer unread before its connection is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a listener rests after it could not accept, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections that are in use are asked, with the answer to their next request, to go elsewhere. Idle ones are
/// closed after it: at once, a request that is just on its way would be lost.
const DRAIN: Duration = Duration::from_millis(250);

/// Serves `router` on all `listeners` until `stop` is done; then accepts nothing more, lets running requests finish for
/// `limits.shutdown_timeout`, and returns.
///
/// A client that is slow to send a request's head is cut off after `limits.header_timeout`, as is one that stays idle; one that
/// does not read its answers, after 10 s. More than `limits.connections` wait to be accepted.
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
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut accepting = JoinSet::new();
    let router = router.layer(middleware::from_fn_with_state(stopped.clone(), close_when_stopping));
    for listener in listeners {
        debug!(address = %listener.local_addr()?, "listening");
        let connections = Connections {
            router: router.clone(),
            slots: slots.clone(),
            header_timeout: limits.header_timeout,
            shutdown_timeout: limits.shutdown_timeout,
        };
        accepting.spawn(connections.accept(listener, stopped.clone()));
    }
    stop.await;
    stopping.send_replace(true);
    while accepting.join_next().await.is_some() {}
    Ok(())
}

/// The last answer on a connection says so (RFC 9112 §9.6).
async fn close_when_stopping(
    State(stopped): State<watch::Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if *stopped.borrow() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

struct Connections {
    router: Router,
    slots: Arc<Semaphore>,
    header_timeout: Duration,
    shutdown_timeout: Duration,
}

impl Connections {
    async fn accept(self, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&listener) => accepted,
                _ = stopped.wait_for(|stopped| *stopped) => break,
            };
            match accepted {
                Ok((stream, slot)) => self.handle(stream, slot, &graceful),
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tokio::time::sleep(DRAIN).await;
        if tokio::time::timeout(self.shutdown_timeout, graceful.shutdown()).await.is_err() {
            warn!("some requests did not finish in time and were cut off");
        }
    }

    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let slot = self.slots.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, slot))
    }

    fn handle(
        &self,
        stream: TcpStream,
        slot: tokio::sync::OwnedSemaphorePermit,
        graceful: &GracefulShutdown,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection was gone at once");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(self.router.clone()));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
}

/// Waits for SIGTERM or Ctrl-C.
///
/// # Errors
///
/// If the signals cannot be listened to.
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
