//! How keys are fetched and kept, against a real HTTP server on a loopback port and with a clock that the tests move.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cognito_auth::testing::{JwksServer, Reply, TestClock, TestKey, TestPool};
use cognito_auth::{KeySetError, UserPool, Verifier, VerifyError};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Longer than the ten minutes between two refreshes can become.
const REFRESH: Duration = Duration::from_secs(11 * 60 + 1);

/// Longer than anything here may take; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A pool whose keys are served, and a verifier that has to fetch them.
struct Fixture {
    pool: TestPool,
    server: JwksServer,
    clock: TestClock,
    verifier: Verifier,
}

impl Fixture {
    async fn new() -> Self {
        let pool = TestPool::new();
        let server = pool.serve().await;
        let clock = TestClock::new();
        let builder = Verifier::builder(pool.served_user_pool(&server)).client_ids([pool.client_id()]);
        let verifier = builder.clock(clock.clone()).build().unwrap();
        Self { pool, server, clock, verifier }
    }

    /// With the keys loaded.
    async fn ready() -> Self {
        let fixture = Self::new().await;
        fixture.verifier.ready().await.unwrap();
        fixture
    }

    /// A token that is valid for as long as any can be, from now on.
    fn token(&self) -> String {
        self.token_of(&self.pool)
    }

    fn token_of(&self, pool: &TestPool) -> String {
        pool.user("alice").issued_at(self.clock.now() + Duration::from_secs(5)).expires_in(DAY).access_token()
    }

    async fn accepts(&self, raw: &str) -> bool {
        self.verifier.verify_access(raw).await.is_ok()
    }

    fn fetches(&self) -> u64 {
        self.verifier.stats().pools[0].fetches
    }

    /// Waits until the worker has made this many fetches.
    async fn after_fetches(&self, fetches: u64) {
        eventually(async || self.fetches() >= fetches).await;
        assert_eq!(self.fetches(), fetches);
    }

    /// Lets the worker do whatever it would do now. There is no event to wait for if it does nothing, as it should.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn eventually(condition: impl AsyncFn() -> bool) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, met).await.expect("the condition is met in time");
}

/// The token under the name of a key that nobody has.
fn with_unknown_kid(raw: &str, number: usize) -> String {
    let header = json!({ "kid": format!("unknown-{number}"), "alg": "RS256" }).to_string();
    let (_, rest) = raw.split_once('.').unwrap();
    format!("{}.{rest}", BASE64_URL_SAFE_NO_PAD.encode(header))
}

fn is_unavailable<T>(outcome: &Result<T, VerifyError>) -> bool {
    matches!(outcome, Err(VerifyError::KeysUnavailable(KeySetError::Unavailable { .. })))
}

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
async fn key_urls_in_the_header_are_never_asked() {
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
    let quick =
        tokio::time::timeout(Duration::from_millis(500), fixture.verifier.verify_access(&known)).await;
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

#[tokio::test]
async fn odd_keys_are_skipped_one_by_one() {
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

#[tokio::test]
async fn keys_given_as_text_need_no_network_and_do_not_age() {
    let pool = TestPool::new();
    let clock = TestClock::new();
    let verifier = pool.verifier_builder().clock(clock.clone()).build().unwrap();
    clock.advance(30 * DAY);
    verifier.ready().await.unwrap();
    verifier.refresh().await.unwrap();
    let raw = pool.user("alice").issued_at(clock.now()).access_token();
    assert!(verifier.verify_access(&raw).await.is_ok());
    let refused = verifier.verify_access(&with_unknown_kid(&raw, 1)).await.unwrap_err();
    assert!(matches!(refused, VerifyError::UnknownKey { .. }));
    assert_eq!(verifier.stats().pools[0].fetches, 0);
}

#[test]
fn text_that_is_no_key_set_is_refused() {
    let pool = || UserPool::new("eu-west-1_A1").unwrap();
    for text in ["", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[],\"keys\":[]}", "<html>"] {
        assert!(pool().with_jwks_json(text).is_err(), "{text}");
    }
}

#[test]
fn keys_that_must_be_fetched_need_a_runtime_and_given_ones_do_not() {
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

#[tokio::test]
async fn each_pool_has_keys_of_its_own() {
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
    assert_eq!((one_server.requests(), other_server.requests()), (1, 1));
}
