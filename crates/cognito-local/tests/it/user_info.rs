//! `/oauth2/userInfo`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::support::{ALICE, TestPool, jwt_part, send};

#[tokio::test]
async fn user_info_follows_the_scopes_and_writes_booleans_as_strings() {
    let pool = TestPool::open().await;
    let tokens = pool.tokens(ALICE, &[]).await;
    let access_token = tokens.member("access_token");
    let sub = jwt_part(&access_token, 1)["sub"].clone();
    let info = pool.user_info(&access_token).await.json();
    let email = serde_json::json!({
        "sub": sub, "email": "alice@example.com", "email_verified": "true", "username": "alice"
    });
    assert_eq!(info, email);

    let with_profile = pool.tokens(ALICE, &[("scope", "openid profile")]).await;
    let info = pool.user_info(&with_profile.member("access_token")).await.json();
    assert_eq!(info["name"], "Alice");
}

#[tokio::test]
async fn user_info_accepts_only_valid_access_tokens_with_openid() {
    let pool = TestPool::open().await;
    let tokens = pool.tokens(ALICE, &[]).await;
    let access_token = tokens.member("access_token");
    let without_openid = pool.tokens(ALICE, &[("scope", "items/read")]).await.member("access_token");
    let (head, signature) = access_token.rsplit_once('.').unwrap();
    let (header, claims) = head.split_once('.').unwrap();
    let refused = [
        tokens.member("id_token"),
        tokens.member("refresh_token"),
        without_openid,
        format!("{head}."),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{header}.{}.{signature}", claims.replacen('a', "b", 1)),
        format!("{head}.{signature}.{signature}"),
        "x".to_owned(),
    ];
    for token in refused {
        let answer = pool.user_info(&token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(answer.json()["error"], "invalid_token");
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""), "{challenge}");
    }
    assert_eq!(pool.user_info(&access_token).await.status, StatusCode::OK);
    pool.clock.advance(Duration::from_secs(3600));
    assert_eq!(pool.user_info(&access_token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_request_without_one_bearer_token_is_malformed() {
    let pool = TestPool::open().await;
    let none = pool.get("/oauth2/userInfo").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert_eq!(none.json()["error"], "invalid_request");
    let two = Request::get("/oauth2/userInfo")
        .header("host", "localhost:9229")
        .header("authorization", "Bearer a")
        .header("authorization", "Bearer b");
    assert_eq!(send(&pool.pool, two.body(Body::empty()).unwrap()).await.status, StatusCode::BAD_REQUEST);
}
