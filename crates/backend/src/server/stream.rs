//! The socket of a connection, with caps on what it buffers and on how long its client may leave an answer unread.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::AddressBlock;
use crate::{
    config::Limits,
    shares::{Share, Shares},
};

/// The send buffer of a connection. The kernel doubles it for its own bookkeeping (`man 7 socket`); left alone it would grow
/// to 4 MiB for a client that reads slowly.
const SEND_BUFFER_BYTES: usize = 32 * 1024; // 32 KiB

/// How much unsent data the kernel takes before the connection counts as blocked.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 8 * 1024; // 8 KiB

/// The largest head of a request: a token of 16 KiB and as much for everything else. Then 431.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024; // 32 KiB

/// The part of a head that every connection may send. Longer ones are counted in [`LARGE_HEADS`].
const SMALL_HEAD_BYTES: usize = 8 * 1024; // 8 KiB

/// Unfinished heads of more than [`SMALL_HEAD_BYTES`] at once: 1024 × 24 KiB = 24 MiB.
const LARGE_HEADS: usize = 1024;

/// Connections at once whose clients do not read: 1024 × about 64 KiB of kernel memory = 64 MiB.
const BLOCKED: usize = 1024;

/// One address may take the eighth part of [`LARGE_HEADS`] and of [`BLOCKED`].
const ADDRESSES: usize = 8;

/// How long a client may leave an answer unread when many do so, or when the server stops.
const SHORT_TIMEOUT: Duration = Duration::from_secs(1);

/// A whole answer may be blocked for this many times the write timeout.
const TIMEOUTS_PER_ANSWER: u32 = 3;

/// The buffers that connections share.
#[derive(Clone)]
pub(super) struct Buffers {
    large_heads: Shares<AddressBlock>,
    blocked: Shares<AddressBlock>,
}

impl Buffers {
    pub(super) fn new(limits: &Limits) -> Self {
        // Behind a proxy, one address stands for many clients, and the proxy holds back those that are slow.
        let addresses = if limits.trusted_proxies == 0 { ADDRESSES } else { 1 };
        Self {
            large_heads: Shares::of(LARGE_HEADS, LARGE_HEADS / addresses),
            blocked: Shares::of(BLOCKED, BLOCKED / addresses),
        }
    }
}

/// What a connection does, told by the service to the socket and to the task that drains.
#[derive(Debug, Default)]
pub(super) struct Activity {
    requests: AtomicU64,
    busy: AtomicBool,
    blocked: AtomicBool,
}

impl Activity {
    pub(super) fn begin_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    pub(super) fn end_request(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// Whether a request is being handled or an answer being sent.
    pub(super) fn is_active(&self) -> bool {
        self.busy.load(Ordering::Relaxed) || self.blocked.load(Ordering::Relaxed)
    }
}

pub(super) struct ClientStream {
    stream: TcpStream,
    address: AddressBlock,
    activity: Arc<Activity>,
    buffers: Buffers,
    write_timeout: Duration,
    stopping: CancellationToken,
    /// The request that the two fields below belong to.
    request: u64,
    head_bytes: usize,
    large_head: Option<Share<AddressBlock>>,
    blocked: Option<Blocked>,
    /// For how long the current answer has been blocked before.
    blocked_before: Duration,
}

struct Blocked {
    since: Instant,
    timer: Pin<Box<Sleep>>,
    _share: Share<AddressBlock>,
}

/// Closes a connection by a reset, so that the kernel forgets what was not sent.
pub(super) fn reset(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
        debug!(%error, "a connection was not reset");
    }
}

impl ClientStream {
    pub(super) fn new(
        stream: TcpStream,
        address: AddressBlock,
        activity: Arc<Activity>,
        buffers: Buffers,
        write_timeout: Duration,
        stopping: CancellationToken,
    ) -> Self {
        if let Err(error) = configure(&stream, write_timeout) {
            debug!(%error, "the client disconnected at once");
        }
        Self {
            stream,
            address,
            activity,
            buffers,
            write_timeout,
            stopping,
            request: 0,
            head_bytes: 0,
            large_head: None,
            blocked: None,
            blocked_before: Duration::ZERO,
        }
    }

    /// Begins to count anew if a request began since the last call.
    fn follow_request(&mut self) {
        let request = self.activity.requests.load(Ordering::Relaxed);
        if self.request != request {
            self.request = request;
            self.head_bytes = 0;
            self.large_head = None;
            self.blocked_before = Duration::ZERO;
        }
    }

    /// How much more may be read of a large head. hyper rejects it once its buffer holds [`MAX_HEAD_BYTES`].
    fn head_bytes_left(&self) -> Option<usize> {
        let is_large = self.head_bytes >= SMALL_HEAD_BYTES && !self.activity.busy.load(Ordering::Relaxed);
        MAX_HEAD_BYTES.checked_sub(self.head_bytes).filter(|left| is_large && *left > 0)
    }

    /// Counts bytes of an unfinished head.
    fn count_head(&mut self, read: usize) -> io::Result<()> {
        if self.activity.busy.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.head_bytes += read;
        if self.head_bytes > SMALL_HEAD_BYTES && self.large_head.is_none() {
            let share = self.buffers.large_heads.take(&self.address, 1);
            self.large_head = Some(share.ok_or_else(|| io::Error::other("too many large heads at once"))?);
        }
        Ok(())
    }

    fn poll_blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.follow_request();
        if self.blocked.is_none() {
            let Some(share) = self.buffers.blocked.take(&self.address, 1) else {
                return Poll::Ready(self.give_up());
            };
            self.activity.blocked.store(true, Ordering::Relaxed);
            let since = Instant::now();
            let timer = Box::pin(tokio::time::sleep_until(since));
            self.blocked = Some(Blocked { since, timer, _share: share });
        }
        let allowed = self.allowed();
        let Some(blocked) = &mut self.blocked else { return Poll::Pending };
        let deadline = blocked.since + allowed;
        if blocked.timer.deadline() != deadline {
            blocked.timer.as_mut().reset(deadline);
        }
        ready!(blocked.timer.as_mut().poll(cx));
        Poll::Ready(self.give_up())
    }

    /// For how long the client may leave the answer unread from the moment on when it blocked.
    fn allowed(&self) -> Duration {
        let is_short = self.stopping.is_cancelled() || self.buffers.blocked.total() > BLOCKED / 4;
        let pause = if is_short { self.write_timeout.min(SHORT_TIMEOUT) } else { self.write_timeout };
        pause.min((self.write_timeout * TIMEOUTS_PER_ANSWER).saturating_sub(self.blocked_before))
    }

    fn give_up(&mut self) -> io::Error {
        reset(&self.stream);
        io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")
    }

    fn unblock(&mut self) {
        if let Some(blocked) = self.blocked.take() {
            self.blocked_before += blocked.since.elapsed();
            self.activity.blocked.store(false, Ordering::Relaxed);
        }
    }

    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(result) => {
                self.unblock();
                Poll::Ready(result)
            }
            Poll::Pending => self.poll_blocked(cx).map(Err),
        }
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        if self.blocked.is_some() {
            reset(&self.stream);
            self.unblock();
        }
    }
}

fn configure(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    {
        // Ends connections that are closed here while their client does not read the rest (RFC 5482).
        socket.set_tcp_user_timeout(Some(write_timeout))?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    Ok(())
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.follow_request();
        let before = buf.filled().len();
        match self.head_bytes_left() {
            Some(left) if left < buf.remaining() => {
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(left));
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
                let read = part.filled().len();
                buf.advance(read);
            }
            _ => ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?,
        }
        Poll::Ready(self.count_head(buf.filled().len() - before))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
