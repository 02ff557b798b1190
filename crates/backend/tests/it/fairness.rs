//! What one address or one caller cannot take from the others. An attacker connects from another address of loopback,
//! which only Linux has.
#![cfg(target_os = "linux")]

use std::time::Duration;

use http::StatusCode;
use reqwest::Client;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Fault, Server, TestApp};

const ALICE: &str = "127.0.0.1";
const ATTACKER: &str = "127.0.0.2";

/// How long a test waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn address_cannot_take_all_large_heads() {
    let server = unlimited_connections().await;
    let head = format!("GET /users/me HTTP/1.1\r\nhost: x\r\nx: {}", "x".repeat(20_000));
    let mut held = Vec::new();
    for _ in 0..1200 {
        held.push(send(&server, ATTACKER, &head).await);
    }
    let mut last = held.pop().unwrap();
    assert_eq!(read(&mut last).await, "", "the attacker is beyond its share");
    let end = format!("\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n", server.token("alice"));
    let mut alice = send(&server, ALICE, &(head + &end)).await;
    assert!(read(&mut alice).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn address_cannot_take_all_the_memory_for_unread_answers() {
    let server = unlimited_connections().await;
    let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..1200 {
        held.push(send(&server, ATTACKER, request).await);
    }
    let mut alice = send(&server, ALICE, request).await;
    let answer = read(&mut alice).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}\r\n", body.chars().count());
    assert!(head.contains(&length), "cut off, {length} {head}");
}

#[tokio::test]
async fn address_cannot_take_all_the_memory_for_bodies() {
    let server = unlimited_connections().await;
    let mut held = Vec::new();
    for account in 0..40 {
        let request = post(&server.token(&format!("bob-{account}")), 60_000, "{");
        for _ in 0..15 {
            held.push(send(&server, ATTACKER, &request).await);
        }
    }
    let mut last = held.pop().unwrap();
    assert!(read(&mut last).await.starts_with("HTTP/1.1 429"), "the attacker is beyond its share");
    let padded = format!("{:<60000}", json!({"title": "polite"}).to_string());
    let mut alice = send(&server, ALICE, &post(&server.token("alice"), 60_000, &padded)).await;
    assert!(read(&mut alice).await.starts_with("HTTP/1.1 201"));
}

#[tokio::test]
async fn caller_cannot_take_all_the_memory_for_bodies() {
    let server = Server::start(&[
        ("MAX_CONNECTIONS_PER_ADDRESS", "0"),
        ("CONCURRENT_REQUESTS_PER_CALLER", "1000"),
        ("TRUSTED_PROXIES", "1"),
    ])
    .await;
    let bob = server.token("bob");
    let mut held = Vec::new();
    for number in 0..600 {
        let address = format!("x-forwarded-for: 192.0.{}.{}\r\ncontent-length", number / 250, number % 250);
        let request = post(&bob, 60_000, "{").replace("content-length", &address);
        held.push(send(&server, ATTACKER, &request).await);
    }
    let mut last = held.pop().unwrap();
    assert!(read(&mut last).await.starts_with("HTTP/1.1 429"), "Bob is beyond his share");
    let padded = format!("{:<60000}", json!({"title": "polite"}).to_string());
    let mut alice = send(&server, ALICE, &post(&server.token("alice"), 60_000, &padded)).await;
    assert!(read(&mut alice).await.starts_with("HTTP/1.1 201"));
}

#[tokio::test]
async fn expired_token_does_not_use_up_the_limit_of_its_address() {
    let server = few_rejections(&[]).await;
    let expired = server.pool.user("alice").expired().access_token();
    for _ in 0..20 {
        assert_eq!(get(&server, "/users/me", &expired).await, 401);
    }
    for expected in [401, 401, 401, 429] {
        assert_eq!(get(&server, "/users/me", "nonsense").await, expected);
    }
    assert_eq!(get(&server, "/users/me", &expired).await, 401, "neighbors do not turn it into a 429");
}

#[tokio::test]
async fn flood_of_an_expired_token_is_limited() {
    let server = few_rejections(&[]).await;
    let expired = server.pool.user("alice").expired().access_token();
    let (client, url) = (server.client(), format!("{}/users/me", server.url));
    let flood =
        async { while client.get(&url).bearer_auth(&expired).send().await.unwrap().status() == 401 {} };
    tokio::time::timeout(PATIENCE, flood).await.expect("it is not limited");
    assert_eq!(get(&server, "/users/me", &server.token("alice")).await, 200, "her new token is accepted");
}

#[tokio::test]
async fn spellings_of_an_expired_token_share_its_allowance() {
    let server = few_rejections(&[]).await;
    let expired = server.pool.user("alice").expired().access_token();
    let (client, url) = (server.client(), format!("{}/users/me", server.url));
    for spaces in 1..=500 {
        let authorization = format!("Bearer{}{expired}", " ".repeat(spaces));
        let response = client.get(&url).header("authorization", authorization).send().await.unwrap();
        if response.status() == 429 {
            return;
        }
        assert_eq!(response.status(), 401);
    }
    panic!("it is not limited");
}

#[tokio::test]
async fn unknown_routes_are_charged_to_a_valid_caller() {
    let server = few_rejections(&[("RATE_LIMIT_PER_MINUTE", "3")]).await;
    let alice = server.token("alice");
    for _ in 0..3 {
        assert_eq!(get(&server, "/nothing", &alice).await, 404);
    }
    assert_eq!(get(&server, "/nothing", &alice).await, 429);
    assert_eq!(get(&server, "/users/me", &alice).await, 429, "both routes have the same limit");
    for expected in [404, 404, 404, 429] {
        assert_eq!(get(&server, "/nothing", "nonsense").await, expected);
    }
}

#[tokio::test]
async fn server_is_ready_only_with_the_revocations_that_it_requires() {
    for (required, status, revocations) in [("false", 200, None), ("true", 200, Some("ok"))] {
        let app = TestApp::with(&[("REVOCATIONS_REQUIRED", required)]).await;
        let ready = app.anonymous().get("/health/ready").await;
        assert_eq!(ready.status, status);
        assert_eq!(ready.json().get("revocations").and_then(|part| part.as_str()), revocations);
    }
    let (app, faults) = TestApp::with_faults(&[("REVOCATIONS_REQUIRED", "true")]).await;
    faults.set(Fault::Refuse);
    let ready = app.anonymous().get("/health/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["revocations"], "unavailable");
}

async fn unlimited_connections() -> Server {
    Server::start(&[("MAX_CONNECTIONS_PER_ADDRESS", "0"), ("HEADER_TIMEOUT_SECONDS", "60")]).await
}

/// A server that rejects three requests per address and minute before it answers 429.
async fn few_rejections(variables: &[(&str, &str)]) -> Server {
    let few = [("REJECTIONS_PER_MINUTE_PER_ADDRESS", "3")];
    Server::start(&[&few, variables].concat()).await
}

async fn get(server: &Server, path: &str, token: &str) -> StatusCode {
    Client::new().get(format!("{}{path}", server.url)).bearer_auth(token).send().await.unwrap().status()
}

fn post(token: &str, length: usize, body: &str) -> String {
    format!(
        "POST /items HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Sends this from an address. The receive buffer of the attacker is small.
async fn send(server: &Server, from: &str, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if from == ATTACKER {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(server.address().parse().unwrap()).await.unwrap();
    // The server may have closed the connection in the meantime; what it sent before is still read.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

/// All that the server sends until it closes or resets the connection.
async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it stays open");
    // Every byte is a character, so that the length stays the same.
    answer.into_iter().map(char::from).collect()
}
