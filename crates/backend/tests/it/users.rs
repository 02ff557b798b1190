use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Answer, Persona, TestApp};

#[tokio::test]
async fn the_current_user_comes_from_the_token_alone() {
    let app = TestApp::start().await;
    let answer = app.bearer(&app.token("alice").in_group("admins").access_token()).get("/users/me").await;
    assert_eq!(answer.status, StatusCode::OK);
    let user = answer.json();
    assert_eq!(user["kind"], "user");
    assert_eq!(user["username"], "alice");
    assert_eq!(user["groups"], json!(["admins"]));
    assert_eq!(user["scopes"], json!(["items/read", "items/write"]));
    assert_eq!(user["user_pool_id"], app.pool.id());
    assert_eq!(app.calls(), 0);
}

#[tokio::test]
async fn machine_client_is_distinguished_from_a_user() {
    let app = TestApp::start().await;
    let machine = app.bearer(&app.pool.machine().scope("items/write").access_token());
    let caller = machine.get("/users/me").await.json();
    assert_eq!((&caller["kind"], &caller["sub"]), (&json!("machine"), &json!(null)));
    machine.create_item("by a machine").await;
}

#[tokio::test]
async fn a_profile_is_set_read_and_removed() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.user("alice"), app.user("bob"));
    assert_eq!(alice.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);

    let set = set_profile(&alice, &[], json!({"display_name": "Alice", "bio": "Likes lists."})).await;
    assert_eq!(set.status, StatusCode::OK);
    let profile = alice.get("/users/me/profile").await;
    assert_eq!(profile.json(), set.json());
    assert_eq!(profile.json()["display_name"], "Alice");
    assert_eq!(bob.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);

    let without_bio = alice.put("/users/me/profile", "*", json!({"display_name": "A"})).await;
    assert_eq!(without_bio.json()["bio"], json!(null));
    assert_eq!(alice.get("/users/me/profile").await.json()["bio"], json!(null));

    assert_eq!(alice.delete("/users/me/profile").await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.delete("/users/me/profile").await.status, StatusCode::NO_CONTENT);
    assert_eq!(alice.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn profile_fields_are_limited() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    for (body, pointer) in [
        (json!({"display_name": ""}), "/display_name"),
        (json!({"display_name": "x".repeat(101)}), "/display_name"),
        (json!({"display_name": "A", "bio": "x".repeat(1001)}), "/bio"),
        (json!({"display_name": "A", "email": "a@example.com"}), "/email"),
        (json!({}), ""),
    ] {
        let answer = set_profile(&alice, &[], body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.pointer(), pointer);
    }
    assert_eq!(alice.get("/users/me/profile").await.status, StatusCode::NOT_FOUND);
}

async fn set_profile(persona: &Persona, headers: &[(&str, &str)], body: Value) -> Answer {
    persona.send(Method::PUT, "/users/me/profile", headers, Some(body)).await
}

#[tokio::test]
async fn of_two_who_change_a_profile_at_once_the_second_is_told() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let first = set_profile(&alice, &[], json!({"display_name": "Alice"})).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", first.json()["version"]));
    assert_eq!(alice.get("/users/me/profile").await.header("etag"), tag);

    let second = set_profile(&alice, &[("if-match", &tag)], json!({"display_name": "Al"})).await;
    assert_eq!(second.status, StatusCode::OK);
    let late = set_profile(&alice, &[("if-match", &tag)], json!({"display_name": "Ali"})).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(late.json()["type"], "/problems/version-conflict");
    let kept = alice.get("/users/me/profile").await;
    assert_eq!(
        (kept.json()["display_name"].clone(), kept.header("etag")),
        (json!("Al"), second.header("etag"))
    );
    assert_eq!(app.calls(), 5); // One for each request.
}

#[tokio::test]
async fn preconditions_tell_a_new_profile_from_an_existing_one() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let body = || json!({"display_name": "Alice"});
    for tag in ["*", "\"1\""] {
        let replaced = set_profile(&alice, &[("if-match", tag)], body()).await;
        assert_eq!(replaced.status, StatusCode::PRECONDITION_FAILED);
    }
    let created = set_profile(&alice, &[("if-none-match", "*")], body()).await;
    assert_eq!(created.status, StatusCode::OK);
    assert_eq!(
        set_profile(&alice, &[("if-none-match", "*")], body()).await.status,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(set_profile(&alice, &[("if-match", "*")], body()).await.status, StatusCode::OK);
    let tag = alice.get("/users/me/profile").await.header("etag").to_owned();
    let unchanged = alice.send(Method::GET, "/users/me/profile", &[("if-none-match", &tag)], None).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (StatusCode::NOT_MODIFIED, &*tag));
}

#[tokio::test]
async fn the_tag_of_a_removed_profile_does_not_match_the_next_one() {
    let app = TestApp::start().await;
    let alice = app.user("alice");
    let body = || json!({"display_name": "Alice"});
    let old = set_profile(&alice, &[], body()).await.header("etag").to_owned();
    let delete = async |tag: &str| {
        alice.send(Method::DELETE, "/users/me/profile", &[("if-match", tag)], None).await.status
    };
    assert_eq!(delete("\"1\"").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete(&old).await, StatusCode::NO_CONTENT);
    tokio::time::sleep(std::time::Duration::from_millis(2)).await; // A version is at least the time in milliseconds.
    assert_eq!(set_profile(&alice, &[], body()).await.status, StatusCode::OK);
    let late = set_profile(&alice, &[("if-match", &old)], body()).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
}
