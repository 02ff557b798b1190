//! Serving a router on loopback: bind, stop and drain.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinSet,
};
use tracing::warn;

/// How often [`bind_loopback`] looks for a port that is free for both address families.
const ATTEMPTS: usize = 20;

/// How long running requests may take to finish after a stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Listens on `port` of 127.0.0.1, and of ::1 where the machine has IPv6. Port 0 stands for any port that is free on both.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] if another program listens there; otherwise the error of the operating system.
pub async fn bind_loopback(port: u16) -> io::Result<Vec<TcpListener>> {
    for _ in 0..ATTEMPTS {
        let v4 = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let same_port = v4.local_addr()?.port();
        match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, same_port))).await {
            Ok(v6) => return Ok(vec![v4, v6]),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // A machine without IPv6 has no ::1.
            Err(_) => return Ok(vec![v4]),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free on both 127.0.0.1 and ::1"))
}

/// The URL of these listeners. `localhost`, because Cognito allows plain http for no other host.
pub(crate) fn url(listeners: &[TcpListener]) -> io::Result<String> {
    let first = listeners.first().ok_or_else(|| io::Error::other("there is no listener"))?;
    Ok(format!("http://localhost:{}", first.local_addr()?.port()))
}

/// A router that is being served. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    stop: watch::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Server {
    /// Serves a router on a thread of its own, because SQLite and the file system block.
    ///
    /// `router` runs on that thread's runtime and may spawn tasks.
    pub(crate) fn start(
        name: &str,
        listeners: Vec<TcpListener>,
        router: impl FnOnce() -> Router + Send + 'static,
    ) -> io::Result<Self> {
        let url = url(&listeners)?;
        let listeners = listeners.into_iter().map(detach).collect::<io::Result<Vec<_>>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopping) = watch::channel(());
        let (done, stopped) = oneshot::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async { serve(listeners, router(), stopping).await });
            runtime.shutdown_background();
            let _ = done.send(());
        })?;
        Ok(Self { url, stop, stopped })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Accepts nothing more, and returns when running requests have finished, after half a second at most.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let _ = self.stopped.await;
    }
}

/// Separates a listener from its runtime. Other machines must not reach it.
fn detach(listener: TcpListener) -> io::Result<std::net::TcpListener> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let message = format!("cannot serve on {address}: it is not a loopback address");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    listener.into_std()
}

async fn serve(listeners: Vec<std::net::TcpListener>, router: Router, stopping: watch::Receiver<()>) {
    let mut servers = JoinSet::new();
    for listener in listeners {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                let stop = sender_dropped(stopping.clone());
                servers
                    .spawn(axum::serve(listener, router.clone()).with_graceful_shutdown(stop).into_future());
            }
            Err(error) => warn!(%error, "cannot listen"),
        }
    }
    sender_dropped(stopping).await;
    let all = async { while servers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
}

async fn sender_dropped(mut stopping: watch::Receiver<()>) {
    while stopping.changed().await.is_ok() {}
}
