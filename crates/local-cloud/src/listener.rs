use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

/// How often a free port is looked for that is free for both families.
const TRIES: usize = 20;

/// Listens on `port` of 127.0.0.1, and of ::1 where there is one; 0 stands for any port that is free on both.
///
/// # Errors
///
/// [`io::ErrorKind::AddrInUse`] if another program listens there; otherwise what the system says.
pub async fn bind_loopback(port: u16) -> io::Result<Vec<TcpListener>> {
    for _ in 0..TRIES {
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

/// The URL under which these listeners are reached. `localhost`, as Cognito allows plain http for no other name.
pub(crate) fn url(listeners: &[TcpListener]) -> io::Result<String> {
    let first = listeners.first().ok_or_else(|| io::Error::other("there is no listener"))?;
    Ok(format!("http://localhost:{}", first.local_addr()?.port()))
}
