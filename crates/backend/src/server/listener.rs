//! Closes a listener without resetting connections that wait to be accepted.

use std::{net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpStream};

/// Takes no new connections, passes those that are established, or become so within `grace`, to `serve`, and closes the
/// listener.
pub(super) async fn close(listener: TcpListener, grace: Duration, serve: impl Fn(TcpStream, SocketAddr)) {
    ignore_new_connections(&listener);
    let end = tokio::time::sleep(grace);
    tokio::pin!(end);
    loop {
        // The order matters: whatever waits is accepted before the grace period can end.
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => serve(stream, peer),
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            },
            () = &mut end => return,
        }
    }
}

/// Drops the packets that open a connection. Handshakes under way complete; a client that begins one now tries again after a
/// second and is refused by then. Without this, a connection that is established between the last `accept` and the close
/// would be reset.
#[cfg(target_os = "linux")]
fn ignore_new_connections(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    const FLAGS_OFFSET: u32 = 13; // RFC 9293, section 3.1
    const SYN: u32 = 0x02;
    const SYN_AND_ACK: u32 = 0x12;
    // Classic BPF on the TCP header: load the flags, mask them, drop the packet if only SYN is set.
    let filter = [
        SockFilter::new(0x30, 0, 0, FLAGS_OFFSET),
        SockFilter::new(0x54, 0, 0, SYN_AND_ACK),
        SockFilter::new(0x15, 1, 0, SYN),
        SockFilter::new(0x06, 0, 0, u32::MAX),
        SockFilter::new(0x06, 0, 0, 0),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "new connections are not held off while the server stops");
    }
}

#[cfg(not(target_os = "linux"))]
fn ignore_new_connections(_: &TcpListener) {}
