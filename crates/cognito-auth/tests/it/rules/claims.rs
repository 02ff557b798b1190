//! The rules for the claims of access tokens, and their accessors.

use std::collections::BTreeMap;
use std::time::Duration;

use cognito_auth::{ObjectError, Principal, VerifierBuilder, VerifyError};
use serde_json::{Value, json};

use super::{Fixture, assert_rejected};

#[tokio::test]
async fn token_of_a_user_is_accepted_and_its_claims_are_readable() {
    let fixture = Fixture::new();
    let token = fixture
        .pool
        .user("alice")
        .in_group("admins")
        .scope("openid items/read")
        .claim("custom:tenant", json!(7));
    let token = fixture.accepted(&token.access_token()).await;
    assert_eq!(token.username(), Some("alice"));
    assert_eq!(token.client_id(), fixture.pool.client_id());
    assert_eq!(token.user_pool_id(), fixture.pool.id());
    assert_eq!(token.issuer(), fixture.pool.issuer());
    assert_eq!(token.groups(), ["admins"]);
    assert_eq!(token.scopes().collect::<Vec<_>>(), ["openid", "items/read"]);
    assert_eq!(token.expires_at().duration_since(token.issued_at()).unwrap(), Duration::from_secs(3600));
    assert_eq!(token.auth_time(), Some(token.issued_at()));
    assert!(token.jti().is_some() && token.origin_jti().is_some());
    assert_eq!(token.claim::<u8>("custom:tenant").unwrap(), Some(7));
    assert_eq!(token.claim::<u8>("custom:other").unwrap(), None);
    assert!(token.claim::<bool>("custom:tenant").is_err());
    let claims: BTreeMap<String, Value> = token.claim_as().unwrap();
    assert_eq!(claims["custom:tenant"], 7);
    let error = token.claim_as::<BTreeMap<String, String>>().unwrap_err();
    assert_eq!(error.to_string(), "the set of claims cannot be read as the requested type");
    let groups = ["admins".to_owned()];
    assert_eq!(token.principal(), Principal::User { sub: token.sub(), username: "alice", groups: &groups });
}

#[tokio::test]
async fn machine_client_is_identified_by_its_app_client() {
    let fixture = Fixture::new();
    let machine = fixture.pool.machine().scope("items/read");
    let token = fixture.accepted(&machine.access_token()).await;
    assert_eq!(token.principal(), Principal::Machine { client_id: fixture.pool.client_id() });
    assert_eq!(token.username(), None);
    // AWS documents hardly any claim of such a token.
    let mut bare = machine;
    for claim in ["sub", "jti", "auth_time", "scope", "version"] {
        bare = bare.without_claim(claim);
    }
    assert_eq!(fixture.accepted(&bare.access_token()).await.sub(), fixture.pool.client_id());
}

#[tokio::test]
async fn user_without_a_name_is_not_mistaken_for_a_machine_client() {
    let fixture = Fixture::new();
    let token = fixture.accepted(&fixture.without_claim("username")).await;
    assert_eq!(token.principal(), Principal::User { sub: token.sub(), username: token.sub(), groups: &[] });
}

#[tokio::test]
async fn payload_that_is_not_an_object_or_has_duplicates_is_rejected() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice");
    for payload in
        ["", "[]", "1", "\"text\"", "null", "{", "{}x", "{}{}", "\u{feff}{}", "{\"a\":NaN}", "{'a':1}"]
    {
        let signed = alice.clone().payload_json(payload).access_token();
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::Claims(_));
    }
    for duplicate in [r#""exp":1,"exp":2"#, r#""exp":1,"\u0065xp":2"#, r#""x":1,"x":1"#] {
        let signed = alice.clone().payload_json(format!("{{{duplicate}}}")).access_token();
        assert_rejected!(fixture.rejected(&signed).await, VerifyError::Claims(ObjectError::Duplicate { .. }));
    }
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(4_000), "]".repeat(4_000));
    let signed = alice.payload_json(nested).access_token();
    assert_rejected!(fixture.rejected(&signed).await, VerifyError::MissingClaim { claim: "iss" });
}

#[tokio::test]
async fn issuer_must_equal_that_of_the_pool_byte_by_byte() {
    let fixture = Fixture::new();
    let issuer = fixture.pool.issuer().to_owned();
    let host = "cognito-idp.us-east-1.amazonaws.com";
    for iss in [
        json!(format!("{issuer}/")),
        json!(format!("{issuer}/extra")),
        json!(format!("{issuer}?x")),
        json!(format!("{issuer}2")),
        json!(issuer.to_uppercase()),
        json!(issuer.replace("https", "http")),
        json!(issuer.replace(host, &format!("{host}@evil.example.com"))),
        json!(issuer.replace(host, &format!("evil.example.com@{host}"))),
        json!(issuer.replace(host, &format!("{host}:443"))),
        json!(issuer.replace("us-east-1_TestPool", "us-east-1_OtherTestPool")),
        json!(""),
    ] {
        assert_rejected!(fixture.rejected(&fixture.with_claim("iss", iss)).await, VerifyError::Issuer { .. });
    }
    for iss in [json!([issuer]), json!(null), json!(1)] {
        let rejected = fixture.rejected(&fixture.with_claim("iss", iss)).await;
        assert_rejected!(rejected, VerifyError::ClaimType { claim: "iss", .. });
    }
    let rejected = fixture.rejected(&fixture.without_claim("iss")).await;
    assert_rejected!(rejected, VerifyError::MissingClaim { claim: "iss" });
}

#[tokio::test]
async fn id_token_is_rejected_as_an_access_token() {
    let fixture = Fixture::new();
    let rejected = fixture.rejected(&fixture.pool.user("alice").id_token()).await;
    assert_rejected!(rejected, VerifyError::TokenUse { expected: "access", .. });
    for token_use in ["Access", "access ", "refresh", ""] {
        let rejected = fixture.rejected(&fixture.with_claim("token_use", json!(token_use))).await;
        assert_rejected!(rejected, VerifyError::TokenUse { .. });
    }
    for token_use in [json!(1), json!(null), json!(["access"])] {
        let rejected = fixture.rejected(&fixture.with_claim("token_use", token_use)).await;
        assert_rejected!(rejected, VerifyError::ClaimType { claim: "token_use", .. });
    }
    let rejected = fixture.rejected(&fixture.without_claim("token_use")).await;
    assert_rejected!(rejected, VerifyError::MissingClaim { claim: "token_use" });
}

#[tokio::test]
async fn token_of_another_app_client_is_rejected() {
    let fixture = Fixture::with(|builder| builder.client_ids(["second"]));
    fixture.accepted(&fixture.pool.user("alice").access_token()).await;
    fixture.accepted(&fixture.with_claim("client_id", json!("second"))).await;
    for client_id in ["third", "Second", "second ", ""] {
        let rejected = fixture.rejected(&fixture.with_claim("client_id", json!(client_id))).await;
        assert_rejected!(rejected, VerifyError::Client { .. });
    }
    for client_id in [json!(["second"]), json!(null)] {
        let rejected = fixture.rejected(&fixture.with_claim("client_id", client_id)).await;
        assert_rejected!(rejected, VerifyError::ClaimType { claim: "client_id", .. });
    }
    let rejected = fixture.rejected(&fixture.without_claim("client_id")).await;
    assert_rejected!(rejected, VerifyError::MissingClaim { claim: "client_id" });

    let open = Fixture::with(VerifierBuilder::any_client);
    open.accepted(&open.with_claim("client_id", json!("third"))).await;
}

#[tokio::test]
async fn token_bound_to_another_resource_is_rejected() {
    let fixture = Fixture::with(|builder| builder.resources(["https://api.example.com"]));
    fixture.accepted(&fixture.pool.user("alice").access_token()).await;
    fixture.accepted(&fixture.with_claim("aud", json!("https://api.example.com"))).await;
    for audience in ["https://other.example.com", "https://api.example.com/", fixture.pool.client_id(), ""] {
        let rejected = fixture.rejected(&fixture.with_claim("aud", json!(audience))).await;
        assert_rejected!(rejected, VerifyError::Audience { .. });
    }
    for audience in [json!(["https://api.example.com"]), json!(null)] {
        let rejected = fixture.rejected(&fixture.with_claim("aud", audience)).await;
        assert_rejected!(rejected, VerifyError::ClaimType { claim: "aud", .. });
    }
    let unbound = Fixture::new();
    let rejected = unbound.rejected(&unbound.with_claim("aud", json!("https://api.example.com"))).await;
    assert_rejected!(rejected, VerifyError::Audience { .. });
}

#[tokio::test]
async fn sender_constrained_token_is_rejected() {
    let fixture = Fixture::new();
    for cnf in [json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}), json!({}), json!(null)] {
        let rejected = fixture.rejected(&fixture.with_claim("cnf", cnf)).await;
        assert_rejected!(rejected, VerifyError::SenderConstrained);
    }
}

#[tokio::test]
async fn claim_of_another_type_is_rejected_and_not_converted() {
    let fixture = Fixture::new();
    for groups in [
        json!("admins"),
        json!("[admins]"),
        json!({"admins": true}),
        json!([["admins"]]),
        json!(["a", 1]),
        json!(null),
    ] {
        let rejected = fixture.rejected(&fixture.with_claim("cognito:groups", groups)).await;
        assert_rejected!(rejected, VerifyError::ClaimType { claim: "cognito:groups", .. });
    }
    for name in ["scope", "username", "sub", "jti", "origin_jti"] {
        for value in [json!(["items/read"]), json!(null), json!(1), json!({})] {
            let rejected = fixture.rejected(&fixture.with_claim(name, value)).await;
            assert_rejected!(rejected, VerifyError::ClaimType { claim, .. } if claim == name);
        }
    }
    let rejected = fixture.rejected(&fixture.without_claim("sub")).await;
    assert_rejected!(rejected, VerifyError::MissingClaim { claim: "sub" });
    let empty = fixture.pool.user("alice").claim("sub", json!(""));
    assert_rejected!(
        fixture.rejected(&empty.access_token()).await,
        VerifyError::MissingClaim { claim: "sub" }
    );
    let empty = fixture.pool.machine().claim("sub", json!(""));
    assert_rejected!(
        fixture.rejected(&empty.access_token()).await,
        VerifyError::MissingClaim { claim: "sub" }
    );
    assert!(
        fixture
            .verifier
            .verify_id(&fixture.pool.user("alice").claim("sub", json!("")).id_token())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn scopes_and_groups_match_exactly() {
    let fixture = Fixture::new();
    let raw =
        fixture.with_claim("scope", json!(" items/readwrite  Items/Read items/read\titems/write  openid "));
    let token = fixture.accepted(&raw).await;
    assert_eq!(token.scopes().count(), 4);
    assert!(token.has_scope("openid"));
    for scope in ["items/read", "items/write", "items", "", " ", "openid "] {
        assert!(!token.has_scope(scope), "{scope:?}");
    }
    let groups: Vec<String> = (0..800).map(|number| format!("group-{number}")).collect();
    let token = fixture.accepted(&fixture.with_claim("cognito:groups", json!(groups))).await;
    assert!(token.in_group("group-799"));
    assert!(!token.in_group("group") && !token.in_group("Group-1"));
}

#[tokio::test]
async fn scopes_and_groups_come_only_from_their_own_claims() {
    let fixture = Fixture::new();
    let alice = fixture.pool.user("alice").scope("admins").in_group("items/write");
    let alice = alice.claim("groups", json!(["admins"])).claim("custom:groups", json!(["admins"]));
    let token = fixture.accepted(&alice.claim("scp", json!("items/write")).access_token()).await;
    assert!(!token.in_group("admins") && !token.has_scope("items/write"));
}

#[tokio::test]
async fn unknown_claims_are_accepted() {
    let fixture = Fixture::new();
    let token = fixture.with_claim("urn:new", json!({"deep": [1, {"er": null}], "dup": 1}));
    let token = fixture.accepted(&token).await;
    assert_eq!(token.claim::<Value>("urn:new").unwrap().unwrap()["deep"][0], 1);
}

#[tokio::test]
async fn token_on_the_deny_list_is_rejected_even_if_cached() {
    let fixture = Fixture::with(|builder| builder.deny_if(|token| token.username() == Some("mallory")));
    fixture.accepted(&fixture.pool.user("alice").access_token()).await;
    let raw = fixture.pool.user("mallory").access_token();
    for _ in 0..2 {
        assert_rejected!(fixture.rejected(&raw).await, VerifyError::DenyListed);
    }
}

#[tokio::test]
async fn errors_and_debug_output_contain_no_secrets() {
    let fixture = Fixture::new();
    let builder = fixture.pool.user("alice-secret").claim("email", json!("alice@secret.example.com"));
    let raw = builder.in_group("secret-group").claim("nbf", json!("secret-value")).access_token();
    let error = fixture.rejected(&raw).await;
    let valid = fixture.pool.user("alice-secret").in_group("secret-group").access_token();
    let token = fixture.accepted(&valid).await;
    let claim_error = token.claim::<u8>("username").unwrap_err();
    let id_token = fixture.verifier.verify_id(&fixture.pool.user("alice-secret").id_token()).await.unwrap();
    for text in [
        format!("{error} {error:?}"),
        format!("{claim_error} {claim_error:?}"),
        format!("{token:?} {:?} {id_token:?} {:?}", token.principal(), fixture.verifier),
    ] {
        assert!(!text.contains("secret"), "{text}");
        assert!(!text.contains(token.sub()), "{text}");
        assert!(!text.contains(valid.rsplit('.').next().unwrap()), "{text}");
    }
}
