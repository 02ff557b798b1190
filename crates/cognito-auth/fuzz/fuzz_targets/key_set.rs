//! Parses any text as a key set: parsing must not panic.
#![no_main]

use cognito_auth::UserPool;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let pool = UserPool::new("eu-west-1_AbCdEfGhI").expect("the ID has the form of Cognito's");
    let _ = pool.with_jwks_json(text);
});
