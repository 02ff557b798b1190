//! A proxy that breaks connections.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

/// Passes TCP connections on, and cuts those whose request contains a mark.
pub(crate) struct Proxy {
    pub(crate) url: String,
    cuts: Arc<Mutex<VecDeque<Cut>>>,
    done: Arc<AtomicUsize>,
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Before this many bytes from the client have passed.
    Upload(usize),
    /// Before this many bytes to the client have passed.
    Download(usize),
}

impl Proxy {
    /// Passes connections on to this URL's port on 127.0.0.1.
    pub(crate) async fn start(target: &str, mark: &'static str) -> Self {
        let port: u16 = target.rsplit(':').next().unwrap().parse().unwrap();
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (cuts, done) = (Arc::<Mutex<VecDeque<Cut>>>::default(), Arc::<AtomicUsize>::default());
        let proxy = Self { url, cuts: cuts.clone(), done: done.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, target, mark, cuts.clone(), done.clone()));
            }
        });
        proxy
    }

    /// Makes these cuts in this order, each as soon as a connection has passed as many bytes.
    pub(crate) fn cut(&self, cuts: impl IntoIterator<Item = Cut>) {
        self.cuts.lock().unwrap().extend(cuts);
    }

    /// Returns how many cuts were made.
    pub(crate) fn cuts_made(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

async fn connect(
    client: TcpStream,
    target: SocketAddr,
    mark: &str,
    cuts: Arc<Mutex<VecDeque<Cut>>>,
    done: Arc<AtomicUsize>,
) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let cuts = if has_mark(&client, mark).await { cuts } else { Arc::default() };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let upload = pass(from_client, to_server, |bytes| {
        is_due(&cuts, &done, |cut| matches!(cut, Cut::Upload(n) if bytes >= n))
    });
    let download = pass(from_server, to_client, |bytes| {
        is_due(&cuts, &done, |cut| matches!(cut, Cut::Download(n) if bytes >= n))
    });
    // When one direction ends, dropping both halves closes the sockets.
    tokio::select! { () = upload => (), () = download => () }
}

async fn has_mark(client: &TcpStream, mark: &str) -> bool {
    let mut head = [0; 4096];
    let Ok(length) = client.peek(&mut head).await else { return false };
    String::from_utf8_lossy(&head[..length]).contains(mark)
}

/// Whether to make the next cut now. If so, it is removed from the list, and counted before the client can notice it.
fn is_due(cuts: &Mutex<VecDeque<Cut>>, done: &AtomicUsize, matches: impl Fn(Cut) -> bool) -> bool {
    let mut cuts = cuts.lock().unwrap();
    let due = cuts.front().is_some_and(|cut| matches(*cut));
    if due {
        cuts.pop_front();
        done.fetch_add(1, Ordering::SeqCst);
    }
    due
}

/// Copies bytes until the end of the stream, an error, or a cut.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_due: impl Fn(usize) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0;
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        passed += read;
        if is_due(passed) || read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
