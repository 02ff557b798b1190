//! When keys are fetched.

use std::time::Duration;

use cognito_auth::VerifyError;
use cognito_auth::testing::Reply;
use serde_json::json;

use super::{Fixture, MINUTE, REFRESH, eventually, is_pending, is_unavailable, with_unknown_kid};

#[tokio::test(flavor = "multi_thread")]
async fn thousand_first_requests_cause_one_fetch_and_all_succeed() {
    let fixture = Fixture::new().await;
    let raw = fixture.token();
    let requests: Vec<_> = (0..1_000)
        .map(|_| {
            let (verifier, raw) = (fixture.verifier.clone(), raw.clone());
            tokio::spawn(async move { verifier.verify_access(&raw).await.is_ok() })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap());
    }
    fixture.clock.advance(5 * MINUTE);
    fixture.settle().await;
    assert_eq!(fixture.server.requests(), 1);
}

#[tokio::test]
async fn token_that_is_rejected_without_a_key_causes_no_fetch() {
    let fixture = Fixture::new().await;
    let alice = fixture.pool.user("alice");
    for raw in [
        alice.clone().header("alg", json!("none")).access_token(),
        alice.clone().header("crit", json!(["exp"])).access_token(),
        alice.clone().without_header("kid").access_token(),
        alice.clone().header_json(r#"{"alg":"RS256","alg":"RS256","kid":"x"}"#).access_token(),
        format!("{}=", alice.access_token()),
        "a.b".to_owned(),
        ".".repeat(1_000_000),
    ] {
        assert!(fixture.verifier.verify_access(&raw).await.is_err());
    }
    assert_eq!(fixture.server.requests(), 0);
    assert_eq!(fixture.fetches(), 0, "the task was not started");
}

#[tokio::test]
async fn flood_of_unknown_kids_causes_one_fetch_per_fifteen_seconds_and_a_burst_of_two() {
    let fixture = Fixture::ready().await;
    let raw = fixture.token();
    let flood = async || {
        for number in 0..10_000 {
            let rejected = fixture.verifier.verify_access(&with_unknown_kid(&raw, number)).await.unwrap_err();
            let is_unknown = matches!(rejected, VerifyError::UnknownKey { .. });
            assert!(is_unknown || is_pending(&rejected), "{rejected}");
        }
        fixture.settle().await;
    };
    flood().await;
    assert_eq!(fixture.server.requests(), 2, "one to start with, and one more at once");
    fixture.clock.advance(Duration::from_secs(14));
    flood().await;
    assert_eq!(fixture.server.requests(), 2);
    fixture.clock.advance(Duration::from_secs(1));
    flood().await;
    assert_eq!(fixture.server.requests(), 3);
    for fetches in 4..8 {
        fixture.clock.advance(Duration::from_secs(15));
        flood().await;
        assert_eq!(fixture.server.requests(), fetches);
    }
}

#[tokio::test]
async fn new_key_is_accepted_within_fifteen_seconds_of_publication_under_a_flood_and_never_rejected() {
    let fixture = Fixture::ready().await;
    let raw = fixture.token();
    for number in 0..100 {
        let _ = fixture.verifier.verify_access(&with_unknown_kid(&raw, number)).await;
    }
    let rotated = fixture.pool.rotated();
    fixture.server.reply(Reply::Keys(rotated.jwks()));
    let new = fixture.token_of(&rotated);
    for second in 0..15 {
        let pending = fixture.verifier.verify_access(&new).await.unwrap_err();
        assert!(is_pending(&pending), "after {second} s: {pending}");
        let _ = fixture.verifier.verify_access(&with_unknown_kid(&raw, 1_000 + second)).await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    assert!(fixture.accepts(&new).await);
}

#[tokio::test]
async fn key_that_is_missing_from_a_fetch_after_the_request_is_unknown() {
    let fixture = Fixture::ready().await;
    let raw = with_unknown_kid(&fixture.token(), 1);
    let unknown = fixture.verifier.verify_access(&raw).await.unwrap_err();
    assert!(matches!(unknown, VerifyError::UnknownKey { .. }), "{unknown}");
    let pending = fixture.verifier.verify_access(&raw).await.unwrap_err();
    assert!(matches!(&pending, VerifyError::KeysUnavailable(error) if error.retry_after().as_secs() == 15));
}

#[tokio::test]
async fn known_kids_do_not_wait_for_the_fetch_that_an_unknown_one_causes() {
    let fixture = Fixture::ready().await;
    let raw = fixture.token();
    fixture.server.reply(Reply::Stall);
    fixture.clock.advance(MINUTE);
    let unknown: Vec<_> = (0..100)
        .map(|number| {
            let (verifier, raw) = (fixture.verifier.clone(), with_unknown_kid(&raw, number));
            tokio::spawn(async move { verifier.verify_access(&raw).await })
        })
        .collect();
    eventually(async || fixture.server.requests() == 2).await;
    let known = fixture.pool.user("bob").access_token();
    let quick = tokio::time::timeout(Duration::from_secs(2), fixture.verifier.verify_access(&known)).await;
    assert!(quick.expect("known kids are not delayed").is_ok());
    for request in unknown {
        assert!(is_unavailable(&request.await.unwrap()), "nobody knows whether the key exists");
    }
    assert_eq!(fixture.server.requests(), 2, "one fetch for all of them");
}

#[tokio::test]
async fn rotated_key_is_accepted_at_once_and_the_withdrawn_one_is_rejected() {
    let fixture = Fixture::ready().await;
    let rotated = fixture.pool.rotated();
    let (old, new) = (fixture.token(), fixture.token_of(&rotated));
    fixture.server.reply(Reply::Keys(rotated.jwks()));
    assert!(fixture.accepts(&old).await);
    assert!(fixture.accepts(&new).await);
    assert_eq!(fixture.server.requests(), 2);
    fixture.clock.advance(MINUTE);
    let withdrawn = fixture.verifier.verify_access(&old).await.unwrap_err();
    assert!(matches!(withdrawn, VerifyError::UnknownKey { .. }), "{withdrawn}");
}

#[tokio::test]
async fn requested_fetch_is_made_when_it_is_due_without_another_request() {
    let fixture = Fixture::ready().await;
    let raw = fixture.token();
    let rotated = fixture.pool.rotated();
    for number in 0..3 {
        let _ = fixture.verifier.verify_access(&with_unknown_kid(&raw, number)).await;
    }
    fixture.server.reply(Reply::Keys(rotated.jwks()));
    fixture.clock.advance(Duration::from_secs(15));
    fixture.after_fetches(3).await;
    assert!(fixture.accepts(&fixture.token_of(&rotated)).await);
}

#[tokio::test]
async fn unknown_kid_waits_for_the_fetch_that_it_causes() {
    let fixture = Fixture::ready().await;
    let rotated = fixture.pool.rotated();
    fixture.server.reply(Reply::After(Duration::from_millis(200), rotated.jwks()));
    fixture.clock.advance(MINUTE);
    assert!(fixture.accepts(&fixture.token_of(&rotated)).await);
    assert_eq!(fixture.server.requests(), 2);
}

#[tokio::test]
async fn keys_are_fetched_again_every_ten_minutes() {
    let fixture = Fixture::ready().await;
    for fetches in 2..5 {
        fixture.clock.advance(8 * MINUTE);
        fixture.settle().await;
        assert_eq!(fixture.fetches(), fetches - 1);
        fixture.clock.advance(REFRESH - 8 * MINUTE);
        fixture.after_fetches(fetches).await;
    }
}

#[tokio::test]
async fn refresh_fetches_at_once_and_reports_failure() {
    let fixture = Fixture::ready().await;
    fixture.verifier.refresh().await.unwrap();
    assert_eq!(fixture.server.requests(), 2);
    fixture.server.reply(Reply::Down);
    let error = fixture.verifier.refresh().await.unwrap_err();
    assert!(error.to_string().contains(fixture.pool.id()), "{error}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("http://127.0.0.1:"));
    assert!(fixture.accepts(&fixture.token()).await, "older keys stay in use");
    fixture.server.reply(Reply::Keys(fixture.pool.jwks()));
    fixture.verifier.refresh().await.unwrap();
}

#[test]
fn verifier_works_after_the_runtime_of_its_task_has_ended() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server_runtime = runtime();
    let fixture = server_runtime.block_on(Fixture::new());
    let first = runtime();
    first.block_on(fixture.verifier.ready()).unwrap();
    drop(first);
    fixture.clock.advance(REFRESH);
    let second = runtime();
    second.block_on(async {
        assert!(fixture.accepts(&fixture.token()).await);
        fixture.after_fetches(2).await;
    });
}

#[tokio::test]
async fn task_ends_with_the_last_clone() {
    let fixture = Fixture::ready().await;
    let Fixture { server, clock, verifier, .. } = fixture;
    let clone = verifier.clone();
    drop(verifier);
    clock.advance(REFRESH);
    eventually(async || clone.stats().pools[0].fetches == 2).await;
    drop(clone);
    clock.advance(REFRESH);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.requests(), 2);
}
