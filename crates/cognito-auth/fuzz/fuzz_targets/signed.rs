//! Verifies any header and payload with a valid signature: the verifier and the reference of the tests must agree.
//!
//! The input is the header, a zero byte, and the payload. The clock is fixed, so the corpus stays valid.
#![no_main]

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use cognito_auth::Verifier;
use cognito_auth::testing::{TestClock, TestPool};
use libfuzzer_sys::fuzz_target;

use crate::reference::Reference;

#[path = "../../tests/it/reference.rs"]
mod reference;

/// 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600;

static POOL: LazyLock<TestPool> = LazyLock::new(|| {
    let clock = TestClock::at(UNIX_EPOCH + Duration::from_secs(NOW));
    TestPool::new().with_clock(&clock)
});

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let builder = POOL.verifier_builder().clock_skew(Duration::from_secs(10));
    builder.build().expect("the pool is enough")
});

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference {
    kid: POOL.access_key().kid().to_owned(),
    public_key: POOL.access_key().public_der(),
    issuer: POOL.issuer().to_owned(),
    client_id: POOL.client_id().to_owned(),
    clock_skew: 10,
});

fuzz_target!(|bytes: &[u8]| {
    let zero = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (header, payload) = bytes.split_at(zero);
    let payload = payload.get(1..).unwrap_or_default();
    let raw = POOL.user("alice").header_json(header).payload_json(payload).access_token();
    let accepted = match pin!(VERIFIER.verify_access(&raw)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.is_ok(),
        Poll::Pending => unreachable!("fixed keys are never waited for"),
    };
    assert_eq!(accepted, REFERENCE.accepts(&raw, i128::from(NOW)));
});
