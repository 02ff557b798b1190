//! Signing keys: their rotation, and that the tokens pass `cognito-auth`.

use axum::http::StatusCode;
use cognito_auth::{UserPool, Verifier};
use cognito_local::{Clock, LocalPool, PoolConfig, rotate_keys, withdraw_old_keys};

use crate::support::{ALICE, ORIGIN_URL, TestPool, jwt_part};

const JWKS: &str = "/us-east-1_LocalPool/.well-known/jwks.json";

async fn kids(pool: &TestPool) -> Vec<String> {
    let keys = pool.get(JWKS).await.json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn access_token(pool: &TestPool) -> String {
    pool.tokens(ALICE, &[]).await.member("access_token")
}

#[tokio::test]
async fn rotation_introduces_keys_and_keeps_the_old_ones_until_they_are_withdrawn() {
    let pool = TestPool::open().await;
    let before = kids(&pool).await;
    let old = access_token(&pool).await;
    pool.pool.rotate_keys().await.unwrap();

    let both = kids(&pool).await;
    assert_eq!((before.len(), both.len()), (2, 4));
    let new = access_token(&pool).await;
    let kid = |token: &str| jwt_part(token, 0)["kid"].as_str().unwrap().to_owned();
    assert!(before.contains(&kid(&old)) && !before.contains(&kid(&new)) && both.contains(&kid(&new)));
    assert_eq!(pool.user_info(&old).await.status, StatusCode::OK);

    assert_eq!(pool.pool.withdraw_old_keys().await.unwrap(), 2);
    assert_eq!(kids(&pool).await, both[2..]);
    assert_eq!(pool.user_info(&old).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(pool.user_info(&new).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_process_can_rotate_the_keys_of_a_running_pool() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cognito.sqlite");
    let missing = rotate_keys(&file).await.unwrap_err();
    assert!(missing.to_string().contains("cannot find a user pool in"), "{missing}");

    let (url, config, clock) = (ORIGIN_URL.parse().unwrap(), PoolConfig::demo(8000), Clock::system());
    let pool = LocalPool::open_with_clock(Some(&file), url, config, clock.clone()).await.unwrap();
    let pool = TestPool { pool, clock };
    let before = kids(&pool).await;
    rotate_keys(&file).await.unwrap();
    let token = access_token(&pool).await;
    assert!(!before.contains(&jwt_part(&token, 0)["kid"].as_str().unwrap().to_owned()));
    assert_eq!(withdraw_old_keys(&file).await.unwrap(), 2);
    assert_eq!(kids(&pool).await.len(), 2);
}

#[tokio::test]
async fn cognito_auth_accepts_the_tokens_with_only_another_issuer() {
    let pool = TestPool::open().await;
    let user_pool = UserPool::new("us-east-1_LocalPool")
        .and_then(|user_pool| user_pool.with_issuer(pool.pool.issuer()))
        .unwrap()
        .with_jwks_json(&pool.get(JWKS).await.text)
        .unwrap();
    let verifier = Verifier::builder(user_pool)
        .client_ids(["localweb"])
        .resources(["https://api.example.com"])
        .build()
        .unwrap();
    for changes in [&[][..], &[("resource", "https://api.example.com")]] {
        let answer = pool.tokens(ALICE, changes).await;
        let access = verifier.verify_access(&answer.member("access_token")).await.unwrap();
        assert_eq!(access.groups(), ["admins"]);
        let id = verifier.verify_id(&answer.member("id_token")).await.unwrap();
        assert_eq!(id.sub(), access.sub());
        id.check_nonce("the-nonce").unwrap();
        id.check_access_token(&answer.member("access_token")).unwrap();
        let refreshed = pool.refresh(&answer.member("refresh_token")).await;
        verifier.verify_access(&refreshed.member("access_token")).await.unwrap();
        verifier.verify_id(&refreshed.member("id_token")).await.unwrap();
    }
}

#[tokio::test]
async fn issuer_can_have_the_form_of_aws() {
    let pool = TestPool::with(|config| config.issuer = cognito_local::Issuer::Aws).await;
    let issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_LocalPool";
    let tokens = pool.tokens(ALICE, &[]).await;
    assert_eq!(jwt_part(&tokens.member("access_token"), 1)["iss"], issuer);
    let path = "/us-east-1_LocalPool/.well-known/openid-configuration";
    let document = pool.get(path).await.json();
    assert_eq!(document["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    assert_eq!(document["token_endpoint"], "http://localhost:9229/oauth2/token");
    for (host, status) in
        [("cognito-idp.us-east-1.amazonaws.com", 200), ("cognito-idp.eu-west-1.amazonaws.com", 421)]
    {
        let request = axum::http::Request::get(path).header("host", host);
        let answer = crate::support::send(&pool.pool, request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{host}");
    }
}
