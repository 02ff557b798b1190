//! Random requests: whatever a program sends, the pool answers with an exception of the API and issues no token.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::administration::authorization;
use super::support::request;
use crate::support::TestPool;

/// Names that handlers read, so that random requests get past the first check.
const MEMBERS: [&str; 26] = [
    "AccessToken",
    "AttributeName",
    "AttributesToGet",
    "AuthFlow",
    "AuthParameters",
    "ChallengeName",
    "ChallengeResponses",
    "ClientId",
    "Code",
    "ConfirmationCode",
    "Filter",
    "GroupName",
    "Limit",
    "MaxResults",
    "NextToken",
    "PaginationToken",
    "Password",
    "Precedence",
    "RefreshToken",
    "Session",
    "SoftwareTokenMfaSettings",
    "Token",
    "UserAttributes",
    "UserCode",
    "UserPoolId",
    "Username",
];
const TEXTS: [&str; 16] = [
    "",
    "alice",
    "localweb",
    "us-east-1_LocalPool",
    "USER_SRP_AUTH",
    "USER_PASSWORD_AUTH",
    "USER_AUTH",
    "REFRESH_TOKEN_AUTH",
    "PASSWORD_VERIFIER",
    "SELECT_CHALLENGE",
    "admins",
    "email",
    "eyJhbGciOiJSUzI1NiJ9.e30.",
    "email ^= \"\\",
    "%FF",
    "an-invented-session-of-a-client",
];
const KEYS: [&str; 8] =
    ["Name", "Value", "USERNAME", "PASSWORD", "SRP_A", "SECRET_HASH", "PREFERRED_CHALLENGE", "ANSWER"];

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());
static POOL: LazyLock<TestPool> = LazyLock::new(|| RUNTIME.block_on(TestPool::open()));

fn text() -> impl Strategy<Value = String> {
    prop_oneof![select(&TEXTS[..]).prop_map(str::to_owned), any::<String>(), "[0-9a-f]{0,800}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<Option<bool>>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let members = prop::collection::vec((select(&KEYS[..]), inner.clone()), 0..4);
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::from), members.prop_map(object)]
    })
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn input() -> impl Strategy<Value = Value> {
    prop::collection::vec((select(&MEMBERS[..]), value()), 0..8).prop_map(object)
}

fn operations() -> Vec<String> {
    let page = RUNTIME.block_on(POOL.get("/api")).text;
    page.split("<dd><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

fn send(operation: &str, body: &str) -> Result<(), TestCaseError> {
    let mut request = request(operation, body);
    request.headers_mut().insert("authorization", authorization());
    request.headers_mut().insert("x-amz-date", HeaderValue::from_static("20261201T000000Z"));
    let answer = RUNTIME.block_on(POOL.send_call(request));
    let expected = [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND];
    prop_assert!(expected.contains(&answer.status), "{operation} {body}: {}", answer.text);
    prop_assert!(!answer.text.contains("IdToken"), "{operation} {body}: {}", answer.text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_members_are_answered(operation in select(operations()), input in input()) {
        send(&operation, &input.to_string())?;
    }

    #[test]
    fn random_bodies_are_answered(operation in select(operations()), body in any::<String>()) {
        send(&operation, &body)?;
    }
}
