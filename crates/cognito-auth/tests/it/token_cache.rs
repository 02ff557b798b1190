//! The cache of verified tokens.

use std::time::{Duration, UNIX_EPOCH};

use cognito_auth::testing::{Reply, TestClock, TestPool};
use cognito_auth::{Verifier, VerifyError};
use serde_json::json;

#[tokio::test]
async fn token_is_verified_once() {
    let pool = TestPool::new();
    let verifier = pool.verifier();
    let raw = pool.user("alice").access_token();
    for _ in 0..10 {
        verifier.verify_access(&raw).await.unwrap();
    }
    let stats = verifier.stats();
    assert_eq!((stats.accepted, stats.cache_hits, stats.cached_tokens), (10, 9, 1));
}

#[tokio::test]
async fn expired_token_is_rejected_although_it_is_cached() {
    let clock = TestClock::new();
    let pool = TestPool::new().with_clock(&clock);
    let verifier = pool.verifier_builder().clock_skew(Duration::ZERO).build().unwrap();
    let raw = pool.user("alice").expires_in(Duration::from_secs(300)).access_token();
    verifier.verify_access(&raw).await.unwrap();
    clock.advance(Duration::from_secs(299));
    verifier.verify_access(&raw).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let rejected = verifier.verify_access(&raw).await.unwrap_err();
    assert!(matches!(rejected, VerifyError::Expired { .. }), "{rejected}");
    assert_eq!(verifier.stats().cache_hits, 1);
}

#[tokio::test]
async fn cached_token_is_rejected_if_the_clock_is_set_back_before_nbf() {
    let clock = TestClock::at(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    let pool = TestPool::new().with_clock(&clock);
    let verifier = pool.verifier();
    let raw = pool.user("alice").claim("nbf", json!(1_767_225_600 + 60)).access_token();
    assert!(matches!(verifier.verify_access(&raw).await, Err(VerifyError::NotYetValid { claim: "nbf", .. })));
    clock.advance(Duration::from_secs(60));
    verifier.verify_access(&raw).await.unwrap();
    clock.set_back(Duration::from_secs(60));
    assert!(matches!(verifier.verify_access(&raw).await, Err(VerifyError::NotYetValid { claim: "nbf", .. })));
}

#[tokio::test]
async fn withdrawn_key_clears_the_cache() {
    let pool = TestPool::new();
    let server = pool.serve().await;
    let builder = Verifier::builder(pool.served_user_pool(&server)).client_ids([pool.client_id()]);
    let verifier = builder.build().unwrap();
    let tokens: Vec<String> = (0..20).map(|number| pool.user(&number.to_string()).access_token()).collect();
    for raw in &tokens {
        verifier.verify_access(raw).await.unwrap();
    }
    // The same key set again does not clear the cache.
    verifier.refresh().await.unwrap();
    assert_eq!(verifier.stats().cached_tokens, 20);

    let rotated = pool.rotated();
    server.reply(Reply::Keys(json!({ "keys": [rotated.access_key().jwk(), pool.id_key().jwk()] })));
    verifier.refresh().await.unwrap();
    assert_eq!(verifier.stats().cached_tokens, 0);
    for raw in &tokens {
        let rejected = verifier.verify_access(raw).await.unwrap_err();
        let is_keyless = matches!(rejected, VerifyError::UnknownKey { .. } | VerifyError::KeysUnavailable(_));
        assert!(is_keyless, "{rejected}");
    }
}

#[tokio::test]
async fn another_key_with_the_same_id_does_not_revive_cached_tokens() {
    let pool = TestPool::new();
    let server = pool.serve().await;
    let builder = Verifier::builder(pool.served_user_pool(&server)).client_ids([pool.client_id()]);
    let verifier = builder.build().unwrap();
    let raw = pool.user("alice").access_token();
    verifier.verify_access(&raw).await.unwrap();
    let impostor = pool.rotated().access_key().with_kid(pool.access_key().kid());
    server.reply(Reply::Keys(json!({ "keys": [impostor.jwk()] })));
    verifier.refresh().await.unwrap();
    assert!(matches!(verifier.verify_access(&raw).await, Err(VerifyError::Signature)));
}

#[tokio::test]
async fn tokens_that_differ_in_one_byte_do_not_share_an_entry() {
    let pool = TestPool::new();
    let verifier = pool.verifier();
    let raw = pool.user("alice").access_token();
    verifier.verify_access(&raw).await.unwrap();
    for position in 0..raw.len() {
        let mut bytes = raw.clone().into_bytes();
        bytes[position] ^= 1;
        assert!(verifier.verify_access(&String::from_utf8(bytes).unwrap()).await.is_err(), "byte {position}");
    }
    let stats = verifier.stats();
    assert_eq!((stats.cache_hits, stats.cached_tokens), (0, 1), "rejected tokens are not kept");
}

#[tokio::test]
async fn id_token_is_not_found_in_the_cache() {
    let pool = TestPool::new();
    let verifier = pool.verifier();
    let access_token = pool.user("alice").access_token();
    verifier.verify_access(&access_token).await.unwrap();
    assert!(verifier.verify_id(&access_token).await.is_err());
    let id_token = pool.user("alice").id_token();
    verifier.verify_id(&id_token).await.unwrap();
    assert!(verifier.verify_access(&id_token).await.is_err());
    assert_eq!(verifier.stats().cache_hits, 0);
}

#[tokio::test]
async fn cache_does_not_exceed_its_capacity() {
    let pool = TestPool::new();
    let verifier = pool.verifier_builder().cache_capacity(16).build().unwrap();
    for number in 0..200 {
        verifier.verify_access(&pool.user(&format!("user-{number}")).access_token()).await.unwrap();
        assert!(verifier.stats().cached_tokens <= 16);
    }
}

#[tokio::test]
async fn cache_can_be_disabled() {
    let pool = TestPool::new();
    let verifier = pool.verifier_builder().cache_capacity(0).build().unwrap();
    let raw = pool.user("alice").access_token();
    verifier.verify_access(&raw).await.unwrap();
    verifier.verify_access(&raw).await.unwrap();
    let stats = verifier.stats();
    assert_eq!((stats.accepted, stats.cache_hits, stats.cached_tokens), (2, 0, 0));
}

#[tokio::test]
async fn counters_count_each_outcome() {
    let pool = TestPool::new();
    let verifier =
        pool.verifier_builder().deny_if(|token| token.username() == Some("mallory")).build().unwrap();
    let alice = pool.user("alice");
    for raw in [
        alice.access_token(),
        alice.clone().expired().access_token(),
        pool.user("mallory").access_token(),
        pool.user("mallory").access_token(),
        alice.id_token(),
        "x".to_owned(),
    ] {
        let _ = verifier.verify_access(&raw).await;
    }
    let stats = verifier.stats();
    assert_eq!((stats.accepted, stats.cache_hits, stats.expired, stats.rejected), (1, 0, 1, 4));
    assert_eq!((stats.pools[0].keys, stats.pools[0].key_set_age), (2, None));
    assert_eq!(stats.pools[0].user_pool_id, pool.id());
}
