//! Which keys are used, and where they come from.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cognito_auth::testing::{JwksServer, Reply, TestClock, TestKey, TestPool};
use cognito_auth::{KeySetError, UserPool, Verifier, VerifyError};
use serde_json::{Value, json};

use super::{DAY, Fixture, is_unavailable, with_unknown_kid};

#[tokio::test]
async fn key_urls_in_the_header_are_not_fetched() {
    let fixture = Fixture::ready().await;
    let attacker = TestKey::generate("attacker");
    let trap = JwksServer::start(&json!({ "keys": [attacker.jwk()] })).await;
    for name in ["jku", "x5u"] {
        let alice = fixture.pool.user("alice").signed_by(&attacker).header(name, json!(trap.url()));
        assert!(!fixture.accepts(&alice.access_token()).await);
    }
    assert_eq!(trap.requests(), 0);
}

#[tokio::test]
async fn unusable_keys_are_skipped_one_by_one() {
    let fixture = Fixture::new().await;
    let good = fixture.pool.access_key().jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = TestKey::generate(format!("odd-{name}")).jwk();
        jwk[name] = value;
        jwk
    };
    let twice = TestKey::generate("twice");
    let odd = [
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "kid": "pq", "pub": "AA" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA", "use": "sig" }),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "oct" }),
        json!({ "kid": "no kty" }),
        json!("text"),
        json!(null),
        with("use", json!("enc")),
        with("alg", json!("RS512")),
        with("key_ops", json!(["encrypt"])),
        with("e", json!("AQ")),
        with("e", json!("Aw")),
        with("e", json!("AQAA")),
        with("e", json!("AAEAAQ")),
        with("e", json!("____________")),
        with("n", json!("AQAB")),
        with("n", json!(BASE64_URL_SAFE_NO_PAD.encode([0xff; 128]))),
        with("n", json!(BASE64_URL_SAFE_NO_PAD.encode([0xff; 1025]))),
        with("n", json!("not base64!")),
        with("n", json!(7)),
        with("kid", json!("")),
        with("kid", json!("k".repeat(257))),
        with("d", json!("AQAB")),
        twice.jwk(),
        TestKey::generate("twice").jwk(),
        TestKey::generate("twice").jwk(),
    ];
    let mut keys = odd.to_vec();
    keys.insert(keys.len() / 2, good);
    fixture.server.reply(Reply::Keys(json!({ "keys": keys })));
    assert!(fixture.accepts(&fixture.token()).await);
    assert_eq!(fixture.verifier.stats().pools[0].keys, 1);
    let ambiguous = fixture.pool.user("alice").signed_by(&twice).access_token();
    assert!(!fixture.accepts(&ambiguous).await);
}

#[tokio::test]
async fn keys_given_as_text_need_no_network_and_do_not_age() {
    let clock = TestClock::new();
    let pool = TestPool::new().with_clock(&clock);
    let verifier = pool.verifier();
    clock.advance(30 * DAY);
    verifier.ready().await.unwrap();
    verifier.refresh().await.unwrap();
    let raw = pool.user("alice").access_token();
    assert!(verifier.verify_access(&raw).await.is_ok());
    let rejected = verifier.verify_access(&with_unknown_kid(&raw, 1)).await.unwrap_err();
    assert!(matches!(rejected, VerifyError::UnknownKey { .. }));
    assert_eq!(verifier.stats().pools[0].fetches, 0);
}

#[test]
fn text_that_is_not_a_key_set_is_rejected() {
    let pool = || UserPool::new("eu-west-1_A1").unwrap();
    for text in ["", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[],\"keys\":[]}", "<html>"] {
        assert!(pool().with_jwks_json(text).is_err(), "{text}");
    }
}

#[test]
fn fetching_keys_requires_a_runtime() {
    let pool = TestPool::new();
    let raw = pool.user("alice").access_token();
    let block_on = |verifier: &Verifier| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(verifier.verify_access(&raw)).poll(&mut context) {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => panic!("there is nothing to wait for"),
        }
    };
    assert!(block_on(&pool.verifier()).is_ok());
    let remote = UserPool::new(pool.id()).unwrap().with_jwks_url("http://127.0.0.1:1/").unwrap();
    let outcome = block_on(&Verifier::builder(remote).any_client().build().unwrap());
    assert!(matches!(outcome, Err(VerifyError::KeysUnavailable(KeySetError::NoRuntime { .. }))));
}

#[tokio::test]
async fn each_pool_has_its_own_keys() {
    let (one, other) = (TestPool::with_id("us-east-1_One"), TestPool::with_id("us-east-1_Other"));
    let (one_server, other_server) = (one.serve().await, other.serve().await);
    other_server.reply(Reply::Down);
    let verifier = Verifier::builder(one.served_user_pool(&one_server))
        .pool(other.served_user_pool(&other_server))
        .client_ids(["testclient"])
        .build()
        .unwrap();
    assert!(verifier.verify_access(&one.user("alice").access_token()).await.is_ok());
    assert!(is_unavailable(&verifier.verify_access(&other.user("alice").access_token()).await));
    let error = verifier.ready().await.unwrap_err();
    assert!(error.to_string().contains("us-east-1_Other"), "{error}");
    assert_eq!((one_server.requests(), other_server.requests()), (2, 1), "both could have the unknown key");
}
