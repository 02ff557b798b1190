//! ID tokens, which have rules of their own.

use aws_lc_rs::digest::{SHA256, digest};
use cognito_auth::testing::TestKey;
use cognito_auth::{IdTokenError, VerifyError};
use serde_json::{Value, json};

use super::{Fixture, assert_refused, encode};

#[tokio::test]
async fn an_id_token_is_verified_by_rules_of_its_own() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice").in_group("admins");
    let raw = alice.id_token();
    let token = fixture.verifier.verify_id(&raw).await.unwrap();
    assert_eq!(token.username(), Some("alice"));
    assert_eq!(token.client_id(), fixture.pool.client_id());
    assert_eq!(token.groups(), ["admins"]);
    assert_eq!(token.user_pool_id(), fixture.pool.id());
    assert_eq!(token.claim::<String>("email").unwrap().as_deref(), Some("alice@example.com"));

    let refused = fixture.verifier.verify_id(&alice.access_token()).await.unwrap_err();
    assert_refused!(refused, VerifyError::TokenUse { expected: "id", .. });
}

#[tokio::test]
async fn an_id_token_must_be_for_an_allowed_client_and_current() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    let refuse = async |raw: String| fixture.verifier.verify_id(&raw).await.unwrap_err();
    let audience = |aud: Value| alice.clone().claim("aud", aud).id_token();
    assert_refused!(refuse(audience(json!("other"))).await, VerifyError::Client { .. });
    let array = audience(json!([fixture.pool.client_id()]));
    assert_refused!(refuse(array).await, VerifyError::ClaimType { claim: "aud", .. });
    let missing = alice.clone().without_claim("aud").id_token();
    assert_refused!(refuse(missing).await, VerifyError::MissingClaim { claim: "aud" });
    let missing = alice.clone().without_claim("sub").id_token();
    assert_refused!(refuse(missing).await, VerifyError::MissingClaim { claim: "sub" });
    assert_refused!(refuse(alice.clone().expired().id_token()).await, VerifyError::Expired { .. });
    assert_refused!(
        refuse(alice.clone().claim("iss", json!("x")).id_token()).await,
        VerifyError::Issuer { .. }
    );
    let constrained = alice.clone().claim("cnf", json!({})).id_token();
    assert_refused!(refuse(constrained).await, VerifyError::SenderConstrained);
    let foreign = alice.signed_by(&TestKey::generate(fixture.pool.id_key().kid())).id_token();
    assert_refused!(refuse(foreign).await, VerifyError::Signature);
}

#[tokio::test]
async fn nonce_and_at_hash_tie_an_id_token_to_a_sign_in() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    let access_token = alice.access_token();
    let hash = digest(&SHA256, access_token.as_bytes());
    let raw =
        alice.clone().claim("nonce", json!("n-1")).claim("at_hash", json!(encode(&hash.as_ref()[..16])));
    let token = fixture.verifier.verify_id(&raw.id_token()).await.unwrap();
    assert!(token.check_nonce("n-1").is_ok());
    assert_refused!(token.check_nonce("n-2").unwrap_err(), IdTokenError::Nonce);
    assert!(token.check_access_token(&access_token).is_ok());
    let other = fixture.pool.user("bob").access_token();
    assert_refused!(token.check_access_token(&other).unwrap_err(), IdTokenError::AccessTokenHash);

    let bare = fixture.verifier.verify_id(&alice.id_token()).await.unwrap();
    assert_refused!(bare.check_nonce("").unwrap_err(), IdTokenError::Nonce);
    assert_refused!(bare.check_access_token(&access_token).unwrap_err(), IdTokenError::AccessTokenHash);
}
