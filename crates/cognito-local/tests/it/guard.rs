//! What holds for every request.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::support::{TestPool, authorize_query, send};

#[tokio::test]
async fn requests_with_another_host_are_rejected() {
    let pool = TestPool::open().await;
    let status = async |host: &str| {
        let request = Request::get("/us-east-1_LocalPool/.well-known/jwks.json").header("host", host);
        send(&pool.pool, request.body(Body::empty()).unwrap()).await.status
    };
    for host in ["localhost:9229", "127.0.0.1:9229", "[::1]:9229", "LOCALHOST:9229"] {
        assert_eq!(status(host).await, StatusCode::OK, "{host}");
    }
    for host in ["evil.test", "evil.test:9229", "localhost", "localhost:80", "localhost.evil.test:9229", ""] {
        assert_eq!(status(host).await, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    let without = send(&pool.pool, Request::get("/login").body(Body::empty()).unwrap()).await;
    assert_eq!(without.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn other_origins_may_call_the_token_endpoint_but_not_read_pages() {
    let pool = TestPool::open().await;
    let preflight = |path: &str| {
        Request::options(path)
            .header("host", "localhost:9229")
            .header("origin", "http://localhost:3000")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap()
    };
    let token = send(&pool.pool, preflight("/oauth2/token")).await;
    assert_eq!(token.headers["access-control-allow-origin"], "*");
    assert_eq!(token.headers["access-control-allow-headers"], "authorization,content-type");
    let login = send(&pool.pool, preflight("/login")).await;
    assert!(!login.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_404_and_405() {
    let pool = TestPool::open().await;
    assert_eq!(pool.get("/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(pool.get("/assets/nothing").await.status, StatusCode::NOT_FOUND);
    let post = pool.post("/oauth2/authorize", &[]).await;
    assert_eq!(
        (post.status, &post.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET,HEAD".parse().unwrap())
    );
    let get = pool.get("/oauth2/token").await;
    assert_eq!(
        (get.status, &get.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
    assert_eq!(get.json()["error"], "invalid_request");
}

#[tokio::test]
async fn cookies_are_secure_with_https() {
    for (url, secure) in [("http://localhost:9229", false), ("https://localhost:9229", true)] {
        let config = cognito_local::PoolConfig::demo(8000);
        let pool = cognito_local::LocalPool::open(None, url.parse().unwrap(), config).await.unwrap();
        let request =
            Request::get(format!("/login?{}", authorize_query(&[]))).header("host", "localhost:9229");
        let page = send(&pool, request.body(Body::empty()).unwrap()).await;
        let cookie = page.headers["set-cookie"].to_str().unwrap();
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
    }
}

#[tokio::test]
async fn form_of_more_than_64_kib_is_rejected() {
    let pool = TestPool::open().await;
    let browser = pool.browser();
    let page = browser.open("/login").await;
    let answer = browser.submit(&page, &[("username", &"x".repeat(65 * 1024))]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text.contains("at most 64 KiB"), "{}", answer.text);
}
