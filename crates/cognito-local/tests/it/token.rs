//! `/oauth2/token`, and the keys that its tokens are verified with.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use crate::support::{ALICE, TestPool, VERIFIER, exchange, jwt_part};

fn machine_secret(pool: &TestPool) -> String {
    pool.pool.client("localmachine").unwrap().secret.unwrap().expose_secret().to_owned()
}

fn basic(id: &str, secret: &str) -> HeaderMap {
    let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
}

#[tokio::test]
async fn code_gives_three_tokens() {
    let pool = TestPool::open().await;
    let answer = pool.tokens(ALICE, &[]).await;
    assert_eq!(answer.json()["expires_in"], 3600);
    assert_eq!(answer.member("token_type"), "Bearer");
    let access = jwt_part(&answer.member("access_token"), 1);
    let id = jwt_part(&answer.member("id_token"), 1);
    assert_eq!((&access["token_use"], &id["token_use"]), (&"access".into(), &"id".into()));
    assert_eq!(access["cognito:groups"], serde_json::json!(["admins"]));
    assert_eq!((&access["username"], &id["cognito:username"]), (&"alice".into(), &"alice".into()));
    assert_eq!(access["exp"].as_i64().unwrap() - access["iat"].as_i64().unwrap(), 3600);
    assert_eq!((&id["nonce"], &id["aud"]), (&"the-nonce".into(), &"localweb".into()));
    assert!(!answer.member("refresh_token").contains('.'));
}

#[tokio::test]
async fn access_and_id_tokens_are_signed_by_different_published_keys() {
    let pool = TestPool::open().await;
    let answer = pool.tokens(ALICE, &[]).await;
    let keys = pool.get("/us-east-1_LocalPool/.well-known/jwks.json").await.json();
    let kid = |token: &str| jwt_part(&answer.member(token), 0)["kid"].clone();
    assert_ne!(kid("access_token"), kid("id_token"));
    for token in ["access_token", "id_token"] {
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid(token)).unwrap();
        assert_eq!(key["alg"], "RS256");
        assert_eq!((&key["e"], &key["kty"], &key["use"]), (&"AQAB".into(), &"RSA".into(), &"sig".into()));
        let header = jwt_part(&answer.member(token), 0);
        assert_eq!(header, serde_json::json!({ "kid": kid(token), "alg": "RS256" }));
    }
}

#[tokio::test]
async fn second_use_of_a_code_revokes_its_tokens() {
    let pool = TestPool::open().await;
    let code = pool.browser().code(ALICE, &[]).await;
    let first = pool.redeem(&code).await;
    pool.redeem(&code).await.assert_error("invalid_grant");
    pool.refresh(&first.member("refresh_token")).await.assert_error("invalid_grant");
}

#[tokio::test]
async fn at_most_one_parallel_use_of_a_code_succeeds() {
    let pool = TestPool::open().await;
    let code = pool.browser().code(ALICE, &[]).await;
    let uses = (0..20).map(|_| async { pool.redeem(&code).await.status });
    let statuses = futures_util::future::join_all(uses).await;
    assert_eq!(statuses.iter().filter(|status| status.is_success()).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn code_expires_after_five_minutes() {
    let pool = TestPool::open().await;
    let (early, late) = (pool.browser().code(ALICE, &[]).await, pool.browser().code(ALICE, &[]).await);
    pool.clock.advance(Duration::from_secs(240));
    assert_eq!(pool.redeem(&early).await.status, StatusCode::OK);
    pool.clock.advance(Duration::from_secs(60));
    pool.redeem(&late).await.assert_error("invalid_grant");
}

#[tokio::test]
async fn wrong_verifier_or_url_invalidates_the_code() {
    let pool = TestPool::open().await;
    let other_verifier = format!("{VERIFIER}x");
    for (name, value, error) in [
        ("code_verifier", other_verifier.as_str(), "invalid_grant"),
        ("code_verifier", "", "invalid_grant"),
        ("redirect_uri", "http://localhost/callback", "unauthorized_client"),
    ] {
        let code = pool.browser().code(ALICE, &[]).await;
        let form = exchange(&code).map(|pair| if pair.0 == name { (name, value) } else { pair });
        pool.post("/oauth2/token", &form).await.assert_error(error);
        pool.redeem(&code).await.assert_error("invalid_grant");
    }
    pool.redeem("no-such-code").await.assert_error("invalid_grant");
}

#[tokio::test]
async fn another_client_can_neither_use_nor_invalidate_a_code() {
    let pool = TestPool::with(|config| {
        config.clients.push(cognito_local::ClientConfig { id: "other".into(), ..config.clients[0].clone() });
    })
    .await;
    let code = pool.browser().code(ALICE, &[]).await;
    let form = exchange(&code).map(|pair| if pair.0 == "client_id" { ("client_id", "other") } else { pair });
    pool.post("/oauth2/token", &form).await.assert_error("invalid_grant");
    assert_eq!(pool.redeem(&code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn machine_client_gets_an_access_token_for_its_own_scopes() {
    let pool = TestPool::open().await;
    let secret = machine_secret(&pool);
    let grant = ("grant_type", "client_credentials");
    let by_header = pool.post_with("/oauth2/token", &[grant], basic("localmachine", &secret)).await;
    let body = [grant, ("client_id", "localmachine"), ("client_secret", &secret), ("scope", "items/read")];
    let by_body = pool.post("/oauth2/token", &body).await;
    for (answer, scope) in [(by_header, "items/read items/write"), (by_body, "items/read")] {
        let claims = jwt_part(&answer.member("access_token"), 1);
        assert_eq!((&claims["sub"], &claims["client_id"]), (&"localmachine".into(), &"localmachine".into()));
        assert_eq!(claims["scope"], scope);
        assert!(answer.json().get("id_token").is_none() && answer.json().get("refresh_token").is_none());
    }
}

#[tokio::test]
async fn token_endpoint_errors_are_those_that_cognito_documents() {
    let pool = TestPool::open().await;
    let secret = machine_secret(&pool);
    let token = |form: Vec<(&'static str, &'static str)>, headers: HeaderMap| {
        let pool = &pool;
        async move { pool.post_with("/oauth2/token", &form, headers).await }
    };
    let credentials = || basic("localmachine", &secret);
    let machine = ("grant_type", "client_credentials");
    for (form, headers, error) in [
        (vec![], credentials(), "invalid_request"),
        (vec![("grant_type", "password")], credentials(), "unsupported_grant_type"),
        (vec![machine], HeaderMap::new(), "invalid_request"),
        (vec![machine], basic("localmachine", "wrong"), "invalid_client"),
        (vec![machine], basic("nobody", "wrong"), "invalid_client"),
        (vec![machine, ("client_id", "localmachine")], HeaderMap::new(), "invalid_client"),
        (vec![machine, ("client_id", "localweb")], credentials(), "invalid_client"),
        (vec![machine, ("client_secret", "x")], credentials(), "invalid_request"),
        (vec![machine, ("client_id", "localweb")], HeaderMap::new(), "unauthorized_client"),
        (vec![machine, ("scope", "openid")], credentials(), "invalid_scope"),
        (vec![machine, ("scope", "items/delete")], credentials(), "invalid_scope"),
        (vec![machine, machine], credentials(), "invalid_request"),
        (vec![("grant_type", "authorization_code")], credentials(), "invalid_request"),
        (vec![("grant_type", "refresh_token")], credentials(), "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "x")], credentials(), "unauthorized_client"),
    ] {
        token(form, headers).await.assert_error(error);
    }
}

#[tokio::test]
async fn token_endpoint_accepts_only_forms_of_at_most_64_kib() {
    let pool = TestPool::open().await;
    let big = "x".repeat(65 * 1024);
    pool.post("/oauth2/token", &[("grant_type", &big)]).await.assert_error("invalid_request");
    let json = axum::http::Request::post("/oauth2/token")
        .header("host", "localhost:9229")
        .header("content-type", "application/json")
        .body("{}".into())
        .unwrap();
    crate::support::send(&pool.pool, json).await.assert_error("invalid_request");
}
