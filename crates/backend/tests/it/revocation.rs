use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::{Persona, TestApp};

/// How long the list may take to arrive at another server.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn signing_out_revokes_every_access_token_of_the_caller_and_of_nobody_else() {
    let app = TestApp::start().await;
    let (phone, laptop, bob) = (app.user("alice"), app.user("alice"), app.user("bob"));
    assert_eq!(sign_out(&phone).await, StatusCode::NO_CONTENT);
    for device in [&phone, &laptop] {
        let rejected = device.get("/items").await;
        assert_eq!(rejected.status, StatusCode::UNAUTHORIZED);
        assert!(rejected.header("www-authenticate").contains("invalid_token"), "{rejected:?}");
    }
    assert_eq!(bob.get("/items").await.status, StatusCode::OK);
}

#[tokio::test]
async fn token_issued_after_the_sign_out_is_accepted() {
    let app = TestApp::start().await;
    assert_eq!(sign_out(&app.user("alice")).await, StatusCode::NO_CONTENT);
    let in_a_moment = app.token("alice").claim("iat", json!(unix_seconds() + 5));
    assert_eq!(app.bearer(&in_a_moment.access_token()).get("/items").await.status, StatusCode::OK);
}

#[tokio::test]
async fn sign_out_reaches_another_server_within_thirty_seconds() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let other = app.another_server();
    other.start();
    let there = alice.at(backend::router(&other));
    assert_eq!(there.get("/items").await.status, StatusCode::OK);
    assert_eq!(sign_out(&alice).await, StatusCode::NO_CONTENT);
    let revoked = async {
        while there.get("/items").await.status != StatusCode::UNAUTHORIZED {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, revoked).await.expect("the sign-out did not arrive");
}

/// A Lambda instance has no background task: it reads the list when a request comes and the list is stale.
#[tokio::test]
async fn server_that_has_just_started_knows_earlier_sign_outs() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    assert_eq!(sign_out(&alice).await, StatusCode::NO_CONTENT);
    let there = alice.at(backend::router(&app.another_server()));
    assert_eq!(there.get("/users/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn administrator_signs_a_user_out() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let sub = alice.get("/users/me").await.json()["sub"].as_str().unwrap().to_owned();
    let path = format!("/admin/users/{sub}/sign-out");
    assert_eq!(alice.send(Method::POST, &path, &[], None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.admin().send(Method::POST, &path, &[], None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get("/users/me").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_dynamodb_requests_pass_unless_the_list_is_required() {
    for (required, status) in [("false", StatusCode::OK), ("true", StatusCode::SERVICE_UNAVAILABLE)] {
        let (app, faults) = TestApp::with_faults(&[("REVOCATIONS_REQUIRED", required)]).await;
        faults.set(crate::support::Fault::Refuse);
        assert_eq!(app.user("alice").get("/users/me").await.status, status);
    }
}

async fn sign_out(persona: &Persona) -> StatusCode {
    persona.send(Method::POST, "/users/me/sign-out", &[], None).await.status
}

fn unix_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
