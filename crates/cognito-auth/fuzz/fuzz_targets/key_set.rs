//! Any text as a key set: nothing panics, and what is no key set is refused.
#![no_main]

use cognito_auth::UserPool;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let pool = UserPool::new("eu-west-1_AbCdEfGhI").expect("the id is of Cognito's form");
    let _ = pool.with_jwks_json(text);
});
