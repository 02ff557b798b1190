//! The rules for ID tokens.

use aws_lc_rs::digest::{SHA256, digest};
use cognito_auth::testing::TestKey;
use cognito_auth::{IdTokenError, VerifyError};
use serde_json::{Value, json};

use super::{Fixture, assert_rejected, encode};

#[tokio::test]
async fn id_token_is_accepted_and_its_claims_are_readable() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice").in_group("admins");
    let raw = alice.id_token();
    let token = fixture.verifier.verify_id(&raw).await.unwrap();
    assert_eq!(token.username(), Some("alice"));
    assert_eq!(token.client_id(), fixture.pool.client_id());
    assert_eq!(token.groups(), ["admins"]);
    assert_eq!(token.user_pool_id(), fixture.pool.id());
    assert_eq!(token.claim::<String>("email").unwrap().as_deref(), Some("alice@example.com"));

    let rejected = fixture.verifier.verify_id(&alice.access_token()).await.unwrap_err();
    assert_rejected!(rejected, VerifyError::TokenUse { expected: "id", .. });
}

#[tokio::test]
async fn id_token_for_another_client_or_time_is_rejected() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    let reject = async |raw: String| fixture.verifier.verify_id(&raw).await.unwrap_err();
    let audience = |aud: Value| alice.clone().claim("aud", aud).id_token();
    assert_rejected!(reject(audience(json!("other"))).await, VerifyError::Client { .. });
    let array = audience(json!([fixture.pool.client_id()]));
    assert_rejected!(reject(array).await, VerifyError::ClaimType { claim: "aud", .. });
    let missing = alice.clone().without_claim("aud").id_token();
    assert_rejected!(reject(missing).await, VerifyError::MissingClaim { claim: "aud" });
    let missing = alice.clone().without_claim("sub").id_token();
    assert_rejected!(reject(missing).await, VerifyError::MissingClaim { claim: "sub" });
    assert_rejected!(reject(alice.clone().expired().id_token()).await, VerifyError::Expired { .. });
    assert_rejected!(
        reject(alice.clone().claim("iss", json!("x")).id_token()).await,
        VerifyError::Issuer { .. }
    );
    let constrained = alice.clone().claim("cnf", json!({})).id_token();
    assert_rejected!(reject(constrained).await, VerifyError::SenderConstrained);
    let foreign = alice.signed_by(&TestKey::generate(fixture.pool.id_key().kid())).id_token();
    assert_rejected!(reject(foreign).await, VerifyError::Signature);
}

#[tokio::test]
async fn nonce_and_at_hash_must_match_the_sign_in() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    let access_token = alice.access_token();
    let hash = digest(&SHA256, access_token.as_bytes());
    let raw =
        alice.clone().claim("nonce", json!("n-1")).claim("at_hash", json!(encode(&hash.as_ref()[..16])));
    let token = fixture.verifier.verify_id(&raw.id_token()).await.unwrap();
    assert!(token.check_nonce("n-1").is_ok());
    assert_rejected!(token.check_nonce("n-2").unwrap_err(), IdTokenError::Nonce);
    assert!(token.check_access_token(&access_token).is_ok());
    let other = fixture.pool.user("bob").access_token();
    assert_rejected!(token.check_access_token(&other).unwrap_err(), IdTokenError::AccessTokenHash);

    let bare = fixture.verifier.verify_id(&alice.id_token()).await.unwrap();
    assert_rejected!(bare.check_nonce("").unwrap_err(), IdTokenError::Nonce);
    assert_rejected!(bare.check_access_token(&access_token).unwrap_err(), IdTokenError::AccessTokenHash);
}
