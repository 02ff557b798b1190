//! The issuer is down, slow or answers nonsense.

use std::time::Duration;

use cognito_auth::testing::{Reply, TestPool};
use serde_json::json;

use super::{DAY, Fixture, REFRESH, eventually, is_unavailable};

/// Old keys serve while `reply` is all that the issuer says, until they are a day old.
async fn old_keys_outlast(reply: Reply) {
    let fixture = Fixture::ready().await;
    let loaded_at = fixture.clock.now();
    let raw = fixture.token();
    fixture.server.reply(reply.clone());
    fixture.clock.advance(REFRESH);
    fixture.after_fetches(2).await;
    assert_eq!(fixture.verifier.stats().pools[0].failed_fetches, 1, "{reply:?}");
    assert!(fixture.accepts(&raw).await, "{reply:?}");
    assert!(fixture.verifier.ready().await.is_ok(), "{reply:?}");

    let age = |fixture: &Fixture| fixture.clock.now().duration_since(loaded_at).unwrap();
    fixture.clock.advance(DAY - age(&fixture) - Duration::from_secs(1));
    assert!(fixture.accepts(&raw).await, "{reply:?}");
    fixture.clock.advance(Duration::from_secs(1));
    assert!(is_unavailable(&fixture.verifier.verify_access(&raw).await), "{reply:?}: cached tokens, too");
    assert!(fixture.verifier.ready().await.is_err(), "{reply:?}");

    fixture.server.reply(Reply::Keys(fixture.pool.jwks()));
    eventually(async || {
        fixture.clock.advance(Duration::from_secs(1));
        fixture.accepts(&fixture.token()).await
    })
    .await;
}

#[tokio::test]
async fn old_keys_outlast_an_issuer_that_is_down() {
    old_keys_outlast(Reply::Down).await;
}

#[tokio::test]
async fn old_keys_outlast_an_issuer_that_fails() {
    old_keys_outlast(Reply::Status(500, "oops".to_owned())).await;
    old_keys_outlast(Reply::Status(429, String::new())).await;
    old_keys_outlast(Reply::Status(204, String::new())).await;
}

#[tokio::test]
async fn old_keys_outlast_an_issuer_that_stalls() {
    old_keys_outlast(Reply::Stall).await;
}

#[tokio::test]
async fn old_keys_outlast_an_issuer_that_is_slow() {
    old_keys_outlast(Reply::After(Duration::from_secs(10), TestPool::new().jwks())).await;
}

#[tokio::test]
async fn old_keys_outlast_html() {
    old_keys_outlast(Reply::Status(200, "<!doctype html><title>Sign in</title>".to_owned())).await;
}

#[tokio::test]
async fn old_keys_outlast_a_set_without_usable_keys() {
    for set in
        [json!({ "keys": [] }), json!({}), json!([]), json!({ "keys": [{ "kty": "AKP", "kid": "a" }] })]
    {
        old_keys_outlast(Reply::Keys(set)).await;
    }
}

#[tokio::test]
async fn old_keys_outlast_fifty_megabytes() {
    old_keys_outlast(Reply::Huge(50 * 1024 * 1024)).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let attacker = TestPool::new().rotated();
    let trap = attacker.serve().await;
    old_keys_outlast(Reply::Redirect(trap.url())).await;
    assert_eq!(trap.requests(), 0);
}

#[tokio::test]
async fn a_start_without_keys_fails_fast_and_recovers_by_itself() {
    let fixture = Fixture::new().await;
    fixture.server.reply(Reply::Down);
    let raw = fixture.token();
    assert!(is_unavailable(&fixture.verifier.verify_access(&raw).await));
    let asked = fixture.server.requests();
    for _ in 0..100 {
        let error = fixture.verifier.ready().await.unwrap_err();
        assert!((1..=5).contains(&error.retry_after().as_secs()), "{error}");
        assert!(is_unavailable(&fixture.verifier.verify_access(&raw).await));
    }
    assert_eq!(fixture.server.requests(), asked, "callers cause no attempts");

    // However long it takes, attempts stay seconds apart.
    for _ in 0..10 {
        let before = fixture.fetches();
        fixture.clock.advance(Duration::from_secs(5));
        eventually(async || fixture.fetches() > before).await;
    }
    fixture.server.reply(Reply::Keys(fixture.pool.jwks()));
    fixture.clock.advance(Duration::from_secs(5));
    eventually(async || fixture.verifier.stats().pools[0].keys == 2).await;
    assert!(fixture.accepts(&raw).await);
}

#[tokio::test]
async fn failures_are_retried_sooner_than_the_next_refresh_and_ever_more_slowly() {
    let fixture = Fixture::ready().await;
    fixture.server.reply(Reply::Down);
    fixture.clock.advance(REFRESH);
    fixture.after_fetches(2).await;
    fixture.clock.advance(Duration::from_millis(1_101));
    fixture.after_fetches(3).await;
    fixture.clock.advance(Duration::from_millis(1_799));
    fixture.settle().await;
    assert_eq!(fixture.fetches(), 3, "the second wait is two seconds, give or take a tenth");
    fixture.clock.advance(Duration::from_millis(402));
    fixture.after_fetches(4).await;
}
