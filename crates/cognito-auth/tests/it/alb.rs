//! Requests that an Application Load Balancer authenticated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use cognito_auth::alb::{AlbError, AlbUser, AlbVerifier, AlbVerifierBuilder};
use cognito_auth::testing::TestClock;
use cognito_auth::{BuildError, FetchCause, KeyFetch, KeyFetcher, UserPool, VerifyError};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/1234567890abcdef";

const KID: &str = "0f6b1c0e-9b1d-4a6e-8f7a-0123456789ab";

/// 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600;

/// The region's endpoint, which knows one key.
#[derive(Clone)]
struct Endpoint {
    pem: Arc<String>,
    fetches: Arc<AtomicUsize>,
    is_down: bool,
}

impl KeyFetcher for Endpoint {
    fn fetch<'a>(&'a self, url: &'a Url) -> KeyFetch<'a> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert_eq!(url.host_str(), Some("public-keys.auth.elb.eu-west-1.amazonaws.com"));
            match url.path().strip_prefix('/') {
                _ if self.is_down => Err(FetchCause::Status(500)),
                Some(KID) => Ok(self.pem.as_bytes().to_vec()),
                _ => Err(FetchCause::Status(404)),
            }
        })
    }
}

struct Fixture {
    key: EcdsaKeyPair,
    endpoint: Endpoint,
    clock: TestClock,
    verifier: AlbVerifier,
}

impl Fixture {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(is_down: bool) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let endpoint = Endpoint { pem: Arc::new(pem(&key)), fetches: Arc::default(), is_down };
        let clock = TestClock::at(UNIX_EPOCH + Duration::from_secs(NOW));
        let verifier = builder().key_fetcher(endpoint.clone()).clock(clock.clone()).build().unwrap();
        Self { key, endpoint, clock, verifier }
    }

    fn token(&self, header: Value, claims: Value) -> String {
        let encode = |value: Value| BASE64_URL_SAFE.encode(value.to_string());
        let signing_input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), signing_input.as_bytes()).unwrap();
        format!("{signing_input}.{}", BASE64_URL_SAFE.encode(signature))
    }

    async fn verify(&self, raw: &str) -> Result<AlbUser, AlbError> {
        let header = HeaderValue::from_str(raw).unwrap();
        self.verifier.verify(&HeaderMap::from_iter([("x-amzn-oidc-data".parse().unwrap(), header)])).await
    }

    fn fetches(&self) -> usize {
        self.endpoint.fetches.load(Ordering::SeqCst)
    }
}

fn builder() -> AlbVerifierBuilder {
    AlbVerifier::builder(ARN, UserPool::new("eu-west-1_AbCdEfGhI").unwrap()).client_ids(["client"])
}

/// The public key as `SubjectPublicKeyInfo` (RFC 5480) in PEM.
fn pem(key: &EcdsaKeyPair) -> String {
    let mut der = vec![0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    der.extend([0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00]);
    der.extend(key.public_key().as_ref());
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der))
}

fn header() -> Value {
    json!({
        "typ": "JWT", "alg": "ES256", "kid": KID, "signer": ARN, "client": "client", "exp": NOW + 120,
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
    })
}

fn claims() -> Value {
    json!({ "sub": "the-sub", "username": "alice", "email": "a@example.com", "email_verified": "true" })
}

fn changed(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

#[tokio::test]
async fn padded_token_of_the_load_balancer_is_accepted() {
    let fixture = Fixture::new();
    let raw = fixture.token(header(), claims());
    assert!(raw.contains('='), "the test needs padding");
    let user = fixture.verify(&raw).await.unwrap();
    assert_eq!((user.sub(), user.username()), ("the-sub", Some("alice")));
    assert_eq!((user.user_pool_id(), user.client_id()), ("eu-west-1_AbCdEfGhI", "client"));
    assert_eq!(user.load_balancer(), ARN);
    assert_eq!(user.expires_at(), UNIX_EPOCH + Duration::from_secs(NOW + 120));
    assert_eq!(user.claim::<String>("email_verified").unwrap().as_deref(), Some("true"));
    assert!(!format!("{user:?}").contains("the-sub"));

    fixture.verify(&fixture.token(header(), claims())).await.unwrap();
    assert_eq!(fixture.fetches(), 1, "the key is known");
}

#[tokio::test]
async fn padding_is_a_part_of_the_signed_text() {
    let fixture = Fixture::new();
    let raw = fixture.token(header(), claims());
    let (signing_input, _) = raw.rsplit_once('.').unwrap();
    let stripped = signing_input.replace('=', "");
    assert_ne!(stripped, signing_input, "the test needs padding");
    let signature = fixture.key.sign(&SystemRandom::new(), stripped.as_bytes()).unwrap();
    let raw = format!("{signing_input}.{}", BASE64_URL_SAFE.encode(signature));
    assert!(matches!(fixture.verify(&raw).await, Err(AlbError::Token(VerifyError::Signature))));
}

#[tokio::test]
async fn token_that_is_not_for_this_application_is_rejected_without_a_fetch() {
    let fixture = Fixture::new();
    let other = ARN.replace("web", "other");
    for (name, value) in [
        ("alg", json!("RS256")),
        ("alg", json!("none")),
        ("typ", json!("at+jwt")),
        ("crit", json!(["exp"])),
        ("kid", json!("../../other-bucket/key")),
        ("kid", json!("0f6b1c0e-9b1d-4a6e-8f7a-0123456789zz")),
        ("kid", json!(KID.to_uppercase())),
        ("signer", json!(other)),
        ("signer", json!(null)),
        ("client", json!("other")),
        ("iss", json!("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other")),
        ("exp", json!(NOW - 10)),
        ("exp", json!("soon")),
        ("exp", json!(null)),
    ] {
        let raw = fixture.token(changed(header(), name, value.clone()), claims());
        assert!(fixture.verify(&raw).await.is_err(), "{name}: {value}");
    }
    assert_eq!(fixture.fetches(), 0);
    let raw = fixture.token(changed(header(), "signer", json!(other)), claims());
    assert!(matches!(fixture.verify(&raw).await, Err(AlbError::Signer { found }) if other.ends_with(&found)));
}

#[tokio::test]
async fn claims_are_checked() {
    let fixture = Fixture::new();
    for (name, value) in [("sub", json!("")), ("exp", json!(NOW - 10)), ("iss", json!("https://example.com"))]
    {
        let raw = fixture.token(header(), changed(claims(), name, value));
        assert!(matches!(fixture.verify(&raw).await, Err(AlbError::Token(_))), "{name}");
    }
    let raw = fixture.token(header(), claims());
    fixture.clock.advance(Duration::from_secs(129));
    assert!(fixture.verify(&raw).await.is_ok(), "the clock skew is 10 s");
    fixture.clock.advance(Duration::from_secs(1));
    assert!(matches!(fixture.verify(&raw).await, Err(AlbError::Token(VerifyError::Expired { .. }))));
}

#[tokio::test]
async fn signature_of_another_key_is_rejected() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let raw = other.token(header(), claims());
    assert!(matches!(fixture.verify(&raw).await, Err(AlbError::Token(VerifyError::Signature))));
    let short = format!("{}.{}", raw.rsplit_once('.').unwrap().0, BASE64_URL_SAFE.encode([1; 63]));
    let rejected = fixture.verify(&short).await;
    assert!(matches!(rejected, Err(AlbError::Token(VerifyError::SignatureLength { .. }))));
}

#[tokio::test]
async fn header_must_occur_once() {
    let fixture = Fixture::new();
    let raw = HeaderValue::from_str(&fixture.token(header(), claims())).unwrap();
    let mut headers = HeaderMap::new();
    assert!(matches!(fixture.verifier.verify(&headers).await, Err(AlbError::Header)));
    headers.append("x-amzn-oidc-data", raw.clone());
    assert!(fixture.verifier.verify(&headers).await.is_ok());
    headers.append("x-amzn-oidc-data", raw);
    assert!(matches!(fixture.verifier.verify(&headers).await, Err(AlbError::Header)));
}

#[tokio::test]
async fn invented_key_ids_cause_a_limited_number_of_fetches_and_known_keys_still_work() {
    let fixture = Fixture::new();
    let valid = fixture.token(header(), claims());
    fixture.verify(&valid).await.unwrap();
    let mut refused = 0;
    for number in 0..100 {
        let kid = format!("00000000-0000-4000-8000-{number:012}");
        match fixture.verify(&fixture.token(changed(header(), "kid", json!(kid)), claims())).await {
            Err(AlbError::UnknownKey) => {}
            Err(error) if error.is_temporary() => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((fixture.fetches(), refused), (10, 91));
    assert!(fixture.verify(&valid).await.is_ok());
    fixture.clock.advance(Duration::from_secs(1));
    let _ = fixture
        .verify(&fixture.token(changed(header(), "kid", json!(KID.replace('0', "1"))), claims()))
        .await;
    assert_eq!(fixture.fetches(), 11);
}

#[tokio::test]
async fn concurrent_requests_with_a_new_key_cause_one_fetch() {
    let fixture = Fixture::new();
    let raw = fixture.token(header(), claims());
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let (verifier, raw) = (fixture.verifier.clone(), raw.clone());
            tokio::spawn(async move {
                let mut headers = HeaderMap::new();
                headers.insert("x-amzn-oidc-data", raw.parse().unwrap());
                verifier.verify(&headers).await.is_ok()
            })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap());
    }
    assert_eq!(fixture.fetches(), 1);
}

#[tokio::test]
async fn endpoint_that_is_down_is_temporary() {
    let fixture = Fixture::with(true);
    let error = fixture.verify(&fixture.token(header(), claims())).await.unwrap_err();
    assert!(matches!(error, AlbError::KeyUnavailable(FetchCause::Status(500))));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
}

#[test]
fn load_balancers_must_be_in_one_region() {
    for arn in ["", "arn:aws:s3:::bucket", "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/a/b"] {
        assert!(
            matches!(builder().load_balancer(arn).build(), Err(BuildError::LoadBalancer { .. })),
            "{arn}"
        );
    }
    let other = ARN.replace("eu-west-1", "eu-west-2");
    assert!(matches!(builder().load_balancer(other).build(), Err(BuildError::LoadBalancer { .. })));
    assert!(builder().load_balancer(ARN.replace("web", "second")).build().is_ok());
    let unsafe_region = ARN.replace("eu-west-1", "evil.example.com/");
    let pool = || UserPool::new("eu-west-1_AbCdEfGhI").unwrap();
    assert!(AlbVerifier::builder(unsafe_region, pool()).client_ids(["client"]).build().is_err());
    assert!(matches!(AlbVerifier::builder(ARN, pool()).build(), Err(BuildError::NoClientIds)));
}

#[tokio::test]
async fn unpadded_token_is_rejected() {
    let fixture = Fixture::new();
    let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signing_input = format!("{}.{}", encode(header()), encode(claims()));
    let signature = fixture.key.sign(&SystemRandom::new(), signing_input.as_bytes()).unwrap();
    let raw = format!("{signing_input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
    assert!(fixture.verify(&raw).await.is_err());
}
