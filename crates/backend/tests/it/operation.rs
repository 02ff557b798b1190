//! Limits, cross-origin requests, panics: what holds around every route.

use std::time::{Duration, Instant};

use axum::{Router, routing::get};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Fault, TestApp};

#[tokio::test]
async fn requests_beyond_the_rate_limit_are_429_with_retry_after() {
    let app = TestApp::with(&[("RATE_LIMIT_PER_MINUTE", "2")]).await;
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    let first = alice.get("/users/me").await;
    assert_eq!(first.header("ratelimit-policy"), "\"caller\";q=2;w=60");
    assert!(first.header("ratelimit").starts_with("\"caller\";r=1;t="));
    alice.get("/users/me").await;
    let refused = alice.get("/users/me").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").starts_with("\"caller\";r=0;t="));
    assert_eq!(bob.get("/users/me").await.status, StatusCode::OK);
    assert_eq!(app.anonymous().get("/health/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn requests_beyond_the_concurrency_limit_are_503_with_retry_after() {
    let (app, proxy) = TestApp::with_faults(&[("MAX_CONCURRENT_REQUESTS", "1")]).await;
    proxy.set(Fault::Hang);
    let alice = app.user("alice");
    let slow = tokio::spawn({
        let alice = alice.clone();
        async move { alice.get("/items").await.status }
    });
    let mut refused = alice.get("/users/me").await;
    while refused.status == StatusCode::OK {
        tokio::task::yield_now().await; // The slow one has not begun.
        refused = alice.get("/users/me").await;
    }
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    let metrics = app.metrics();
    assert!(metrics.contains(r#"http_rejections_total{reason="overload"}"#), "{metrics}");
    assert!(!metrics.contains("http_faults_total{"), "{metrics}");
    assert_eq!(app.anonymous().get("/health/live").await.status, StatusCode::OK);
    assert_eq!(slow.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(alice.get("/users/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn slow_request_is_503_after_the_time_limit() {
    let (app, proxy) = TestApp::with_faults(&[("REQUEST_TIMEOUT_SECONDS", "1")]).await;
    proxy.set(Fault::Hang);
    let answer = app.user("alice").get("/items").await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("1 s"));
    let metrics = app.metrics();
    assert!(metrics.contains(r#"http_faults_total{method="GET",route="/items"} 1"#), "{metrics}");
    assert!(!metrics.contains("http_rejections_total{"), "{metrics}");
}

#[tokio::test]
async fn rejections_are_counted_by_reason_and_are_not_faults() {
    let app = TestApp::with(&[("RATE_LIMIT_PER_MINUTE", "3")]).await;
    let old = app.token("root").in_group("admins").claim("auth_time", 0.into()).access_token();
    let leaving = app.user("leaving");
    leaving.post("/users/me/sign-out", Value::Null).await;
    let rejected = [
        ("missing_token", app.anonymous(), "/items"),
        ("invalid_credentials", app.bearer("two words"), "/items"),
        ("invalid_token", app.bearer("nonsense"), "/items"),
        ("expired_token", app.bearer(&app.token("alice").expired().access_token()), "/items"),
        ("revoked_token", leaving, "/items"),
        ("insufficient_scope", app.bearer(&app.pool.user("alice").access_token()), "/items"),
        ("forbidden", app.user("alice"), "/admin/users/x/items"),
        ("old_sign_in", app.bearer(&old), "/admin/users/x/items"),
    ];
    for (reason, persona, path) in rejected {
        let answer = persona.get(path).await;
        assert!(answer.status.is_client_error(), "{reason}: {answer:?}");
        let line = format!("http_rejections_total{{reason=\"{reason}\"}} 1");
        assert!(app.metrics().contains(&line), "{line} is not in\n{}", app.metrics());
    }
    for _ in 0..4 {
        app.user("bob").get("/users/me").await;
    }
    assert!(app.metrics().contains(r#"http_rejections_total{reason="rate_limit"} 1"#));
    assert!(!app.metrics().contains("http_faults_total{"), "{}", app.metrics());
}

#[tokio::test]
async fn removal_is_finished_when_the_client_disconnects() {
    let (app, proxy) = TestApp::with_faults(&[]).await;
    let alice = app.user("alice");
    let path = format!("/items/{}", alice.create_item("one").await);
    proxy.set(Fault::Hang);
    tokio::time::timeout(Duration::from_millis(300), alice.delete(&path)).await.unwrap_err();
    let metrics = app.metrics();
    assert!(metrics.contains(r#"method="DELETE",route="/items/{id}",status="499""#), "{metrics}");

    proxy.set(Fault::None);
    let until = Instant::now() + Duration::from_secs(10);
    while alice.get(&path).await.status != StatusCode::NOT_FOUND {
        assert!(Instant::now() < until, "the item is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn pages_of_configured_origins_may_call() {
    let app = TestApp::with(&[("CORS_ALLOWED_ORIGINS", "https://app.example.com")]).await;
    let preflight = |origin: &'static str| {
        let anonymous = app.anonymous();
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "authorization,if-match,content-type"),
        ];
        async move { anonymous.send(Method::OPTIONS, "/items/x", &headers, None).await }
    };
    let allowed = preflight("https://app.example.com").await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.com");
    assert!(allowed.header("access-control-allow-methods").contains("PUT"));
    assert!(allowed.header("access-control-allow-headers").contains("if-match"));
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    assert_eq!(preflight("https://evil.example.com").await.header("access-control-allow-origin"), "");

    let headers = [("origin", "https://app.example.com")];
    let refused = app.anonymous().send(Method::GET, "/items", &headers, None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.header("access-control-allow-origin"), "https://app.example.com");
    assert!(refused.header("access-control-expose-headers").contains("www-authenticate"));
}

#[tokio::test]
async fn without_configured_origins_no_page_may_call() {
    let app = TestApp::start().await;
    let headers = [("origin", "https://app.example.com"), ("access-control-request-method", "GET")];
    let preflight = app.anonymous().send(Method::OPTIONS, "/items", &headers, None).await;
    assert_eq!(preflight.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(preflight.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn panic_is_a_500_without_details_and_the_server_continues() {
    async fn panic() {
        panic!("a secret")
    }
    let app = TestApp::start().await;
    let router = backend::surround(&app.app, Router::new().route("/panic", get(panic)));
    let persona = crate::support::Persona::anonymous(router);
    for _ in 0..2 {
        let answer = persona.get("/panic").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
}

#[tokio::test]
async fn request_id_is_kept() {
    let app = TestApp::start().await;
    let answer = app.anonymous().send(Method::GET, "/health/live", &[("x-request-id", "abc-1")], None).await;
    assert_eq!(answer.header("x-request-id"), "abc-1");
    let answer = app.anonymous().send(Method::GET, "/nope", &[("x-request-id", "a\tb")], None).await;
    assert_ne!(answer.header("x-request-id"), "a\tb");
}
