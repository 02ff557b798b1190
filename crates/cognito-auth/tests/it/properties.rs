//! Properties of all inputs: verification does not panic, rejects modified tokens, and agrees with the
//! [reference](crate::reference).

use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use cognito_auth::testing::{Algorithm, TestClock, TestPool};
use cognito_auth::{AccessToken, Verifier, VerifyError};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use crate::reference::Reference;

/// The time of all tests here: 2026-01-01T00:00:00Z.
const NOW: u64 = 1_767_225_600;

static POOL: LazyLock<TestPool> = LazyLock::new(|| {
    let clock = TestClock::at(UNIX_EPOCH + Duration::from_secs(NOW));
    TestPool::new().with_clock(&clock)
});

static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| POOL.verifier_builder().clock_skew(Duration::from_secs(10)).build().unwrap());

static VALID: LazyLock<String> =
    LazyLock::new(|| POOL.user("alice").in_group("admins").scope("items/read items/write").access_token());

/// Verifies a token without a runtime: with fixed keys the future is ready at once.
fn verify(raw: &str) -> Result<AccessToken, VerifyError> {
    match pin!(VERIFIER.verify_access(raw)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("fixed keys are never waited for"),
    }
}

fn reference_accepts(raw: &str) -> bool {
    let reference = Reference {
        kid: POOL.access_key().kid().to_owned(),
        public_key: POOL.access_key().public_der(),
        issuer: POOL.issuer().to_owned(),
        client_id: POOL.client_id().to_owned(),
        clock_skew: 10,
    };
    reference.accepts(raw, i128::from(NOW))
}

#[test]
fn valid_token_of_these_tests_is_accepted_by_verifier_and_reference() {
    assert!(verify(&VALID).is_ok());
    assert!(reference_accepts(&VALID));
}

#[test]
fn token_with_a_replaced_byte_is_rejected() {
    for position in 0..VALID.len() {
        // All 256 would take minutes; these are neighbours in the alphabet and bytes with a meaning to parsers.
        for byte in
            [VALID.as_bytes()[position] ^ 1, VALID.as_bytes()[position] ^ 2, b'A', b'_', b'.', b'=', b' ', 0]
        {
            let mut bytes = VALID.clone().into_bytes();
            bytes[position] = byte;
            let mutated = String::from_utf8(bytes).unwrap();
            assert!(mutated == *VALID || verify(&mutated).is_err(), "byte {position} became {byte}");
        }
    }
}

#[test]
fn shortened_token_is_rejected() {
    for length in 0..VALID.len() {
        assert!(verify(&VALID[..length]).is_err(), "cut to {length} bytes");
        assert!(verify(&VALID[VALID.len() - length..]).is_err(), "cut to the last {length} bytes");
    }
}

/// Any value of a claim, often one close to a limit.
fn claim_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (-20..20_i64).prop_map(|offset| json!(NOW as i64 + offset)),
        (86_380..86_420_i64).prop_map(|offset| json!(NOW as i64 + offset)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
    ];
    let text = prop_oneof![
        select(vec!["access", "id", "testclient", "", "items/read", "a b"]).prop_map(|text| json!(text)),
        Just(json!(POOL.issuer())),
        ".{0,12}".prop_map(|text| json!(text)),
    ];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(|flag| json!(flag)), number, text];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec(("[a-z]{1,3}", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const CLAIMS: [&str; 16] = [
    "iss",
    "token_use",
    "client_id",
    "aud",
    "exp",
    "iat",
    "nbf",
    "auth_time",
    "cnf",
    "sub",
    "username",
    "scope",
    "jti",
    "origin_jti",
    "cognito:groups",
    "custom:x",
];

const PARAMETERS: [&str; 8] = ["alg", "kid", "typ", "crit", "b64", "zip", "enc", "jwk"];

fn parameter_value() -> impl Strategy<Value = Value> {
    let known = select(vec!["RS256", "none", "JWT", "at+jwt", "us-east-1_TestPool-access-key"]);
    prop_oneof![3 => known.prop_map(|text| json!(text)), 1 => claim_value()]
}

/// The JSON of an object with some members changed, removed or duplicated.
fn changed(members: Value, changes: &[(String, Option<Value>)]) -> String {
    let mut members: Map<String, Value> = members.as_object().cloned().unwrap();
    let mut doubled = String::new();
    for (name, value) in changes {
        match value {
            Some(value) if members.insert(name.clone(), value.clone()).is_some_and(|old| &old == value) => {
                doubled.push_str(&format!(",\"\\u{:04x}{}\":{value}", name.as_bytes()[0], &name[1..]));
            }
            Some(_) => {}
            None => drop(members.remove(name)),
        }
    }
    let json = Value::Object(members).to_string();
    format!("{}{doubled}}}", &json[..json.len() - 1])
}

fn signed(header: &str, payload: &str) -> String {
    POOL.user("alice").header_json(header).payload_json(payload).access_token()
}

fn valid_header() -> Value {
    json!({ "kid": POOL.access_key().kid(), "alg": "RS256" })
}

fn valid_claims() -> Value {
    json!({
        "sub": "s", "cognito:groups": ["admins"], "iss": POOL.issuer(), "client_id": POOL.client_id(),
        "token_use": "access", "scope": "items/read", "exp": NOW + 60, "iat": NOW - 60, "username": "alice",
    })
}

fn changes(
    names: &'static [&'static str],
    value: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Vec<(String, Option<Value>)>> {
    let name = select(names).prop_map(str::to_owned);
    prop::collection::vec((name, prop::option::weighted(0.9, value)), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn random_text_is_rejected_without_panic(raw in ".{0,200}") {
        prop_assert!(verify(&raw).is_err());
    }

    #[test]
    fn three_random_parts_are_rejected_without_panic(raw in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}") {
        prop_assert!(verify(&raw).is_err());
    }

    #[test]
    fn token_with_random_edits_is_rejected(edits in prop::collection::vec((any::<Index>(), any::<Option<u8>>(), any::<bool>()), 1..4)) {
        let mut bytes = VALID.clone().into_bytes();
        for (index, byte, insert) in edits {
            let position = index.index(bytes.len());
            match byte {
                Some(byte) if insert => bytes.insert(position, byte),
                Some(byte) => bytes[position] = byte,
                None => drop(bytes.remove(position)),
            }
        }
        if let Ok(raw) = String::from_utf8(bytes) {
            prop_assert!(raw == *VALID || verify(&raw).is_err());
        }
    }

    #[test]
    fn parts_of_two_tokens_do_not_make_a_third(parts in prop::array::uniform3(any::<bool>())) {
        let other = signed(&valid_header().to_string(), &valid_claims().to_string());
        let tokens = [VALID.split('.').collect::<Vec<_>>(), other.split('.').collect()];
        let mixed: Vec<&str> = (0..3).map(|part| tokens[usize::from(parts[part])][part]).collect();
        let raw = mixed.join(".");
        prop_assert_eq!(verify(&raw).is_ok(), raw == *VALID || raw == other);
    }

    #[test]
    fn verifier_and_reference_agree(
        header in changes(&PARAMETERS, parameter_value()),
        claims in changes(&CLAIMS, claim_value()),
    ) {
        let raw = signed(&changed(valid_header(), &header), &changed(valid_claims(), &claims));
        let outcome = verify(&raw);
        let explained = format!("{header:?} {claims:?} {outcome:?}");
        prop_assert_eq!(outcome.is_ok(), reference_accepts(&raw), "{}", explained);
    }

    #[test]
    fn verifier_and_reference_agree_on_changed_claims(claims in changes(&CLAIMS, claim_value())) {
        let raw = signed(&valid_header().to_string(), &changed(valid_claims(), &claims));
        let outcome = verify(&raw);
        let explained = format!("{claims:?} {outcome:?}");
        prop_assert_eq!(outcome.is_ok(), reference_accepts(&raw), "{}", explained);
    }

    #[test]
    fn token_signed_with_hmac_is_rejected(secret in prop::collection::vec(any::<u8>(), 0..64)) {
        let raw = POOL.user("alice").algorithm(Algorithm::Hs256(secret)).header("alg", json!("RS256")).access_token();
        prop_assert!(verify(&raw).is_err());
    }
}
