//! The issuer is down, slow or sends invalid responses.

use std::time::Duration;

use cognito_auth::testing::{Reply, TestPool};
use serde_json::json;

use super::{DAY, Fixture, REFRESH, eventually, is_unavailable};

/// Checks that old keys are used while the issuer sends this response, until they are a day old.
async fn old_keys_are_used(reply: Reply) {
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
async fn old_keys_are_used_while_the_issuer_is_down() {
    old_keys_are_used(Reply::Down).await;
}

#[tokio::test]
async fn old_keys_are_used_while_the_issuer_fails() {
    old_keys_are_used(Reply::Status(500, "oops".to_owned())).await;
    old_keys_are_used(Reply::Status(429, String::new())).await;
    old_keys_are_used(Reply::Status(204, String::new())).await;
}

#[tokio::test]
async fn old_keys_are_used_while_the_issuer_stalls() {
    old_keys_are_used(Reply::Stall).await;
}

#[tokio::test]
async fn old_keys_are_used_while_the_issuer_is_slow() {
    old_keys_are_used(Reply::After(Duration::from_secs(10), TestPool::new().jwks())).await;
}

#[tokio::test]
async fn old_keys_are_used_while_the_issuer_serves_html() {
    old_keys_are_used(Reply::Status(200, "<!doctype html><title>Sign in</title>".to_owned())).await;
}

#[tokio::test]
async fn old_keys_are_used_while_the_set_has_no_usable_keys() {
    for set in
        [json!({ "keys": [] }), json!({}), json!([]), json!({ "keys": [{ "kty": "AKP", "kid": "a" }] })]
    {
        old_keys_are_used(Reply::Keys(set)).await;
    }
}

#[tokio::test]
async fn old_keys_are_used_while_the_response_is_too_large() {
    old_keys_are_used(Reply::Huge(50 * 1024 * 1024)).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let attacker = TestPool::new().rotated();
    let trap = attacker.serve().await;
    old_keys_are_used(Reply::Redirect(trap.url())).await;
    assert_eq!(trap.requests(), 0);
}

#[tokio::test]
async fn start_without_keys_fails_fast_and_recovers() {
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

    // Attempts stay seconds apart during a long outage.
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
async fn failed_fetch_is_retried_with_increasing_delays() {
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
