//! Limits the number of connections, and the time that a client takes for a request.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Accepts a connection once one of `permits` is free; until then the connection waits in the queue of the system.
pub(super) struct LimitedListener {
    pub(super) listener: TcpListener,
    pub(super) permits: Arc<Semaphore>,
    pub(super) request_timeout: Duration,
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = self.permits.clone().acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        drop(stream.set_nodelay(true));
        let (timeout, deadline) = (self.request_timeout, Box::pin(sleep(self.request_timeout)));
        (Connection { stream, timeout, deadline, _permit: permit }, peer)
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that cannot be read once the client took longer than `timeout` to send a request, idle time included.
pub(super) struct Connection {
    stream: TcpStream,
    timeout: Duration,
    deadline: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Error::from(ErrorKind::TimedOut)));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    /// Writes a part of a response, after which the client has the whole time for its next request.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let next = Instant::now() + self.timeout;
        self.deadline.as_mut().reset(next);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    async fn listener(connections: usize, request_timeout: Duration) -> LimitedListener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        LimitedListener { listener, permits: Arc::new(Semaphore::new(connections)), request_timeout }
    }

    /// Sends `request` to a server that waits for 100 ms, and then one byte at a time, until the server closes.
    async fn trickle(request: &[u8]) {
        let listener = listener(1, Duration::from_millis(100)).await;
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(axum::serve(listener, Router::new()).into_future());
        client.write_all(request).await.unwrap();
        while client.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn idle_client_is_disconnected() {
        let listener = listener(1, Duration::from_millis(100)).await;
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(axum::serve(listener, Router::new()).into_future());
        timeout(LONG, client.read(&mut [0])).await.unwrap().ok();
    }

    #[tokio::test]
    async fn client_that_sends_its_request_too_slowly_is_disconnected() {
        timeout(LONG, trickle(b"GET / HTTP/1.1\r\nhost: ")).await.unwrap();
    }

    #[tokio::test]
    async fn client_that_sends_its_second_request_too_slowly_is_disconnected() {
        timeout(LONG, trickle(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HTTP")).await.unwrap();
    }

    #[tokio::test]
    async fn connection_beyond_the_limit_waits_until_another_one_ends() {
        let mut listener = listener(1, LONG).await;
        let address = listener.local_addr().unwrap();
        let _clients =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let first = listener.accept().await;
        assert!(timeout(Duration::from_millis(200), listener.accept()).await.is_err());
        drop(first);
        timeout(LONG, listener.accept()).await.unwrap();
    }
}
