//! Refresh tokens: rotation, its grace period, and what ends them.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use cognito_local::{PoolConfig, RefreshTokenRotation};

use crate::support::{ALICE, TestPool, jwt_part};

fn rotation(grace_seconds: u8) -> impl FnOnce(&mut PoolConfig) {
    move |config| {
        config.clients[0].refresh_token_rotation =
            Some(RefreshTokenRotation { retry_grace_period_seconds: grace_seconds });
    }
}

#[tokio::test]
async fn refresh_renews_the_tokens_of_the_same_sign_in() {
    let pool = TestPool::open().await;
    let first = pool.tokens(ALICE, &[]).await;
    pool.clock.advance(Duration::from_secs(100));
    let from = pool.clock.unix_seconds();
    let second = pool.refresh(&first.member("refresh_token")).await;
    let to = pool.clock.unix_seconds();
    for token in ["access_token", "id_token"] {
        let (old, new) = (jwt_part(&first.member(token), 1), jwt_part(&second.member(token), 1));
        for same in ["sub", "origin_jti", "event_id", "auth_time", "cognito:groups", "iss"] {
            assert_eq!(old[same], new[same], "{token} {same}");
        }
        assert_ne!(old["jti"], new["jti"]);
        assert!((from..=to).contains(&new["iat"].as_i64().unwrap()), "{token}");
        assert_eq!(new["exp"].as_i64().unwrap() - new["iat"].as_i64().unwrap(), 3600);
    }
    assert!(jwt_part(&second.member("id_token"), 1).get("nonce").is_none());
    assert_ne!(first.member("refresh_token"), second.member("refresh_token"));
}

#[tokio::test]
async fn without_rotation_the_refresh_token_stays_valid() {
    let pool = TestPool::with(|config| config.clients[0].refresh_token_rotation = None).await;
    let first = pool.tokens(ALICE, &[]).await;
    for _ in 0..3 {
        let answer = pool.refresh(&first.member("refresh_token")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.json().get("refresh_token").is_none());
    }
}

#[tokio::test]
async fn retry_within_the_grace_period_gets_the_valid_token() {
    let pool = TestPool::with(rotation(10)).await;
    let first = pool.tokens(ALICE, &[]).await.member("refresh_token");
    let second = pool.refresh(&first).await.member("refresh_token");
    pool.clock.advance(Duration::from_millis(9_000));
    assert_eq!(pool.refresh(&first).await.member("refresh_token"), second);
    let third = pool.refresh(&second).await.member("refresh_token");
    assert_eq!(pool.refresh(&second).await.member("refresh_token"), third);
}

#[tokio::test]
async fn reuse_after_the_grace_period_revokes_the_sign_in() {
    let pool = TestPool::with(rotation(10)).await;
    let tokens = pool.tokens(ALICE, &[]).await;
    let first = tokens.member("refresh_token");
    let second = pool.refresh(&first).await.member("refresh_token");
    pool.clock.advance(Duration::from_secs(10));
    pool.refresh(&first).await.assert_error("invalid_grant");
    pool.refresh(&second).await.assert_error("invalid_grant");
    assert_eq!(pool.user_info(&tokens.member("access_token")).await.status, StatusCode::UNAUTHORIZED);
    let other_line = pool.tokens(ALICE, &[]).await;
    assert_eq!(pool.refresh(&other_line.member("refresh_token")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn parallel_refreshes_within_the_grace_period_get_the_same_token() {
    let pool = TestPool::with(rotation(60)).await;
    let first = pool.tokens(ALICE, &[]).await.member("refresh_token");
    let refreshes = (0..100).map(|_| async { pool.refresh(&first).await.member("refresh_token") });
    let successors: BTreeSet<String> = futures_util::future::join_all(refreshes).await.into_iter().collect();
    assert_eq!(successors.len(), 1, "one line, one token in force");
    let successor = successors.first().unwrap();
    assert_ne!(successor, &first);
    assert_eq!(pool.refresh(successor).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_one_parallel_refresh_without_grace_succeeds_and_the_sign_in_is_revoked() {
    let pool = TestPool::with(rotation(0)).await;
    let first = pool.tokens(ALICE, &[]).await.member("refresh_token");
    let refreshes = (0..100).map(|_| async { pool.refresh(&first).await });
    let answers = futures_util::future::join_all(refreshes).await;
    let good: Vec<_> = answers.iter().filter(|answer| answer.status.is_success()).collect();
    assert_eq!(good.len(), 1);
    pool.refresh(&good[0].member("refresh_token")).await.assert_error("invalid_grant");
}

#[tokio::test]
async fn rotation_does_not_prolong_the_sign_in() {
    let pool = TestPool::open().await;
    let mut token = pool.tokens(ALICE, &[]).await.member("refresh_token");
    let day = Duration::from_secs(24 * 3600);
    for _ in 0..29 {
        pool.clock.advance(day);
        token = pool.refresh(&token).await.member("refresh_token");
    }
    pool.clock.advance(day);
    pool.refresh(&token).await.assert_error("invalid_grant");
}

#[tokio::test]
async fn refresh_can_narrow_the_scope_but_not_widen_it() {
    let pool = TestPool::open().await;
    let token = pool.tokens(ALICE, &[]).await.member("refresh_token");
    let refresh = async |token: &str, scope: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "localweb"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        pool.post("/oauth2/token", &form).await
    };
    refresh(&token, "openid items/write").await.assert_error("invalid_scope");
    let less = refresh(&token, "items/read").await;
    assert_eq!(jwt_part(&less.member("access_token"), 1)["scope"], "items/read");
    assert!(less.json().get("id_token").is_none());
    let all = refresh(&less.member("refresh_token"), "").await;
    assert_eq!(jwt_part(&all.member("access_token"), 1)["scope"], "openid email items/read");
}

#[tokio::test]
async fn groups_follow_the_user_at_each_refresh() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pool.sqlite3");
    let open = async |groups: Vec<String>| {
        let mut config = PoolConfig::demo(8000);
        config.users[0].groups = groups;
        let url = "http://localhost:9229".parse().unwrap();
        let clock = cognito_local::Clock::system();
        let pool =
            cognito_local::LocalPool::open_with_clock(Some(&file), url, config, clock.clone()).await.unwrap();
        TestPool { pool, clock }
    };
    let token = open(vec!["admins".into()]).await.tokens(ALICE, &[]).await.member("refresh_token");
    let refreshed = open(vec![]).await.refresh(&token).await;
    assert!(jwt_part(&refreshed.member("access_token"), 1).get("cognito:groups").is_none());
}

#[tokio::test]
async fn another_client_cannot_use_a_refresh_token() {
    let pool = TestPool::with(|config| {
        let other = cognito_local::ClientConfig { id: "other".into(), ..config.clients[0].clone() };
        config.clients.push(other);
    })
    .await;
    let token = pool.tokens(ALICE, &[]).await.member("refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", "other"), ("refresh_token", token.as_str())];
    pool.post("/oauth2/token", &form).await.assert_error("invalid_grant");
    let form = [("client_id", "other"), ("token", token.as_str())];
    pool.post("/oauth2/revoke", &form).await.assert_error("unauthorized_client");
    assert_eq!(pool.refresh(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn revocation_ends_the_sign_in_with_the_documented_responses() {
    let pool = TestPool::open().await;
    let tokens = pool.tokens(ALICE, &[]).await;
    let first = tokens.member("refresh_token");
    let second = pool.refresh(&first).await.member("refresh_token");
    let revoke = async |form: &[(&str, &str)]| pool.post("/oauth2/revoke", form).await;

    let access_token = tokens.member("access_token");
    revoke(&[("client_id", "localweb"), ("token", &access_token)])
        .await
        .assert_error("unsupported_token_type");
    revoke(&[("client_id", "localweb")]).await.assert_error("invalid_request");
    let unknown_client = revoke(&[("client_id", "nobody"), ("token", &first)]).await;
    assert_eq!(unknown_client.status, StatusCode::UNAUTHORIZED);
    assert_eq!(unknown_client.json()["error"], "invalid_client");
    assert_eq!(pool.user_info(&access_token).await.status, StatusCode::OK, "nothing is revoked yet");

    for _ in 0..2 {
        let done = revoke(&[("client_id", "localweb"), ("token", &first)]).await;
        assert_eq!((done.status, done.text.as_str()), (StatusCode::OK, ""));
    }
    let unknown = revoke(&[("client_id", "localweb"), ("token", "unknown")]).await;
    assert_eq!(unknown.status, StatusCode::OK);
    pool.refresh(&second).await.assert_error("invalid_grant");
    assert_eq!(pool.user_info(&access_token).await.status, StatusCode::UNAUTHORIZED);
}
