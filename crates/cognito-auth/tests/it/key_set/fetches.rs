//! When keys are fetched.

use std::time::Duration;

use cognito_auth::VerifyError;
use cognito_auth::testing::Reply;
use serde_json::json;

use super::{Fixture, MINUTE, REFRESH, eventually, is_unavailable, with_unknown_kid};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_first_requests_cause_one_fetch_and_all_succeed() {
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
async fn what_is_refused_without_a_key_causes_no_fetch() {
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
    assert_eq!(fixture.fetches(), 0, "not even the worker was started");
}

#[tokio::test]
async fn ten_thousand_unknown_kids_cause_one_fetch_in_thirty_seconds() {
    let fixture = Fixture::ready().await;
    let raw = fixture.token();
    let flood = async || {
        for number in 0..10_000 {
            let refused = fixture.verifier.verify_access(&with_unknown_kid(&raw, number)).await.unwrap_err();
            assert!(matches!(refused, VerifyError::UnknownKey { .. }), "{refused}");
        }
        fixture.settle().await;
    };
    flood().await;
    assert_eq!(fixture.server.requests(), 1, "the first fetch was just now");
    fixture.clock.advance(Duration::from_secs(29));
    flood().await;
    assert_eq!(fixture.server.requests(), 1);
    fixture.clock.advance(Duration::from_secs(1));
    flood().await;
    assert_eq!(fixture.server.requests(), 2);
    fixture.clock.advance(Duration::from_secs(30));
    flood().await;
    assert_eq!(fixture.server.requests(), 3);
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
async fn a_rotated_key_is_accepted_within_thirty_seconds_and_the_withdrawn_one_dies() {
    let fixture = Fixture::ready().await;
    let rotated = fixture.pool.rotated();
    let (old, new) = (fixture.token(), fixture.token_of(&rotated));
    fixture.server.reply(Reply::Keys(rotated.jwks()));
    assert!(fixture.accepts(&old).await);
    assert!(!fixture.accepts(&new).await, "the last fetch is too recent");
    assert_eq!(fixture.server.requests(), 1);

    fixture.clock.advance(Duration::from_secs(30));
    fixture.after_fetches(2).await;
    assert!(fixture.accepts(&new).await, "nobody had to ask again");
    let withdrawn = fixture.verifier.verify_access(&old).await.unwrap_err();
    assert!(matches!(withdrawn, VerifyError::UnknownKey { .. }), "{withdrawn}");
}

#[tokio::test]
async fn an_unknown_kid_waits_for_the_fetch_it_causes() {
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
async fn refresh_fetches_at_once_and_tells_of_failure() {
    let fixture = Fixture::ready().await;
    fixture.verifier.refresh().await.unwrap();
    assert_eq!(fixture.server.requests(), 2);
    fixture.server.reply(Reply::Down);
    let error = fixture.verifier.refresh().await.unwrap_err();
    assert!(error.to_string().contains(fixture.pool.id()), "{error}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains(&fixture.server.url()));
    assert!(fixture.accepts(&fixture.token()).await, "older keys stay in use");
    fixture.server.reply(Reply::Keys(fixture.pool.jwks()));
    fixture.verifier.refresh().await.unwrap();
}

#[test]
fn a_verifier_outlives_the_runtime_of_its_worker() {
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
async fn the_worker_ends_with_the_last_clone() {
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
