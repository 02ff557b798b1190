//! Which pools and issuers are trusted.

use std::time::Duration;

use cognito_auth::testing::TestPool;
use cognito_auth::{BuildError, UserPool, Verifier, VerifierBuilder, VerifyError};
use serde_json::json;

use super::assert_rejected;

#[tokio::test]
async fn both_issuers_of_a_pool_and_configured_replicas_are_accepted() {
    let pool = TestPool::new();
    let keys = pool.jwks().to_string();
    let plain = UserPool::new(pool.id()).unwrap().with_jwks_json(&keys).unwrap();
    let issuers = plain.issuers();
    let verifier = Verifier::builder(plain.clone()).any_client().build().unwrap();
    for issuer in &issuers {
        let raw = pool.user("alice").claim("iss", json!(issuer)).access_token();
        assert_eq!(verifier.verify_access(&raw).await.unwrap().issuer(), issuer);
    }
    let replica = issuers[0].replace("cognito-idp.us-east-1", "cognito-idp.us-west-2");
    let raw = pool.user("alice").claim("iss", json!(replica)).access_token();
    assert_rejected!(verifier.verify_access(&raw).await.unwrap_err(), VerifyError::Issuer { .. });
    let replicated = plain.replica_region("us-west-2").unwrap();
    let verifier = Verifier::builder(replicated).any_client().build().unwrap();
    assert_eq!(verifier.verify_access(&raw).await.unwrap().issuer(), replica);
}

#[tokio::test]
async fn pools_are_distinguished_even_with_the_same_sub() {
    let (one, other) = (TestPool::with_id("us-east-1_One"), TestPool::with_id("us-east-1_Other"));
    let builder = Verifier::builder(one.user_pool()).pool(other.user_pool());
    let verifier = builder.client_ids(["testclient"]).build().unwrap();
    let of = |pool: &TestPool| pool.user("alice").claim("sub", json!("same")).access_token();
    assert_eq!(verifier.verify_access(&of(&one)).await.unwrap().user_pool_id(), "us-east-1_One");
    assert_eq!(verifier.verify_access(&of(&other)).await.unwrap().user_pool_id(), "us-east-1_Other");
    // The key determines the pool, whatever the token says.
    let posing = other.user("alice").claim("iss", json!(one.issuer())).access_token();
    assert_rejected!(verifier.verify_access(&posing).await.unwrap_err(), VerifyError::Issuer { .. });
}

#[tokio::test]
async fn pool_that_publishes_the_key_id_of_another_does_not_disturb_it() {
    let one = TestPool::with_id("us-east-1_One");
    let kid = one.access_key().kid();
    let intruder = TestPool::with_id("us-east-1_Other");
    let jwks = json!({ "keys": [intruder.access_key().with_kid(kid).jwk()] });
    let user_pool = UserPool::new(intruder.id()).unwrap().with_jwks_json(&jwks.to_string()).unwrap();
    for builder in [
        Verifier::builder(user_pool.clone()).pool(one.user_pool()),
        Verifier::builder(one.user_pool()).pool(user_pool),
    ] {
        let verifier = builder.client_ids(["testclient"]).build().unwrap();
        let token = verifier.verify_access(&one.user("alice").access_token()).await.unwrap();
        assert_eq!(token.user_pool_id(), one.id());
        let posing = intruder.user("alice").kid(kid).claim("iss", json!(one.issuer())).access_token();
        assert_rejected!(verifier.verify_access(&posing).await.unwrap_err(), VerifyError::Issuer { .. });
    }
}

#[test]
fn unsafe_configuration_is_rejected() {
    let pool = || UserPool::new("eu-west-1_A1").unwrap();
    let error = |builder: VerifierBuilder| builder.build().unwrap_err();
    assert!(matches!(error(Verifier::builder(pool())), BuildError::NoClientIds));
    let builder = Verifier::builder(pool()).any_client();
    assert!(matches!(error(builder.clone().pool(pool())), BuildError::SamePool { .. }));
    let twin = UserPool::new("eu-west-1_B2").unwrap().with_issuer(&pool().issuers()[0]).unwrap();
    assert!(matches!(error(builder.clone().pool(twin)), BuildError::SamePool { .. }));
    let skewed = builder.clone().clock_skew(Duration::from_secs(301));
    assert!(matches!(error(skewed), BuildError::ClockSkew { .. }));
}
