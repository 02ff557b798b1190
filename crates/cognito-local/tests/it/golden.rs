//! The shape of each token, held against golden files that follow AWS's samples.
//!
//! Access token: Cognito Developer Guide, "Understanding the access token" (without `device_key`, which needs device
//! tracking). ID token: "Understanding the identity (ID) token" (without claims of federation and IAM roles). AWS
//! publishes no sample of a machine's token; that file follows what a pool is observed to issue.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{ALICE, Answer, TestPool, jwt_part};

const BOB: (&str, &str) = ("bob", "Builder-yes2");

/// Replaces what differs from token to token by its form, once it has that form.
fn normalized(token: &str) -> Value {
    let mut payload = jwt_part(token, 1);
    for (name, value) in payload.as_object_mut().unwrap() {
        let form = match name.as_str() {
            "sub" | "origin_jti" | "event_id" | "jti" if is_uuid(value) => "<uuid>",
            "auth_time" | "exp" | "iat" if value.as_u64().is_some_and(|n| n > 1_700_000_000) => "<seconds>",
            "at_hash" if decoded_length(value) == Some(16) => "<hash>",
            _ => continue,
        };
        *value = form.into();
    }
    let mut header = jwt_part(token, 0);
    let kid = header["kid"].as_str().unwrap();
    assert_eq!(STANDARD.decode(kid).unwrap().len(), 32, "kid is base64 of 32 bytes, as Cognito's");
    header["kid"] = "<kid>".into();
    json!({ "header": header, "payload": payload })
}

fn is_uuid(value: &Value) -> bool {
    value.as_str().and_then(|text| uuid::Uuid::parse_str(text).ok()).is_some()
}

fn decoded_length(value: &Value) -> Option<usize> {
    URL_SAFE_NO_PAD.decode(value.as_str()?).ok().map(|bytes| bytes.len())
}

#[track_caller]
fn assert_golden(answer: &Answer, member: &str, golden: &str) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    assert_eq!(normalized(&answer.member(member)), golden, "{member}");
}

#[tokio::test]
async fn tokens_have_the_claims_that_cognito_documents() {
    let pool = TestPool::open().await;
    let alice = pool.tokens(ALICE, &[("resource", "https://api.example.com")]).await;
    assert_golden(&alice, "access_token", include_str!("golden/access_token.json"));
    let alice = pool.tokens(ALICE, &[("scope", "openid profile")]).await;
    assert_golden(&alice, "id_token", include_str!("golden/id_token.json"));

    let bob = pool.tokens(BOB, &[("scope", "openid")]).await;
    assert_golden(&bob, "access_token", include_str!("golden/access_token_plain.json"));
    let bob = pool.tokens(BOB, &[]).await;
    let refreshed = pool.refresh(&bob.member("refresh_token")).await;
    assert_golden(&refreshed, "id_token", include_str!("golden/id_token_refreshed.json"));

    let secret = pool.pool.client("localmachine").unwrap().secret.unwrap();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "localmachine"),
        ("client_secret", secret.expose_secret()),
    ];
    let machine = pool.post("/oauth2/token", &form).await;
    assert_golden(&machine, "access_token", include_str!("golden/machine_token.json"));
}

#[tokio::test]
async fn token_response_has_the_members_that_cognito_documents() {
    let pool = TestPool::open().await;
    let members = |answer: &Answer| -> BTreeSet<String> {
        answer.json().as_object().unwrap().keys().cloned().collect()
    };
    let tokens = pool.tokens(ALICE, &[]).await;
    let all = ["access_token", "expires_in", "id_token", "refresh_token", "token_type"].map(str::to_owned);
    assert_eq!(members(&tokens), BTreeSet::from(all));
}

#[tokio::test]
async fn discovery_document_has_the_members_that_cognito_publishes() {
    let pool = TestPool::open().await;
    let document = pool.get("/us-east-1_LocalPool/.well-known/openid-configuration").await.json();
    let golden: Value = serde_json::from_str(include_str!("golden/openid_configuration.json")).unwrap();
    assert_eq!(document, golden);
    assert_eq!(pool.get("/eu-west-1_Other/.well-known/openid-configuration").await.status, 404);
}
