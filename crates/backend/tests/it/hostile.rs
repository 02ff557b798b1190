//! Clients that send slowly, read nothing, flood or hoard connections, and what other callers see of them.

use std::time::{Duration, Instant};

use cognito_auth::testing::TestPool;
use http::StatusCode;
use reqwest::Client;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Fault, Server, TestApp, all_at_once, config};

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn bodies_that_never_come_do_not_affect_other_callers() {
    let server = Server::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "0"), ("RATE_LIMIT_PER_MINUTE", "0")]).await;
    let request = post(&server.token("bob"), 100, "{");
    let mut held = Vec::new();
    for _ in 0..1040 {
        held.push(send(&server, &request).await);
    }
    assert_polite(&server, "1,040 bodies never come", 200).await;
}

#[tokio::test]
async fn client_without_a_token_that_sends_its_body_late_reads_the_401() {
    let server = Server::start(&[]).await;
    for _ in 0..20 {
        let mut stream = connect(&server.address()).await;
        let head = "POST /items HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(b"{}").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}

#[tokio::test]
async fn flood_of_one_caller_does_not_affect_others() {
    let server = Server::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "0"), ("RATE_LIMIT_PER_MINUTE", "0")]).await;
    let bob = server.token("bob");
    let mut flood = JoinSet::new();
    for _ in 0..24 {
        let (url, token, client) = (format!("{}/items", server.url), bob.clone(), Client::new());
        flood.spawn(async move { while client.get(&url).bearer_auth(&token).send().await.is_ok() {} });
    }
    assert_polite(&server, "24 connections flood", 50).await;
}

#[tokio::test]
async fn caller_has_a_share_of_the_slots() {
    let (app, proxy) = TestApp::with_faults(&[("CONCURRENT_REQUESTS_PER_CALLER", "2")]).await;
    proxy.set(Fault::Hang);
    let bob = app.user("bob");
    let answers = all_at_once(5, |_| {
        let bob = bob.clone();
        async move { bob.get("/items").await }
    });
    let answers = answers.await;
    let rejected: Vec<_> =
        answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert_eq!(rejected.len(), 3, "{answers:?}");
    for answer in rejected {
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.json()["type"], "/problems/too-many-concurrent-requests");
    }
    proxy.set(Fault::None);
    assert_eq!(bob.get("/items").await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_client_behavior_causes_a_server_error() {
    let limits = [("REQUEST_TIMEOUT_SECONDS", "1"), ("HEADER_TIMEOUT_SECONDS", "1")];
    let server = Server::start(&limits).await;
    let token = server.token("alice");
    let get = |rest: &str| format!("GET /users/me HTTP/1.1\r\nauthorization: Bearer {token}\r\n{rest}\r\n");
    for (behavior, request, expected) in [
        ("the body never comes", post(&token, 100, "{"), "HTTP/1.1 408"),
        ("the body ends early", post(&token, 2, "{"), "HTTP/1.1 408"),
        ("the body is announced too large", post(&token, 100_000, ""), "HTTP/1.1 413"),
        ("the head is too large", get(&format!("host: x\r\nx: {}\r\n", "x".repeat(40_000))), "HTTP/1.1 431"),
        ("there is no host", get(""), "HTTP/1.1 400"),
        ("there are two hosts", get("host: x\r\nhost: y\r\n"), "HTTP/1.1 400"),
        ("it is not HTTP", "nonsense\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("the head never ends", "GET / HTTP/1.1\r\nhost: x\r\n".to_owned(), ""),
        ("nothing is sent", String::new(), ""),
        ("a bad token with a body that never comes", post("x.y.z", 100, ""), "HTTP/1.1 401"),
        ("a chunk is malformed", chunked(&token, "nonsense\r\n"), "HTTP/1.1 400"),
        (
            "the chunks are too large",
            chunked(&token, &format!("20000\r\n{}", "x".repeat(0x20000))),
            "HTTP/1.1 413",
        ),
    ] {
        let mut stream = send(&server, &request).await;
        let mut answer = Vec::new();
        let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "{behavior}: the connection stays open");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected), "{behavior}: {answer}");
        assert_eq!(expected.is_empty(), answer.is_empty(), "{behavior}: {answer}");
    }
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success() && !log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn answers_that_nobody_reads_are_dropped_and_do_not_delay_the_shutdown() {
    let server = Server::start(&[("WRITE_TIMEOUT_SECONDS", "2"), ("MAX_CONNECTIONS_PER_ADDRESS", "0")]).await;
    let script = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
    let mut unread = Vec::new();
    for _ in 0..300 {
        unread.push(send(&server, &script).await);
    }
    for stream in &unread {
        let closed = async {
            while stream.ready(tokio::io::Interest::ERROR).await.is_ok_and(|ready| !ready.is_error()) {}
        };
        tokio::time::timeout(PATIENCE, closed).await.expect("an unread answer is kept");
    }
    let _unread: Vec<_> = all_at_once(100, |_| {
        let (address, script) = (server.address(), script.clone());
        async move {
            let mut stream = connect(&address).await;
            stream.write_all(script.as_bytes()).await.unwrap();
            stream
        }
    })
    .await;
    let started = Instant::now();
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success() && !log.contains("cut off"), "{log}");
    assert!(started.elapsed() < Duration::from_secs(8), "the shutdown took {:?}", started.elapsed());
}

#[tokio::test]
async fn health_check_is_answered_when_all_connections_are_taken() {
    let server = Server::start(&[("MAX_CONNECTIONS", "4"), ("HEADER_TIMEOUT_SECONDS", "60")]).await;
    let live = "GET /health/live HTTP/1.1\r\nhost: x\r\n";
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(send(&server, live).await);
    }
    let mut stream = send(&server, &format!("{live}connection: close\r\n\r\n")).await;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn connections_of_an_address_are_limited() {
    let server =
        Server::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "8"), ("HEADER_TIMEOUT_SECONDS", "60")]).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(TcpStream::connect(server.address()).await);
    }
    // A reset can be seen as early as by the call of `connect`.
    let Ok(mut stream) = TcpStream::connect(server.address()).await else { return };
    let mut answer = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(end.is_err() && answer.is_empty(), "not reset: {answer:?}");
}

#[tokio::test]
async fn rejected_requests_of_an_address_are_limited_and_valid_tokens_still_pass() {
    let limits = [("REJECTIONS_PER_MINUTE_PER_ADDRESS", "3"), ("TRUSTED_PROXIES", "1")];
    let server = Server::start(&limits).await;
    let client = Client::new();
    let attempt = async |address: &str, token: &str| {
        let request = client.get(format!("{}/users/me", server.url)).header("x-forwarded-for", address);
        request.bearer_auth(token).send().await.unwrap()
    };
    for _ in 0..3 {
        assert_eq!(attempt("203.0.113.9, 192.0.2.1", "nonsense").await.status(), 401);
    }
    let limited = attempt("198.51.100.7, 192.0.2.1", "nonsense").await;
    assert_eq!(limited.status(), 429, "what the client adds at the left does not count");
    assert!(limited.headers().contains_key("retry-after"));
    assert_eq!(limited.headers()["connection"], "close");
    assert_eq!(attempt("192.0.2.1", &server.token("alice")).await.status(), 200);
    assert_eq!(attempt("192.0.2.2", "nonsense").await.status(), 401);
}

#[tokio::test]
async fn unfinished_heads_fit_into_the_memory_budget() {
    let connections = 1500;
    let variables = [("MAX_CONNECTIONS_PER_ADDRESS", "0"), ("HEADER_TIMEOUT_SECONDS", "60")];
    let server = Server::start(&variables).await;
    let before = server.resident_kib();
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(30_000));
    let mut held = Vec::new();
    for _ in 0..connections {
        held.push(send(&server, &head).await);
    }
    server.client().get(format!("{}/health/live", server.url)).send().await.unwrap();
    let used = server.resident_kib().saturating_sub(before);
    println!("{connections} unfinished heads of 30 KB: {} MiB", used / 1024);
    assert!(used / 1024 < 1024 * 256 / 10_000 * connections / 1024 + 48, "{used} KiB");
}

/// Sends requests as Alice, one after the other, and asserts that each is answered.
async fn assert_polite(server: &Server, attack: &str, count: usize) {
    let (client, token, url) = (server.client(), server.token("alice"), format!("{}/items", server.url));
    let mut times = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        let answer =
            client.post(&url).bearer_auth(&token).json(&json!({"title": "polite"})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        times.push(started.elapsed());
    }
    times.sort();
    let (p50, p99) = (times[count / 2], times[count * 99 / 100]);
    println!("{attack}: {count} of {count} polite requests answered, p50 {p50:?}, p99 {p99:?}");
}

fn post(token: &str, length: usize, body: &str) -> String {
    format!(
        "POST /items HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn chunked(token: &str, body: &str) -> String {
    format!(
        "POST /items HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{body}"
    )
}

/// Opens a connection with a small receive buffer and sends this on it.
async fn send(server: &Server, request: &str) -> TcpStream {
    let mut stream = connect(&server.address()).await;
    // The server may have closed the connection in the meantime; what it sent before is still read.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

async fn connect(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_loses_no_established_connection() {
    const STOPS: usize = 20;
    let mut answered = 0;
    for _ in 0..STOPS {
        answered += stop_under_reconnecting_clients().await;
    }
    println!("{STOPS} stops: {answered} requests answered, 0 lost");
}

/// Stops a server with slow handlers while 32 clients open a connection for each request. Returns how many were answered;
/// none may be lost.
async fn stop_under_reconnecting_clients() -> usize {
    let slow = axum::routing::get(async || tokio::time::sleep(Duration::from_millis(5)).await);
    let router = axum::Router::new().route("/", slow);
    let listener = backend::server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = config(&TestPool::new(), &[]).limits;
    let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let stopped = stopped.clone();
        clients.spawn(async move {
            let mut answered = 0;
            loop {
                let connected = tokio::select! {
                    connected = TcpStream::connect(address) => connected,
                    () = stopped.cancelled() => return answered,
                };
                let Ok(mut stream) = connected else { return answered };
                let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
                stream.write_all(request).await.expect("a connection was reset");
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.expect("a request was lost");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
                answered += 1;
            }
        });
    }
    let end = stop.clone();
    let server = tokio::spawn(async move {
        backend::server::serve(router, vec![listener], &limits, end.cancelled()).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await; // Any moment under load will do.
    stop.cancel();
    server.await.unwrap().unwrap();
    stopped.cancel();
    clients.join_all().await.into_iter().sum()
}
