//! The duration of a verification, compared with the signature alone and with `jsonwebtoken`.
//!
//! All benchmarks verify the same kind of access token, with a group and two scopes. Run `cargo bench -p cognito-auth`.
#![expect(clippy::unwrap_used, reason = "a failed step must end the benchmark")]

use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cognito_auth::testing::TestPool;
use cognito_auth::{AccessToken, Verifier};
use divan::{Bencher, black_box};
use serde::Deserialize;

fn main() {
    divan::main();
}

const SAMPLES: u32 = 1_000;

/// The tokens of a sample fit into the first-level cache, like a token that was just read from a socket.
const SAMPLE_SIZE: u32 = 8;

static POOL: LazyLock<TestPool> = LazyLock::new(TestPool::new);

/// As many tokens as the cache holds, each of another user.
static LIVE_TOKENS: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..10_000).map(|number| token(&format!("user-{number:05}"))).collect());

fn token(username: &str) -> String {
    POOL.user(username).in_group("admins").scope("items/read items/write").access_token()
}

/// Verifies a token without a runtime: with fixed keys the future is ready at once.
fn verify(verifier: &Verifier, raw: &str) -> AccessToken {
    match pin!(verifier.verify_access(raw)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verified) => verified.unwrap(),
        Poll::Pending => unreachable!("fixed keys are never waited for"),
    }
}

/// Returns a copy of each live token in turn. The stride is prime, so successive tokens are not adjacent in memory.
fn arriving_token() -> impl Fn() -> String + Sync {
    let turn = AtomicUsize::new(0);
    move || LIVE_TOKENS[turn.fetch_add(7_919, Ordering::Relaxed) % LIVE_TOKENS.len()].clone()
}

/// The signature alone, with a parsed key and decoded input: the lower limit of a verification.
#[divan::bench(threads = [1, 2], sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn a_bare_aws_lc_rs_verify_sig(bencher: Bencher<'_, '_>) {
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, POOL.access_key().public_der()).unwrap();
    let raw = token("alice");
    let (signing_input, signature) = raw.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    bencher.bench(|| key.verify_sig(black_box(signing_input.as_bytes()), black_box(&signature)).unwrap());
}

/// Every rule, without a cache.
#[divan::bench(threads = [1, 2], sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn b_cold_without_cache(bencher: Bencher<'_, '_>) {
    let verifier = POOL.verifier_builder().cache_capacity(0).build().unwrap();
    let raw = token("alice");
    bencher.bench(|| drop(verify(&verifier, black_box(&raw))));
}

/// The same with a full cache: each token was evicted before its turn comes again.
#[divan::bench(threads = [1, 2], sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn c_cold_with_cache(bencher: Bencher<'_, '_>) {
    let verifier = POOL.verifier_builder().cache_capacity(LIVE_TOKENS.len() / 10).build().unwrap();
    bencher.with_inputs(arriving_token()).bench_refs(|raw| drop(verify(&verifier, raw)));
    assert!(
        verifier.stats().cache_hits <= verifier.stats().accepted / 10,
        "most tokens are not in the cache"
    );
}

/// A cached token.
#[divan::bench(threads = [1, 2], sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn d_cache_hit(bencher: Bencher<'_, '_>) {
    let verifier = POOL.verifier();
    let raw = token("alice");
    bencher.bench(|| drop(verify(&verifier, black_box(&raw))));
}

/// 10,000 cached tokens in turn.
#[divan::bench(threads = [1, 2], sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn e_cache_hit_among_10_000(bencher: Bencher<'_, '_>) {
    let verifier = POOL.verifier_builder().cache_capacity(LIVE_TOKENS.len() * 2).build().unwrap();
    LIVE_TOKENS.iter().for_each(|raw| drop(verify(&verifier, raw)));
    assert_eq!(verifier.stats().cached_tokens, LIVE_TOKENS.len());
    bencher.with_inputs(arriving_token()).bench_refs(|raw| drop(verify(&verifier, raw)));
}

/// `jsonwebtoken` with its aws-lc-rs backend, a parsed key, and the checks that it offers or that are simple with its
/// claims: algorithm, `iss`, `exp`, `nbf`, `token_use` and `client_id`.
#[divan::bench(threads = [1, 2], sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn f_jsonwebtoken(bencher: Bencher<'_, '_>) {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

    /// The claims that an [`AccessToken`] has accessors for.
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "parsed for a fair comparison")]
    struct Claims {
        sub: String,
        client_id: String,
        token_use: String,
        username: Option<String>,
        #[serde(rename = "cognito:groups", default)]
        groups: Vec<String>,
        scope: Option<String>,
        jti: Option<String>,
        origin_jti: Option<String>,
        auth_time: Option<i64>,
        exp: i64,
        iat: i64,
    }

    let jwk = POOL.access_key().jwk();
    let key =
        DecodingKey::from_rsa_components(jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap()).unwrap();
    let keys = std::collections::HashMap::from([(POOL.access_key().kid().to_owned(), key)]);
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[POOL.issuer()]);
    validation.set_required_spec_claims(&["exp", "iss"]);
    validation.validate_nbf = true;
    validation.validate_aud = false;
    let raw = token("alice");
    bencher.bench(|| {
        let header = decode_header(black_box(&raw)).unwrap();
        let claims = decode::<Claims>(&raw, &keys[&header.kid.unwrap()], &validation).unwrap().claims;
        assert!(claims.client_id == POOL.client_id() && claims.token_use == "access");
        claims
    });
}
