//! A server of a key set on a loopback port, which can also fail.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Serves a key set over HTTP on a loopback port. It counts the requests, and its response can be changed at any time.
/// Dropping it ends the server.
#[derive(Debug)]
pub struct JwksServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    reply: watch::Sender<Reply>,
    requests: AtomicUsize,
}

/// The response of a [`JwksServer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reply {
    /// Status 200 with this key set.
    Keys(Value),
    /// This status and body.
    Status(u16, String),
    /// A redirect to this URL.
    Redirect(String),
    /// A body of this many bytes.
    Huge(usize),
    /// This key set, with this delay.
    After(Duration, Value),
    /// The head of a response without the rest.
    Stall,
    /// None: connections are closed.
    Down,
}

impl JwksServer {
    /// Serves this key set on a free port.
    pub async fn start(jwks: &Value) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let reply = watch::Sender::new(Reply::Keys(jwks.clone()));
        let shared = Arc::new(Shared { reply, requests: AtomicUsize::new(0) });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Returns the URL of the key set.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    /// Sets the response to all further requests.
    pub fn reply(&self, reply: Reply) {
        self.shared.reply.send_replace(reply);
    }

    /// Returns the number of requests so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for JwksServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        // An error means that the client disconnected.
        tokio::spawn(async move { shared.answer(connection).await.ok() });
    }
}

impl Shared {
    async fn answer(&self, mut connection: TcpStream) -> std::io::Result<()> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let reply = self.reply.borrow().clone();
        if matches!(reply, Reply::Down) {
            return Ok(());
        }
        read_head(&mut connection).await?;
        match reply {
            Reply::Keys(jwks) => send(&mut connection, 200, "", &jwks.to_string()).await,
            Reply::Status(status, body) => send(&mut connection, status, "", &body).await,
            Reply::Redirect(url) => send(&mut connection, 302, &format!("location: {url}\r\n"), "").await,
            Reply::Huge(bytes) => send(&mut connection, 200, "", &" ".repeat(bytes)).await,
            Reply::After(delay, jwks) => {
                tokio::time::sleep(delay).await;
                send(&mut connection, 200, "", &jwks.to_string()).await
            }
            Reply::Stall => {
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await?;
                std::future::pending().await
            }
            Reply::Down => Ok(()),
        }
    }
}

async fn read_head(connection: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    Ok(())
}

async fn send(connection: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} Test\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await
}
