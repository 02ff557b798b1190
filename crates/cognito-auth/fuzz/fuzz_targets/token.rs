//! Verifies any bytes as an `Authorization` header and as a token: verification must reject them without a panic.
#![no_main]

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use cognito_auth::ResourceServer;
use cognito_auth::testing::TestPool;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

static SERVER: LazyLock<ResourceServer> = LazyLock::new(|| TestPool::new().resource_server());

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = HeaderValue::from_bytes(bytes) {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
        assert!(now(SERVER.authenticate(&headers)).is_err());
    }
    if let Ok(raw) = std::str::from_utf8(bytes) {
        assert!(now(SERVER.verifier().verify_access(raw)).is_err());
        assert!(now(SERVER.verifier().verify_id(raw)).is_err());
    }
});

/// Returns the output of a future that is ready at once, because the keys are fixed.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("fixed keys are never waited for"),
    }
}
